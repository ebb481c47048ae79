"""What a cassette has; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .replacing import PLACEHOLDER


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
    input: bytes | None = b""
    """What it got on stdin; None: it was not heard."""

    @property
    def command(self) -> tuple[tuple[str, ...], str, bytes | None]:
        """What takes of the same command have in common, whatever placeholders stand for."""
        argv = tuple(map(_normalised, self.argv))
        return argv, _normalised(self.cwd), _normalised_data(self.input)

    @property
    def outputs(self) -> tuple[bytes | None, bytes | None]:
        """Both of them."""
        return self.stdout, self.stderr


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
    def kind(self) -> str:
        """What sandboxes of the same image have in common, whatever placeholders stand for."""
        return _normalised(self.image)

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


def _normalised(pattern: str) -> str:
    """Make all placeholders the same: in another recording, they have other numbers."""
    return PLACEHOLDER.sub("[redacted-0]", pattern)


def _normalised_data(pattern: bytes | None) -> bytes | None:
    if pattern is None:
        return None
    return _normalised(pattern.decode("latin-1")).encode("latin-1")


def merged(old: Cassette, new: Cassette) -> Cassette:
    """Keep all takes of a recording, and append those that only a newer one has.

    A sandbox of the newer one continues the next older one with its image.
    """
    sandboxes = list(old.sandboxes)
    unpaired = list(range(len(sandboxes)))
    for sandbox in new.sandboxes:
        index = next((at for at in unpaired if sandboxes[at].kind == sandbox.kind), None)
        if index is None:
            sandboxes.append(sandbox)
        else:
            unpaired.remove(index)
            sandboxes[index] = _merged_sandbox(sandboxes[index], sandbox)
    return Cassette(new.daemon, tuple(sandboxes))


def _merged_sandbox(old: RecordedSandbox, new: RecordedSandbox) -> RecordedSandbox:
    takes = list(old.takes)
    unpaired = list(range(len(takes)))
    names = {}
    for index, take in enumerate(new.takes):
        at = next((at for at in unpaired if takes[at].command == take.command), None)
        if at is None:
            at = len(takes)
            takes.append(take)
        else:
            unpaired.remove(at)
        names[exec_name(index)] = exec_name(at)
    if len(takes) == len(old.takes):
        return old
    events = tuple(_renamed(event, names) for event in new.events)
    return replace(new, takes=tuple(takes), events=events)


def _renamed(event: str, names: Mapping[str, str]) -> str:
    kind, space, name = event.partition(" ")
    return f"{kind}{space}{names.get(name, name)}"
