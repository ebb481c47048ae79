"""The public stream of a sandbox's events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from .. import _copies
from .._aio import TimedLock, public
from ..errors import SandboxClientError
from ..models import SandboxEvent
from ._subscription import Break, Subscription

if TYPE_CHECKING:
    from typing_extensions import Self


class AsyncSandboxEventStream(AsyncIterator[SandboxEvent]):
    """The events of one sandbox as they happen, each once and in order.

    The subscription starts with the first step. It ends when the stream is
    closed, left as a context manager, or no longer referenced. An interrupted
    step loses nothing: the next one continues after the last delivered event.
    """

    __module__ = "agents_sandbox"

    def __init__(self, events: Subscription) -> None:
        self._events = events
        self._ended = False
        # Concurrent steps take turns; each gets one event.
        self._turn = TimedLock()

    def __reduce__(self) -> NoReturn:
        advice = "subscribe again with from_sequence=, the sequence of the last event"
        _copies.refuse_copy(self, advice)

    def __aiter__(self) -> Self:
        return self

    @public
    async def __anext__(self) -> SandboxEvent:
        async with self._turn.held(None):
            try:
                self._events.begin_step()
                item: SandboxEvent | Break = Break.UNSURE
                while item is Break.UNSURE and not self._ended:
                    item = await self._events.read()
                if isinstance(item, SandboxEvent):
                    self._events.deliver(item)
                    return item
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
        """End the subscription. A step in progress and any later one end the iteration."""
        self._end()

    def _end(self) -> None:
        self._ended = True
        self._events.cancel()
