"""The one way to the daemon: a method and its request in, its answer out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic

from google.protobuf.message import Message

from .._address import DaemonAddress
from .._aio import Channel, Stream
from .._deadline import Deadline
from .._rpc import rpc_errors
from .._wire.methods import Method, RequestT, ResponseT
from ..errors import DaemonUnavailableError, ProtocolError

# No daemon is upgraded in less.
_IN_TOUCH_SECONDS = 5.0


class Transport:
    """Sends requests to one daemon and raises only errors of this SDK.

    Args:
        address: The daemon's socket.
    """

    def __init__(self, address: DaemonAddress) -> None:
        self._address = address
        self._channel = Channel(address.target)
        self._contact = Deadline(0.0)
        self.losses: int = 0
        """How often the daemon was not reached or not understood: it may be another by now."""

    async def unary(
        self, method: Method[RequestT, ResponseT], request: RequestT, deadline: Deadline
    ) -> ResponseT:
        """Send one request and return the answer."""
        with self._errors(method, request, deadline):
            answer = await self._channel.unary(
                method.path, request.SerializeToString(), deadline.remaining()
            )
            message = method.response_type.FromString(answer)
        self._contact = Deadline(_IN_TOUCH_SECONDS)
        return message

    @property
    def in_touch(self) -> bool:
        """Whether the daemon has answered a moment ago."""
        return not self._contact.expired()

    def stream(
        self, method: Method[RequestT, ResponseT], request: RequestT, deadline: Deadline
    ) -> ResponseStream[RequestT, ResponseT]:
        """Send one request and return the stream of answers."""
        with self._errors(method, request, deadline):
            stream = self._channel.stream(
                method.path, request.SerializeToString(), deadline.remaining()
            )
        return ResponseStream(self._errors, method, request, deadline, stream)

    @contextmanager
    def _errors(
        self, method: Method[Any, Any], request: Message, deadline: Deadline
    ) -> Iterator[None]:
        try:
            with rpc_errors(method, request, self._address, deadline):
                yield
        except (DaemonUnavailableError, ProtocolError):
            self.losses += 1
            raise

    async def aclose(self) -> None:
        """End every call and refuse new ones. Safe to repeat."""
        await self._channel.aclose()


class ResponseStream(Generic[RequestT, ResponseT]):
    """The answers to one streaming call. Whoever opens one cancels it."""

    def __init__(
        self,
        errors: Callable[[Method[Any, Any], Message, Deadline], AbstractContextManager[None]],
        method: Method[RequestT, ResponseT],
        request: RequestT,
        deadline: Deadline,
        stream: Stream,
    ) -> None:
        self._errors = errors
        self._method = method
        self._request = request
        self._deadline = deadline
        self._stream = stream

    def usable(self) -> bool:
        """Whether the stream can be read from here; if not, it is gone for good."""
        return self._stream.usable()

    async def read(self) -> ResponseT | None:
        """Return the next answer; None after the daemon's end or our own cancel."""
        with self._errors(self._method, self._request, self._deadline):
            answer = await self._stream.read()
            return None if answer is None else self._method.response_type.FromString(answer)

    def cancel(self) -> None:
        """End the call. Safe to repeat, at any time and from anywhere."""
        self._stream.cancel()
