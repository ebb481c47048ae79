"""Deadlines: moments that are passed down and become gRPC timeouts."""

from __future__ import annotations

import copy
import math

from ._surroundings import clock
from ._surroundings.clock import grpc_timeout
from ._surroundings.forks import LOADING

# gRPC counts nanoseconds since 1970 in 64 bits: a deadline about 240 years ahead overflows and has
# already passed. More than ten years therefore count as no bound.
_LONGEST = 10 * 365 * 24 * 3600.0

# How much earlier than our own clock the daemon may see a deadline pass.
_CLOCK_DIFFERENCE_SECONDS = 0.02

SILENCE_SECONDS = 60.0
"""After this time without an event on a stream, the client pings the daemon.

The daemon forbids keepalive pings, so nothing else shows that the far end of a forwarded socket has
disappeared.
"""

ANSWER_SECONDS = 5.0
"""The longest time that the daemon then has to answer. It answers every call quickly."""

IN_TOUCH_SECONDS = 5.0
"""How long an answer shows that the same daemon is there: replacing one takes longer."""

LOOK_SECONDS = 1.0
"""How often to check, while public event streams are open, whether the daemon is still in touch."""

CLEANUP_SECONDS = 30.0
"""How long the end of a block tries to delete its sandboxes.

Longer than a restart of the daemon or the rest of an ordinary create takes, which are seconds. Not
longer than necessary, because Ctrl-C has to wait for it.
"""

STEADY_SECONDS = 1.0
"""A stream that lasted this long was connected: losing it begins a new outage."""

GRACE_SECONDS = 2.0
"""How long to wait for an exec's end after its sandbox's, and for a resume's end after a delete.

Recorded: well under 0.1 s.
"""

SHORTEST_PAUSE_SECONDS = 0.02
"""How soon a reader of live output looks again after there was some. The pause then doubles."""

LONGEST_PAUSE_SECONDS = 0.5
"""How long it pauses at most."""

DYING_SECONDS = 5.0
"""How long a sandbox of a daemon before 0.4.0 may be FAILED during a stop before it is STOPPED.

Recorded: 2.3 s, with services.
"""

KILL_SECONDS = 10.0
"""How long the exec that kills another one may take, even if the operation has no bound.

Recorded: an exec starts within 0.1 s. The kill itself takes less.
"""

APPEARING_SECONDS = 2.0
"""How long to look for the processes of an exec. Recorded: they start tens of ms after it."""

KILL_AFTER_SECONDS = 15.0
"""How long a kill after a timeout may take: `KILL_SECONDS`, and the report of the exec's end."""


class Deadline:
    """A moment on the monotonic clock by which something must be done.

    Args:
        seconds: Time from now; `math.inf` for no bound.

    Attributes:
        bound: The same, or None without a bound.
    """

    __slots__ = ("_at", "bound")

    def __init__(self, seconds: float) -> None:
        self.bound: float | None = seconds if seconds <= _LONGEST else None
        self._at = clock.monotonic() + seconds

    def timeout(self) -> float | None:
        """Return the time left, as gRPC expects it."""
        remaining = self.remaining()
        return None if remaining is None else grpc_timeout(remaining)

    def remaining(self) -> float | None:
        """Seconds left, never below zero; None without a bound."""
        if self.bound is None:
            return None
        return max(0.0, self._at - clock.monotonic())

    def expired(self) -> bool:
        """Whether no time is left."""
        return self.remaining() == 0.0

    def is_near(self) -> bool:
        """Whether no time is left by the daemon's clock, which may differ a little from ours."""
        remaining = self.remaining()
        return remaining is not None and remaining <= _CLOCK_DIFFERENCE_SECONDS

    def within(self, seconds: float) -> Deadline:
        """Return the earlier of this deadline and one `seconds` from now."""
        return self.earlier(Deadline(seconds))

    def earlier(self, other: Deadline) -> Deadline:
        """Return the earlier of two deadlines."""
        return other if other._at < self._at else self


