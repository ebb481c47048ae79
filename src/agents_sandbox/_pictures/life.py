"""A sandbox's life, as far as a picture has room for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

VARIOUS = "various"
"""The label of what was too short to be drawn one by one."""

FINISHED, FAILED, CANCELLED, RUNNING, UNKNOWN = "finished", "failed", "cancelled", "running", "lost"


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a band; times are in seconds after the first event, here and below.

    An open one had not ended at the last event.
    """

    begin: float
    end: float
    label: str
    note: str = ""
    is_open: bool = False


@dataclass(slots=True)
class Exec:
    """One exec, from its first event to its last."""

    name: str
    begin: float
    end: float
    outcome: str = RUNNING
    text: str = "running"
    note: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Restart:
    """When the daemon restarted: after one event and before the next, which tells of it."""

    begin: float
    end: float


@dataclass(slots=True)
class Life:
    """A sandbox's life, as far as its events tell it.

    Attributes:
        sandbox_id: The sandbox; empty without events.
        begin: The time of the first event; None: no event has a time, and they are drawn at equal
            distances.
        length: The time from the first event to the last.
        events: The number of events.
        states: Its states.
        failure: Why it failed at last, or nothing.
        execs: The execs that are drawn one by one, by their beginning.
        others: How many of the other execs ran in each part of its life, or nothing.
        outcomes: The number of all execs by outcome.
        others_outcomes: The same of those that are not drawn one by one.
        services: The bands of services, with their names.
        other_services: The number of services without a band.
        restarts: The restarts of the daemon that are drawn.
        all_restarts: The number of all.
        going_on: Whether it had not ended at the last event.
    """

    sandbox_id: str = ""
    begin: datetime | None = None
    length: float = 0.0
    events: int = 0
    states: list[Segment] = field(default_factory=list)
    failure: str = ""
    execs: list[Exec] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    others_outcomes: Counter[str] = field(default_factory=Counter)
    services: list[tuple[str, list[Segment]]] = field(default_factory=list)
    other_services: int = 0
    restarts: list[Restart] = field(default_factory=list)
    all_restarts: int = 0
    going_on: bool = False
