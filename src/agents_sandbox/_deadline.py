"""Deadlines: one point in time, handed down and turned into gRPC timeouts."""

from __future__ import annotations

import random
import time

# gRPC counts 64-bit nanoseconds since 1970: to it, a deadline some 240 years
# away has passed already. Ten years are as good as for ever.
_LONGEST = 10 * 365 * 24 * 3600.0

SILENCE_SECONDS = 60.0
"""After so long without an event the daemon is asked whether it is there.

It forbids keepalive pings, so no connection tells that the far end of a forwarded socket is gone.
"""

ANSWER_SECONDS = 5.0
"""How long it then has for its answer at most. It knows no slow calls."""

STEADY_SECONDS = 1.0
"""An event stream that has lasted so long was there: its loss is news, not the old trouble."""


class Deadline:
    """A moment by which something must be done, on the monotonic clock.

    Args:
        seconds: From now; `math.inf` for no bound.

    Attributes:
        bound: The same, or None without a bound.
    """

    __slots__ = ("_at", "bound")

    def __init__(self, seconds: float) -> None:
        self.bound: float | None = seconds if seconds <= _LONGEST else None
        self._at = time.monotonic() + seconds

    def remaining(self) -> float | None:
        """Seconds left, never below zero; None without a bound, as gRPC has it."""
        if self.bound is None:
            return None
        return max(0.0, self._at - time.monotonic())

    def expired(self) -> bool:
        """Whether no time is left."""
        return self.remaining() == 0.0

    def within(self, seconds: float) -> Deadline:
        """Return the earlier of this deadline and one so many seconds from now."""
        return self.earlier(Deadline(seconds))

    def earlier(self, other: Deadline) -> Deadline:
        """Return the earlier of two deadlines."""
        return other if other._at < self._at else self


class Budget:
    """The time of one slow operation: all of it, and each RPC within it.

    Args:
        explicit: What the caller gave to this call, in seconds: it bounds the
            RPCs and the wait together. None: the client's defaults apply.
        rpc_seconds: The client's bound of one RPC.
        operation_seconds: The client's bound of one operation.
    """

    __slots__ = ("_rpc_seconds", "operation")

    def __init__(
        self, explicit: float | None, rpc_seconds: float, operation_seconds: float
    ) -> None:
        self.operation = Deadline(operation_seconds if explicit is None else explicit)
        self._rpc_seconds = rpc_seconds if explicit is None else explicit

    def rpc(self) -> Deadline:
        """Return the deadline of an RPC that begins now."""
        return self.operation.within(self._rpc_seconds)


class Backoff:
    """Growing pauses between attempts to reach a daemon that went away.

    From 50 ms, doubling up to 1 s, each shortened by up to half at random so
    that many waiters do not come back in step.
    """

    _FIRST = 0.05
    _LONGEST = 1.0

    def __init__(self) -> None:
        self._next = self._FIRST

    def reset(self) -> None:
        """Start anew, after a success."""
        self._next = self._FIRST

    def pause(self, deadline: Deadline) -> float:
        """Return the next pause in seconds, not beyond the deadline."""
        pause = self._next * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        self._next = min(self._LONGEST, self._next * 2)
        remaining = deadline.remaining()
        return pause if remaining is None else min(pause, remaining)
