"""What a run records for its judge: the calls it made and the events it received."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from agents_sandbox import SandboxEvent

# Marks the last event of a sandbox that a follower reads.
THE_END = "the-end"


def now() -> int:
    """The time in microseconds, by the clock that timestamps the fake daemon's events.

    Like their times it is cut to the microsecond: everything that happens after this call has an
    equal or later time.
    """
    return time.time_ns() // 1000


@dataclass(eq=False)
class CallRecord:
    """A call of the client and its outcome."""

    method: str
    arguments: Mapping[str, Any]
    begun: int = field(default_factory=now)
    ended: int = 0
    result: Any = None
    error: Exception | None = None

    def end(self) -> None:
        """Note that the call has ended."""
        self.ended = now()

    @property
    def waits(self) -> bool:
        """Whether it waits for the operation that it requests."""
        return bool(self.arguments.get("wait", self.method != "create_exec"))

    def __str__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        became = repr(self.result) if self.error is None else repr(self.error)
        return f"{self.method}({arguments}) -> {became}"


@dataclass(eq=False)
class Followed:
    """The events that one follower received, over all its subscriptions."""

    sandbox_id: str
    manner: str
    events: list[SandboxEvent] = field(default_factory=list)
    left: bool = False
    """Whether it left before the end."""
    error: Exception | None = None

    @property
    def position(self) -> int:
        """The sequence of the last event."""
        return self.events[-1].sequence if self.events else 0

    @property
    def at_end(self) -> bool:
        """Whether it has read the last event."""
        return bool(self.events) and self.events[-1].event_id == THE_END


@dataclass
class Comparison:
    """The difference between the delivered and the true events."""

    delivered: int = 0
    lost: int = 0
    doubled: int = 0
    misordered: int = 0
    altered: int = 0

    @property
    def wrong(self) -> bool:
        """Whether there is any difference."""
        return bool(self.lost or self.doubled or self.misordered or self.altered)


def compare(followed: Followed, truth: Iterable[SandboxEvent]) -> Comparison:
    """Compare the events delivered with the true ones.

    All events up to the last delivered one must be there, and up to the end if the follower stayed.
    """
    true = {event.sequence: event for event in truth}
    given = [event.sequence for event in followed.events]
    upto = max(given, default=0)
    if not followed.left:
        end = (item.sequence for item in true.values() if item.event_id == THE_END)
        upto = max(upto, next(end, 0))
    return Comparison(
        delivered=len(given),
        lost=sum(1 for sequence in true if sequence <= upto and sequence not in set(given)),
        doubled=len(given) - len(set(given)),
        misordered=sum(1 for before, after in pairwise(given) if after < before),
        altered=sum(1 for event in followed.events if true.get(event.sequence) != event),
    )
