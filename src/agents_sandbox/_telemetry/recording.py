"""Who records calls for telemetry, if anybody does. No library loads with this module."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from typing_extensions import Self

Metadata: TypeAlias = tuple[tuple[str, str], ...]
"""What a request carries beside its message."""


class RecordedCall(Protocol):
    """A call of a public method that is being recorded.

    Enter it twice and begin it inside: `with recorder.call(name) as recorded, recorded:`. An
    interruption can come at the first line of its exit, which is then repeated.
    """

    result: object
    """What it returns; set just before it does."""

    def begin(self) -> None:
        """Begin to record, unless it is part of another call."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """End it. Safe to repeat."""
        ...


class RecordedOutage(Protocol):
    """An outage that is being recorded."""

    def retry(self, cause: str, seconds: float) -> None:
        """Take note of a retry that follows after a pause."""
        ...

    def end(self, recovered: bool) -> None:
        """End it."""
        ...


class Recorder(Protocol):
    """Records calls, outages and waits."""

    def call(self, name: str) -> RecordedCall:
        """Return what records one call of a public method."""
        ...

    def attempt(self, request: object) -> Metadata:
        """Take note of the ids in a request that is about to be sent; return what it carries."""
        ...

    def outage(self, what: str) -> RecordedOutage:
        """Begin to record an outage."""
        ...

    def stream_resumed(self) -> None:
        """Count an event stream that resumes."""
        ...

    def waited(self, kind: str, seconds: float) -> None:
        """Record how long a wait took."""
        ...


recorder: Recorder | None = None
"""Set by `agents_sandbox.telemetry`."""

# Whose methods are not obvious by their names alone.
_PREFIXES = {
    "ExecProcess": "process.",
    "SandboxFiles": "files.",
    "SandboxScope": "scope.",
    "_Place": "pool.",
}

_BLOCKS = {
    "ExecProcess": "start",
    "PooledSandbox": "pool.take",
    "SandboxLifetime": "sandbox",
    "SandboxPool": "pool",
    "SandboxScope": "scope",
}


def name_of(method: Callable[..., Any]) -> str:
    """Return the name under which a public method is recorded; empty for steps of iterators."""
    kind, _, name = method.__qualname__.rpartition(".")
    return "" if name.startswith("__") else f"{_PREFIXES.get(_plain(kind), '')}{name}"


def name_of_block(block: object, part: str) -> str:
    """Return the name under which a part of a block is recorded; empty if that is none of users."""
    name = _BLOCKS.get(_plain(type(block).__name__))
    return f"{name}.{part}" if name else ""


def _plain(kind: str) -> str:
    return kind.removeprefix("Sync")
