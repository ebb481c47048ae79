"""What faults need of the daemon that they act on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from .._protocol.refusals import StatusError
from .stack import FaultStack

T = TypeVar("T")


class Socket(Protocol):
    """Where a daemon listens."""

    def mute(self) -> None:
        """Take connections from now on, and never speak to them."""
        ...

    def unmute(self) -> None:
        """Speak again, and reset those connections."""
        ...


class FaultTarget(Protocol):
    """A daemon as far as faults reach into it."""

    @property
    def faults(self) -> FaultStack:
        """The faults that are on."""
        ...

    @property
    def socket(self) -> Socket:
        """Its socket."""
        ...

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in the daemon's thread and return its result."""
        ...

    def end_streams(self, failure: StatusError | None) -> None:
        """End all open event streams: with a failure, or cleanly."""
        ...
