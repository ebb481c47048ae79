"""What a cassette has; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Take:
    """One recorded exec."""

    argv: tuple[str, ...]
    cwd: str
    env: tuple[str, ...] = ()
    """The names of its variables, sorted."""
    stdout: bytes | None = b""
    """None: the log could not be read."""
    stderr: bytes | None = b""
    exit_code: int | None = 0
    """None: the process did not exit by itself, or never started."""
    error: str = ""
    """Why it never started."""
    seconds: float = 0.0

    @property
    def command(self) -> tuple[tuple[str, ...], str]:
        """What takes of the same command have in common."""
        return self.argv, self.cwd


@dataclass(frozen=True)
class RecordedSandbox:
    """One recorded sandbox."""

    image: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    """What it was created with, as JSON, without values of variables and paths of the host."""
    takes: tuple[Take, ...] = ()
    events: tuple[str, ...] = ()
    """One line for each event, in order."""

    @property
    def was_ready(self) -> bool:
        """Whether it could run commands."""
        return bool(self.takes) or "SANDBOX_READY" in self.events


@dataclass(frozen=True)
class Cassette:
    """A recording."""

    daemon: str
    """The version of the daemon."""
    sandboxes: tuple[RecordedSandbox, ...] = ()


def sandbox_name(index: int) -> str:
    """Return the name of a sandbox, by the order of appearance."""
    return f"sandbox-{index + 1}"


def exec_name(index: int) -> str:
    """Return the name of an exec within its sandbox, by the order of appearance."""
    return f"exec-{index + 1}"


def merged(old: Cassette, new: Cassette) -> Cassette:
    """Keep all takes of a recording, and append those that only a newer one has."""
    count = min(len(old.sandboxes), len(new.sandboxes))
    both = map(_merged_sandbox, old.sandboxes[:count], new.sandboxes[:count])
    rest = (*old.sandboxes[count:], *new.sandboxes[count:])
    return Cassette(new.daemon, (*both, *rest))


def _merged_sandbox(old: RecordedSandbox, new: RecordedSandbox) -> RecordedSandbox:
    known = Counter(take.command for take in old.takes)
    added = []
    for take in new.takes:
        if known[take.command]:
            known[take.command] -= 1
        else:
            added.append(take)
    if not added:
        return old
    return replace(new, takes=(*old.takes, *added))
