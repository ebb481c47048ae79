"""The one way to the daemon: a method and its request in, its answer out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from .._address import DaemonAddress
from .._aio import Call, Channel, Stream
from .._deadline import Backoff, Deadline
from .._rpc import rpc_errors
from .._wire.methods import Method, RequestT, ResponseT
from ..errors import (
    DaemonUnavailableError,
    OperationTimeoutError,
    ProtocolError,
    SandboxClientError,
)

ResultT = TypeVar("ResultT")

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
        self._met = False
        self.losses: int = 0
        """How often the daemon was not reached or not understood: it may be another by now."""

    async def unary(
        self, method: Method[RequestT, ResponseT], request: RequestT, deadline: Deadline
    ) -> ResponseT:
        """Send one request and return the answer; again after a loss, if that is harmless."""
        if not method.repeatable:
            return await self.once(method, request, deadline)
        return await self.repeating(lambda: self.once(method, request, deadline), deadline)

    async def repeating(self, call: Call[ResultT], deadline: Deadline) -> ResultT:
        """Make a call that may be made again, until no connection is lost on the way.

        Raises:
            DaemonUnavailableError: One was lost, and no repeat has ended in time.
        """
        backoff = Backoff()
        lost: DaemonUnavailableError | None = None
        while True:
            try:
                return await call()
            except DaemonUnavailableError as error:
                if not await self._may_repeat(error, backoff, deadline):
                    raise
                lost = error.with_traceback(None)  # which would keep this frame, and it the error
            except OperationTimeoutError:
                if lost is None or not deadline.expired():
                    raise
                raise self._still_lost(lost, deadline) from lost

    async def once(
        self, method: Method[RequestT, ResponseT], request: RequestT, deadline: Deadline
    ) -> ResponseT:
        """Send one request, once, and return the answer."""
        with self._errors(method, request, deadline):
            answer = await self._channel.unary(
                method.path, request.SerializeToString(), deadline.remaining()
            )
            message = method.response_type.FromString(answer)
        self._contact = Deadline(_IN_TOUCH_SECONDS)
        self._meet()
        return message

    def _still_lost(self, lost: DaemonUnavailableError, deadline: Deadline) -> SandboxClientError:
        error = self.unavailable(f"a repeat did not end within the {deadline.bound} s")
        error.code, error.sandbox_id, error.exec_id = lost.code, lost.sandbox_id, lost.exec_id
        return error

    def _meet(self) -> None:
        self._met = True

    async def _may_repeat(
        self, error: DaemonUnavailableError, backoff: Backoff, deadline: Deadline
    ) -> bool:
        """Pause before a call is repeated; or tell that it cannot help, or is too late."""
        if deadline.expired() or not self.may_pass(error):
            return False
        await self.pause(backoff.pause(deadline))
        return not deadline.expired()

    def may_pass(self, error: DaemonUnavailableError) -> bool:
        """Whether a daemon that is not there may be there in a moment.

        One that was never met, and at whose socket nobody listens, probably was not started:
        its users had better know at once.
        """
        return error.retryable and (self._met or self._address.somebody_listens())

    def unavailable(self, detail: str) -> DaemonUnavailableError:
        """Make the error of a daemon that is not there, for a reason that gRPC does not know."""
        return self._address.unavailable(detail)

    async def pause(self, seconds: float) -> None:
        """Let the given time pass, or less if the client is closed meanwhile."""
        await self._channel.pause(seconds)

    @property
    def in_touch(self) -> bool:
        """Whether the daemon has answered a moment ago."""
        return not self._contact.expired()

    def daemon_identity(self) -> object:
        """What changes when another daemon listens, be it the same one started anew."""
        return self._address.socket_identity()

    def stream(
        self, method: Method[RequestT, ResponseT], request: RequestT, deadline: Deadline
    ) -> ResponseStream[RequestT, ResponseT]:
        """Send one request and return the stream of answers."""
        with self._errors(method, request, deadline):
            stream = self._channel.stream(
                method.path, request.SerializeToString(), deadline.remaining()
            )
        return ResponseStream(self._errors, self._meet, method, request, deadline, stream)

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
        except SandboxClientError as error:
            self._met = self._met or error.reason is not None
            raise

    async def aclose(self) -> None:
        """End every call and refuse new ones. Safe to repeat."""
        await self._channel.aclose()


class ResponseStream(Generic[RequestT, ResponseT]):
    """The answers to one streaming call. Whoever opens one cancels it."""

    def __init__(
        self,
        errors: Callable[[Method[Any, Any], Message, Deadline], AbstractContextManager[None]],
        meet: Callable[[], None],
        method: Method[RequestT, ResponseT],
        request: RequestT,
        deadline: Deadline,
        stream: Stream,
    ) -> None:
        self._errors = errors
        self._meet = meet
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
            if answer is None:
                return None
            message = self._method.response_type.FromString(answer)
        self._meet()
        return message

    def cancel(self) -> None:
        """End the call. Safe to repeat, at any time and from anywhere."""
        self._stream.cancel()
