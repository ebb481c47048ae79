"""The event log of one sandbox and the streams that follow it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from ..._wire import v02_pb2 as pb
from .._protocol.refusals import StatusError, event_sequence_expired
from .._time.clock import Clock


class EventLog:
    """Every event of one sandbox, oldest first; wakes the streams that follow it."""

    def __init__(self, sandbox_id: str, clock: Clock) -> None:
        self.sandbox_id = sandbox_id
        self.events: list[pb.SandboxEvent] = []
        self.head: int = 0
        """Sequence of the newest event."""
        self._clock = clock
        self._followers: set[EventStream] = set()

    def append(self, event: pb.SandboxEvent) -> pb.SandboxEvent:
        """Store an event with the next sequence, and fill in its unset fields."""
        event.sequence = event.sequence or self.head + 1
        event.sandbox_id = event.sandbox_id or self.sandbox_id
        event.event_id = event.event_id or f"{self.sandbox_id}-{event.sequence}"
        if not event.HasField("occurred_at"):
            event.occurred_at.CopyFrom(self._clock.now())
        self.head = max(self.head, event.sequence)
        self.events.append(event)
        for follower in self._followers:
            follower.wake()
        return event

    def open_stream(
        self, from_sequence: int, snapshot: Callable[[], list[pb.SandboxEvent]] | None
    ) -> EventStream:
        """Open a stream that wakes at every event from now on; the caller must close it."""
        stream = EventStream(self, from_sequence, snapshot)
        self._followers.add(stream)
        return stream

    def close_stream(self, stream: EventStream) -> None:
        """Stop waking a stream."""
        self._followers.discard(stream)

    def end_streams(self, failure: StatusError | None) -> None:
        """End every stream with a failure; None: end them cleanly."""
        for follower in self._followers:
            follower.end(failure)

    def position_after(self, sequence: int) -> int:
        """Return the index of the first event after `sequence`."""
        later = (i for i, event in enumerate(self.events) if event.sequence > sequence)
        return next(later, len(self.events))


class EventStream:
    """One subscription: an optional snapshot, the requested history, then new events."""

    def __init__(
        self,
        log: EventLog,
        from_sequence: int,
        snapshot: Callable[[], list[pb.SandboxEvent]] | None,
    ) -> None:
        self._log = log
        self._from_sequence = from_sequence
        self._snapshot = snapshot
        self._changed = asyncio.Event()
        self._ended = False
        self._failure: StatusError | None = None

    def close(self) -> None:
        """Stop following the log."""
        self._log.close_stream(self)

    def wake(self) -> None:
        """Read the log again."""
        self._changed.set()

    def end(self, failure: StatusError | None) -> None:
        """End the stream immediately with a failure; None: cleanly, after all stored events."""
        self._ended = True
        self._failure = failure
        self._changed.set()

    async def events(self) -> AsyncGenerator[pb.SandboxEvent, None]:
        """Yield events as the daemon sends them; it sets `replay` on new events too.

        Raises:
            StatusError: The stream starts after the newest event, or was ended with a failure.
        """
        for event in self._snapshot() if self._snapshot else ():
            yield _as_sent(event, snapshot=True)
        if self._from_sequence > self._log.head:
            raise event_sequence_expired(self._log.sandbox_id, self._from_sequence)
        position = self._log.position_after(self._from_sequence)
        while True:
            self._changed.clear()
            while not self._failure and position < len(self._log.events):
                position += 1
                yield _as_sent(self._log.events[position - 1])
            if self._ended:
                break
            await self._changed.wait()
        if self._failure:
            raise self._failure


def _as_sent(event: pb.SandboxEvent, *, snapshot: bool = False) -> pb.SandboxEvent:
    copy = pb.SandboxEvent()
    copy.CopyFrom(event)
    copy.replay = True
    copy.snapshot = copy.snapshot or snapshot
    return copy
