"""The public stream of a sandbox's events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING

from .._aio import Lock
from .._deadline import Deadline
from .._wire import requests
from .._wire import v02_pb2 as pb
from .._wire.codec import decode_event
from .._wire.methods import SUBSCRIBE_SANDBOX_EVENTS
from ..errors import SandboxClientError
from ..models import SandboxEvent
from ._transport import ResponseStream, Transport

if TYPE_CHECKING:
    from typing_extensions import Self


class AsyncSandboxEventStream(AsyncIterator[SandboxEvent]):
    """The events of one sandbox, in order, as they happen.

    The subscription begins with the first event asked for. It ends when the
    stream is closed, left as a context manager, or no longer referenced. A
    step that is interrupted loses nothing: the next one goes on after the last
    event delivered.
    """

    def __init__(
        self,
        transport: Transport,
        sandbox_id: str,
        from_sequence: int,
        include_current_snapshot: bool,
        deadline: Deadline,
    ) -> None:
        self._transport = transport
        self._request = requests.subscribe_sandbox_events(
            sandbox_id, from_sequence, include_current_snapshot
        )
        self._deadline = deadline
        self._messages: ResponseStream[pb.SubscribeSandboxEventsRequest, pb.SandboxEvent] | None = (
            None
        )
        self._ended = False
        # Steps that are taken at once get an event each, one after the other.
        self._turn = Lock()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SandboxEvent:
        async with self._turn:
            message = None if self._ended else await self._read()
            if message is None:
                self._end()
                raise StopAsyncIteration
            if not message.snapshot:
                self._request.from_sequence = message.sequence
                self._request.include_current_snapshot = False
            return decode_event(message)

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

    async def _read(self) -> pb.SandboxEvent | None:
        messages = self._messages
        if messages is None or not messages.usable():
            messages = self._messages = self._transport.stream(
                SUBSCRIBE_SANDBOX_EVENTS, self._request, self._deadline
            )
        try:
            # Looked at with the call in place: whoever closes from another
            # thread either sees the call or is seen here.
            return None if self._ended else await messages.read()
        except SandboxClientError:
            self._end()
            raise
        except BaseException:
            # Interrupted from outside. gRPC has given up the call by now, so
            # the next step subscribes anew.
            self._cancel()
            raise

    def _end(self) -> None:
        self._ended = True
        self._cancel()

    def _cancel(self) -> None:
        messages, self._messages = self._messages, None
        if messages is not None:
            messages.cancel()
