"""The settings of a fake daemon, read from markers."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest

from agents_sandbox.testing import FakeDaemon

from ._options import ALL
from ._outcome import fail

Fault = Callable[[FakeDaemon], object]

MARK = "@pytest.mark.agents_sandbox"
_OWN = ("versions", "faults", "leaks", "all_used", "redact")


@dataclass(frozen=True)
class DaemonSetup:
    """The settings of a fake daemon."""

    options: Mapping[str, Any]
    """Arguments of `FakeDaemon`."""
    versions: Any
    """The releases to run the test with, which was done when it was collected; None: not set."""
    faults: tuple[Fault, ...]
    """Functions to call with the running daemon before the test."""
    leaks: bool
    """Whether a leak fails the test."""
    all_used: bool
    """Whether a planned fault, script or take that was never used fails the test."""
    redact: tuple[str, ...]
    """What is replaced in a cassette that is recorded."""

    @classmethod
    def of(
        cls, node: pytest.Item | pytest.Collector, defaults: Mapping[str, Any] | None = None
    ) -> DaemonSetup:
        """Read the markers of a test, or of what contains it; fail if they are wrong.

        Args:
            node: The test.
            defaults: Keywords that markers override.
        """
        options = dict(defaults or {})
        for mark in reversed(list(node.iter_markers("agents_sandbox"))):
            if mark.args:
                refuse(node, f"accepts only keyword arguments, not {reprlib.repr(mark.args[0])}")
            # Of the two, the closest applies.
            for name, other in (("version", "versions"), ("versions", "version")):
                if name in mark.kwargs:
                    options.pop(other, None)
            options |= mark.kwargs
        versions = options.pop("versions", None)
        faults = options.pop("faults", ())
        if callable(faults):
            faults = (faults,)
        if not (isinstance(faults, (list, tuple)) and all(map(callable, faults))):
            refuse(
                node, f"faults= must be a function or a list of functions: {reprlib.repr(faults)}"
            )
        redact = options.pop("redact", ())
        if not (isinstance(redact, (list, tuple)) and all(isinstance(one, str) for one in redact)):
            refuse(node, f"redact= must be a list of strings: {reprlib.repr(redact)}")
        leaks, all_used = (_flag(node, options, name) for name in ("leaks", "all_used"))
        known = inspect.signature(FakeDaemon).parameters
        if unknown := sorted(options.keys() - known.keys()):
            accepted = ", ".join((*_OWN, *known))
            refuse(node, f"does not accept {', '.join(unknown)}; it accepts {accepted}")
        return cls(options, versions, tuple(faults), leaks, all_used, tuple(redact))

    @property
    def fake_only(self) -> list[str]:
        """The keywords that only a fake daemon supports."""
        named = ["versions"] * (self.versions not in (None, ALL))
        options = self.options.keys() - {
            "cassette",
            "in_order",
        }  # what was recorded can run on a live daemon
        return sorted([*options, *named]) + ["faults"] * bool(self.faults)


def daemon_keywords(marks: Iterable[pytest.Mark]) -> list[str]:
    """Return the keywords of markers that are arguments of `FakeDaemon`."""
    return sorted({name for mark in marks for name in mark.kwargs} - set(_OWN))


def _flag(node: pytest.Item | pytest.Collector, options: dict[str, Any], name: str) -> bool:
    value = options.pop(name, True)
    if not isinstance(value, bool):
        refuse(node, f"{name}= must be True or False: {reprlib.repr(value)}")
    return value


def refuse(node: pytest.Item | pytest.Collector, problem: str) -> NoReturn:
    """Fail a test because its marker is wrong."""
    fail(f"{node.nodeid}: {MARK} {problem}")
