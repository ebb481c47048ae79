"""The settings of a test's fake daemon, read from its markers."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest

from agents_sandbox.testing import FakeDaemon

from ._hooks import fail

Fault = Callable[[FakeDaemon], object]


@dataclass(frozen=True)
class DaemonSetup:
    """The settings of a test's fake daemon."""

    options: Mapping[str, Any]
    """Arguments of `FakeDaemon`."""
    faults: tuple[Fault, ...]
    """Functions to call with the running daemon before the test."""
    leaks: bool
    """Whether a leak fails the test."""
    all_used: bool
    """Whether a planned fault or script that was never used fails the test."""

    @classmethod
    def of(cls, item: pytest.Item) -> DaemonSetup:
        """Read the markers of a test; fail the test if they are wrong."""
        options: dict[str, Any] = {}
        for mark in reversed(list(item.iter_markers("agents_sandbox"))):
            if mark.args:
                refuse(item, f"accepts only keyword arguments, not {reprlib.repr(mark.args[0])}")
            options |= mark.kwargs
        faults = options.pop("faults", ())
        if callable(faults):
            faults = (faults,)
        if not (isinstance(faults, (list, tuple)) and all(map(callable, faults))):
            refuse(
                item, f"faults= must be a function or a list of functions: {reprlib.repr(faults)}"
            )
        leaks, all_used = (_flag(item, options, name) for name in ("leaks", "all_used"))
        known = inspect.signature(FakeDaemon).parameters
        if unknown := sorted(options.keys() - known.keys()):
            accepted = ", ".join(("faults", "leaks", "all_used", *known))
            refuse(item, f"does not accept {', '.join(unknown)}; it accepts {accepted}")
        return cls(options, tuple(faults), leaks, all_used)

    @property
    def fake_only(self) -> list[str]:
        """The keywords that only a fake daemon supports."""
        return sorted(self.options) + ["faults"] * bool(self.faults)


def _flag(item: pytest.Item, options: dict[str, Any], name: str) -> bool:
    value = options.pop(name, True)
    if not isinstance(value, bool):
        refuse(item, f"{name}= must be True or False: {reprlib.repr(value)}")
    return value


def refuse(item: pytest.Item, problem: str) -> NoReturn:
    """Fail a test because its marker is wrong."""
    fail(f"{item.nodeid}: @pytest.mark.agents_sandbox {problem}")
