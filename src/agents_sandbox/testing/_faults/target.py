"""What faults need from the daemon that they act on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from .._protocol.refusals import StatusError
from .kinds import Call
from .stack import FaultStack

T = TypeVar("T")


class Socket(Protocol):
    """The socket that a daemon listens on."""

    def mute(self) -> None:
        """Accept new connections without answering on them."""
        ...

    def unmute(self) -> None:
        """Answer again, and reset the connections that were accepted without an answer."""
        ...


class FaultTarget(Protocol):
    """The part of a daemon that faults use."""

    @property
    def faults(self) -> FaultStack:
        """The active faults."""
        ...

    @property
    def socket(self) -> Socket:
        """Its socket."""
        ...

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in the daemon's thread and return its result."""
        ...

    def burn_id(self, call: Call) -> bool:
        """Reserve the id of a create without creating anything; return whether it was possible."""
        ...

    def end_streams(self, failure: StatusError | None) -> None:
        """End all open event streams with a failure; None: end them cleanly."""
        ...
