"""Sends requests to one daemon; every failure becomes an error of this SDK."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, Generic, NoReturn, TypeVar

from google.protobuf.message import Message

from .. import _deadline
from .._aio import Call, Channel, Stream
from .._connection.address import DaemonAddress
from .._connection.rpc import FAILURES, raise_explained, stream_timeout
from .._deadline import Backoff, Deadline
from .._surroundings import clock
from .._telemetry import reports
from .._telemetry.reports import UNHEARD, AnyAttempt, Outage, subject
from .._wire.methods import Method, RequestT, ResponseT
from ..errors import (
    DaemonUnavailableError,
    OperationTimeoutError,
    ProtocolError,
    SandboxClientError,
)

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Transport:
    """Sends requests to one daemon and raises only errors of this SDK.

    Args:
        address: The daemon's socket.
        met: Whether the daemon has answered before, over another connection.

    Attributes:
        met: Whether it has ever answered.
    """

    def __init__(self, address: DaemonAddress, *, met: bool = False) -> None:
        self._address = address
        self._channel = Channel(address.target)
        self._contact: float | None = None
        self.met: bool = met
        self._losses = 0

    async def unary(
        self,
        method: Method[RequestT, ResponseT],
        request: RequestT,
        deadline: Deadline,
    ) -> ResponseT:
        """Send one request, once, and return the answer.

        Args:
            method: The RPC.
            request: The request.
            deadline: When to give up.
        """
        attempt = reports.attempt(method.call, request)
        with attempt:
            try:
                answer = await self._channel.unary(
                    method.path, request.SerializeToString(), deadline.timeout(), attempt.metadata
                )
                message = method.response_type.FromString(answer)
            except FAILURES as failure:
                self.raise_explained(failure, method, request, deadline)
        self._note_contact()
        return message

    def stream(
        self,
        method: Method[RequestT, ResponseT],
        request: RequestT,
        decode: Callable[[ResponseT], ItemT],
        deadline: Deadline,
    ) -> ResponseStream[ItemT]:
        """Send one request and return the stream of decoded answers."""
        attempt = reports.attempt(method.call, request)
        try:
            stream = self._channel.stream(
                method.path, request.SerializeToString(), deadline.timeout(), attempt.metadata
            )
        except FAILURES as failure:
            self.raise_explained(failure, method, request, deadline)
        return ResponseStream(self, stream, method, request, decode, deadline, attempt)

    async def retrying(
        self,
        method: Method[Any, Any],
        call: Call[ResultT],
        deadline: Deadline,
        on_loss: Callable[[], None] = lambda: None,
    ) -> ResultT:
        """Make an idempotent call, and retry it while its connection is lost.

        Args:
            method: The RPC for which it is made.
            call: The call, which does not retry by itself.
            deadline: When to give up.
            on_loss: Called when its connection was lost.

        Raises:
            DaemonUnavailableError: No attempt succeeded in time.
        """
        try:
            return await call()
        except DaemonUnavailableError as error:
            on_loss()
            if deadline.expired() or not self.may_recover(error):
                raise
            # Its traceback would keep this frame alive, and so the error itself.
            lost = error.with_traceback(None)
        with Outage(subject(method.call, lost)) as outage:
            return await self._retry(call, deadline, on_loss, lost, outage)

    async def _retry(
        self,
        call: Call[ResultT],
        deadline: Deadline,
        on_loss: Callable[[], None],
        lost: DaemonUnavailableError,
        outage: Outage,
    ) -> ResultT:
        backoff = Backoff()
        while True:
            pause = backoff.pause(deadline)
            outage.pause(lost, pause)
            await self.pause(pause)
            if deadline.expired():
                raise copy(lost) from lost.__cause__  # not itself: see above
            try:
                result = await call()
            except DaemonUnavailableError as error:
                on_loss()
                if deadline.expired() or not self.may_recover(error):
                    raise
                lost = error.with_traceback(None)
            except OperationTimeoutError:
                if not deadline.is_near():
                    raise
                raise self._still_lost(lost, deadline) from lost
            except SandboxClientError as error:
                if error.reason is not None:  # the daemon's own
                    outage.end()
                raise
            else:
                outage.end()
                return result

    def _still_lost(self, lost: DaemonUnavailableError, deadline: Deadline) -> SandboxClientError:
        error = self._address.unavailable(
            f"no retry succeeded within {deadline.bound:g} s",
            code=lost.code,
            sandbox_id=lost.sandbox_id,
            exec_id=lost.exec_id,
        )
        error.details, error.debug_string = lost.details, lost.debug_string
        return error

    def may_recover(self, error: DaemonUnavailableError) -> bool:
        """Whether a retry could find the daemon.

        If the client never met the daemon and its socket accepts no connections, the daemon was
        probably not started. The caller should get that error immediately.
        """
        return error.retryable and (self.met or self._address.accepts_connections())

    def unavailable(self, detail: str) -> DaemonUnavailableError:
        """Make the error of an unavailable daemon for a reason that gRPC does not know."""
        return self._address.unavailable(detail)

    async def pause(self, seconds: float) -> None:
        """Pause, but end the pause early if the client is closed."""
        await self._channel.pause(seconds)

    @property
    def socket_path(self) -> str | None:
        """The path of the socket, once it is known."""
        return self._address.known_path

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._channel.closed

    @property
    def in_touch(self) -> bool:
        """Whether the daemon answered within the last seconds."""
        contact = self._contact  # once, because other threads write it
        return contact is not None and clock.monotonic() < contact + _deadline.IN_TOUCH_SECONDS

    def socket_identity(self) -> object:
        """The identity of the socket file, which changes when the daemon restarts.

        None: there is no file at present.
        """
        return self._address.socket_identity()

    def peer_identity(self) -> object:
        """A value that changes whenever the peer may have been replaced.

        It changes with the socket file, after a call that did not reach the peer or was not
        understood, and after some seconds without an answer, whoever asked then.
        """
        self._note_gap()
        return self._losses, self._address.socket_identity()

    def when_gone(self, owner: object, function: Callable[[], None]) -> object:
        """Call a quick function soon after an object has been collected; see `Channel`."""
        return self._channel.when_gone(owner, function)

    async def aclose(self) -> None:
        """End every call and refuse new ones. Safe to repeat."""
        await self._channel.aclose()

    def _note_contact(self) -> None:
        now, before = clock.monotonic(), self._contact
        if before is not None and now >= before + _deadline.IN_TOUCH_SECONDS:
            self._losses += 1
        self._contact, self.met = now, True

    def _note_gap(self) -> None:
        if self._contact is not None and not self.in_touch:
            self._losses += 1
            self._contact = None

    def raise_explained(
        self,
        failure: BaseException,
        method: Method[Any, Any],
        request: Message,
        deadline: Deadline,
    ) -> NoReturn:
        """Raise the error of this SDK that says what the failure of an RPC means."""
        try:
            raise_explained(failure, method, request, self._address, deadline)
        except (DaemonUnavailableError, ProtocolError):
            self._losses += 1
            self._contact = None
            raise
        except SandboxClientError as error:
            self.met = self.met or error.reason is not None
            raise


class ResponseStream(Generic[ItemT]):
    """The answers to one streaming call. The code that opens a stream must cancel it.

    Args:
        transport: What sent the request.
        stream: The call.
        method: The RPC.
        request: The request.
        decode: Turns an answer into an item.
        deadline: The deadline of the RPC.
        attempt: Reports how it ends.
    """

    __slots__ = (
        "__weakref__",
        "_attempt",
        "_cancelled",
        "_deadline",
        "_decode",
        "_loss",
        "_method",
        "_request",
        "_stream",
        "_transport",
        "on_end",
    )

    # No closures: thousands of streams may be open, and the garbage collector visits each object.
    def __init__(
        self,
        transport: Transport,
        stream: Stream,
        method: Method[Any, Any],
        request: Message,
        decode: Callable[[Any], ItemT],
        deadline: Deadline,
        attempt: AnyAttempt = UNHEARD,
    ) -> None:
        self._transport = transport
        self._attempt = attempt
        self._stream = stream
        self._method = method
        self._request = request
        self._decode = decode
        self._deadline = deadline
        self._cancelled = False
        self._loss: SandboxClientError | None = None
        self.on_end: Callable[[ResponseStream[ItemT]], None] = _ignore
        """Called when the stream has ended, possibly more than once."""

    def usable(self) -> bool:
        """Whether the stream can be read from here; if not, it can never be read again."""
        return self._stream.usable()

    async def read(self) -> ItemT | None:
        """Return the next item; None if the daemon ended the stream or we cancelled it."""
        try:
            answer = await self._stream.read()
            if answer is not None:
                message = self._method.response_type.FromString(answer)
                self._transport.met = True
                return self._decode(message)
        except BaseException as failure:
            attempt, self._attempt = self._attempt, UNHEARD
            with attempt:  # reports what is raised
                if not isinstance(failure, FAILURES):
                    raise
                self._transport.raise_explained(
                    failure, self._method, self._request, self._deadline
                )
        self._report()
        self.on_end(self)
        if self._loss is not None:
            raise copy(self._loss) from self._loss
        # Servers also see the deadline of a stream, and may end it with OK. Recorded for a third of
        # the streams.
        if not self._cancelled and self._deadline.is_near():
            raise stream_timeout(self._method, self._deadline)
        return None

    def cancel(self) -> None:
        """Cancel the call. Safe to repeat, at any time and from anywhere."""
        self._cancelled = True
        self._stream.cancel()
        self._report()
        self.on_end(self)

    # Once, whether it was read or left first.
    def _report(self) -> None:
        attempt, self._attempt = self._attempt, UNHEARD
        attempt.end("cancelled" if self._cancelled else "ended by the daemon")

    def abandon(self, loss: SandboxClientError) -> None:
        """End the call; its reader gets the error."""
        self._loss = loss
        self.cancel()


def _ignore(_: object) -> None:
    """Do nothing at the end of a stream."""