class Budget:
    """The time of one slow operation and of each RPC within it.

    Args:
        explicit: The timeout of this call, in seconds, which bounds the RPCs
            and the wait together. None: the client's defaults apply.
        rpc_seconds: The client's timeout for one RPC.
        operation_seconds: The client's timeout for one operation of this kind.
        outage_seconds: The longest outage to tolerate if the operation has no bound, in seconds.

    Attributes:
        operation: The deadline of the operation.
        rpc_seconds: How long one RPC may take.
        outage_seconds: The longest outage to tolerate. A bound of the operation suffices; without
            one, an operation would wait for a daemon that never returns.
    """

    __slots__ = ("operation", "outage_seconds", "rpc_seconds")

    def __init__(
        self,
        explicit: float | None,
        rpc_seconds: float,
        operation_seconds: float,
        outage_seconds: float,
    ) -> None:
        self.operation: Deadline = Deadline(operation_seconds if explicit is None else explicit)
        bounded = self.operation.bound is not None
        # An RPC always has a bound: the daemon may never answer.
        self.rpc_seconds: float = rpc_seconds if explicit is None or not bounded else explicit
        self.outage_seconds: float = math.inf if bounded else outage_seconds

    def within(self, seconds: float) -> Budget:
        """Return the budget of a part of the operation that takes `seconds` at most."""
        part = copy.copy(self)
        part.operation = self.operation.within(seconds)
        return part

    def rpc(self) -> Deadline:
        """Return the deadline of an RPC that starts now."""
        return self.operation.within(self.rpc_seconds)


class Backoff:
    """Growing pauses between attempts to reach a daemon that is unavailable.

    From 50 ms, doubling up to 1 s, each shortened by up to half at random so
    that many clients do not retry in step.
    """

    _FIRST = 0.05
    _LONGEST = 1.0

    def __init__(self) -> None:
        self._next = self._FIRST

    def reset(self) -> None:
        """Start again with the shortest pause, after a success."""
        self._next = self._FIRST

    def pause(self, deadline: Deadline) -> float:
        """Return the next pause in seconds, at most up to the deadline."""
        with LOADING:
            import random  # noqa: PLC0415 - slow to load, and most programs wait for no daemon

        pause = self._next * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        self._next = min(self._LONGEST, self._next * 2)
        remaining = deadline.remaining()
        return pause if remaining is None else min(pause, remaining)


class Patience:
    """How long to keep reconnecting during one outage, with growing pauses.

    Args:
        seconds: The longest outage to tolerate; `math.inf` for no bound.
    """

    __slots__ = ("_backoff", "_outage", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._backoff: Backoff | None = None  # made for the first pause: most waits need none
        self._outage: Deadline | None = None

    def begin_outage(self) -> None:
        """Note that the daemon is unavailable. Safe to repeat."""
        self._begin()

    def end_outage(self) -> None:
        """Note that the daemon answers; the pauses continue to grow."""
        self._outage = None

    def reset(self) -> None:
        """Note that the outage is over and all is well: the next pause is short."""
        self._outage = self._backoff = None

    def limit(self, deadline: Deadline) -> Deadline:
        """Return the earlier of a deadline and the moment at which an outage is too long."""
        return deadline if self._outage is None else deadline.earlier(self._outage)

    def pause(self, deadline: Deadline) -> float:
        """Return the next pause in seconds, at most up to the deadline; there is no outage."""
        self._backoff = self._backoff or Backoff()
        return self._backoff.pause(deadline)

    def next_pause(self, deadline: Deadline) -> float | None:
        """Return the pause before the next attempt, in seconds; None: the outage is too long.

        Args:
            deadline: No pause ends after it.
        """
        outage = self._begin()
        return None if outage.expired() else self.pause(deadline.earlier(outage))

    def _begin(self) -> Deadline:
        self._outage = self._outage or Deadline(self._seconds)
        return self._outage
