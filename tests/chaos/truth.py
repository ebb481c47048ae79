"""What really happened, as the daemon reports it without faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from agents_sandbox import ExecHandle, SandboxEvent, SandboxEventType, SandboxHandle, SandboxState

from .records import Followed

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_CREATED = (SandboxEventType.SANDBOX_READY, SandboxEventType.SANDBOX_FAILED)


def moment(event: SandboxEvent) -> int:
    """When an event occurred, in microseconds."""
    assert event.occurred_at is not None
    return (event.occurred_at - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True)
class Window:
    """The time from the beginning of a call to its end, in microseconds."""

    begun: int
    ended: int

    def __contains__(self, time: int) -> bool:
        # The daemon's events never share a nanosecond, so its clock can be ahead.
        return self.begun <= time <= self.ended + 1


@dataclass(frozen=True)
class Restart(Window):
    """A time in which the daemon was unavailable."""

    killed: int
    """A time when all its work had been killed and it had not started again."""


def state_after(events: Sequence[SandboxEvent]) -> SandboxState:
    """The state of a sandbox after its first events; UNSPECIFIED without any."""
    states = (event.sandbox_state for event in reversed(events))
    named = (state for state in states if state is not SandboxState.UNSPECIFIED)
    return next(named, SandboxState.UNSPECIFIED)


@dataclass
class History:
    """Everything that happened to one sandbox."""

    handle: SandboxHandle
    events: list[SandboxEvent]

    def state_at(self, sequence: int) -> SandboxState:
        """The state after an event."""
        return state_after(self.events[:sequence])

    def head_before(self, time: int) -> int:
        """The number of events before a time."""
        return sum(1 for event in self.events if moment(event) < time)

    def within(self, window: Window) -> list[SandboxEvent]:
        """The events that happened in a window."""
        return [event for event in self.events if moment(event) in window]

    def states_in(self, window: Window) -> set[SandboxState]:
        """The states that the sandbox was in; none before it was accepted."""
        first = self.head_before(window.begun)
        sequences = [first, *(event.sequence for event in self.within(window))]
        return {self.state_at(sequence) for sequence in sequences}

    def of_type(self, kind: SandboxEventType, window: Window | None = None) -> list[SandboxEvent]:
        """The events of a type."""
        events = self.events if window is None else self.within(window)
        return [event for event in events if event.event_type is kind]

    def of_exec(self, exec_id: str) -> Iterator[SandboxEvent]:
        """The events of an exec."""
        for event in self.events:
            if event.exec is not None and event.exec.exec_id == exec_id:
                yield event


@dataclass
class Truth:
    """Everything that happened in a run."""

    histories: dict[str, History] = field(default_factory=dict)
    execs: dict[str, ExecHandle] = field(default_factory=dict)
    restarts: list[Restart] = field(default_factory=list)
    hits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """How often each kind of fault hit each RPC."""
    requests: Mapping[str, int] = field(default_factory=dict)
    """How often each RPC was called."""
    followed: list[Followed] = field(default_factory=list)
    leaked_streams: int = 0

    def restarted_in(self, window: Window) -> bool:
        """Whether the daemon was unavailable at some time in a window."""
        return any(
            restart.begun <= window.ended and restart.ended >= window.begun
            for restart in self.restarts
        )


def is_at_rest(events: list[SandboxEvent], last_restart: int) -> bool:
    """Whether nothing that was started is still in progress.

    Args:
        events: All events of a sandbox so far.
        last_restart: When the daemon was last killed, in microseconds: that ends all work.
    """
    if state_after(events) in (SandboxState.PENDING, SandboxState.DELETING):
        return False
    kinds = [event.event_type for event in events if moment(event) >= last_restart]
    stops = kinds.count(SandboxEventType.SANDBOX_STOP_REQUESTED)
    if stops > kinds.count(SandboxEventType.SANDBOX_STOPPED):
        return False
    if SandboxEventType.SANDBOX_PREPARING not in kinds:
        return True
    preparing = kinds.index(SandboxEventType.SANDBOX_PREPARING)
    return any(kind in _CREATED for kind in kinds[preparing:])
