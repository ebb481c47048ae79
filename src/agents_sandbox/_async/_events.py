"""The public stream of a sandbox's events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING

from .._aio import TimedLock
from ..errors import SandboxClientError, SandboxSequenceExpiredError
from ..models import SandboxEvent
from ._subscription import Break, Subscription

if TYPE_CHECKING:
    from typing_extensions import Self


class AsyncSandboxEventStream(AsyncIterator[SandboxEvent]):
    """The events of one sandbox, in order and each once, as they happen.

    The subscription begins with the first event asked for. It ends when the
    stream is closed, left as a context manager, or no longer referenced. A
    step that is interrupted loses nothing: the next one goes on after the last
    event delivered.
    """

    def __init__(self, events: Subscription) -> None:
        self._events = events
        self._position = events.position
        self._ended = False
        # Steps that are taken at once get an event each, one after the other.
        self._turn = TimedLock()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SandboxEvent:
        async with self._turn.held(None):
            try:
                self._events.go_on_after(self._position)
                item: SandboxEvent | Break = Break.UNSURE
                while item is Break.UNSURE and not self._ended:
                    item = await self._events.read()
                if isinstance(item, SandboxEvent):
                    return self._next(item)
            except SandboxClientError:
                self._end()
                raise
            self._end()
            raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    async def aclose(self) -> None:
        """End the subscription. A step under way, and any later one, ends the iteration."""
        self._end()

    def _next(self, event: SandboxEvent) -> SandboxEvent:
        if event.snapshot:
            self._events.told.add(event.event_id)
            return event
        if event.sequence != self._position + 1:
            raise _gap(event, self._position)
        self._position = event.sequence
        return event

    def _end(self) -> None:
        self._ended = True
        self._events.cancel()


def _gap(event: SandboxEvent, position: int) -> SandboxSequenceExpiredError:
    error = SandboxSequenceExpiredError(
        f"events {position + 1} to {event.sequence - 1} of sandbox {event.sandbox_id} are missing: "
        f"subscribe from {event.sequence - 1} to go on without them",
        sandbox_id=event.sandbox_id,
    )
    error.from_sequence, error.oldest_sequence = position, event.sequence
    return error
