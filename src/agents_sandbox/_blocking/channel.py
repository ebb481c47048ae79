"""One client's connection and its streams."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar
from weakref import ref

import grpc

from .._connection.rpc import CallError
from .._surroundings.forks import MUTEX
from .._surroundings.gevent import obstacle_to_grpc
from .._telemetry.recording import Metadata
from .._tracebacks import level_of_caller
from ..errors import ClientClosedError, ClientLoopError
from .calls import Connection, StreamCall, UnaryCall
from .locks import in_main_thread
from .waiting import Latch

_AnswerT = TypeVar("_AnswerT")


class Channel:
    """One connection, opened by the first call. Threads may share it.

    Args:
        target: Returns the address; called when the connection is opened.
    """

    _connection: Connection | None = None  # for `__del__`, if the constructor is interrupted

    def __init__(self, target: Callable[[], str]) -> None:
        self._target = target
        self._closed = False
        self._closing = Latch()

    def unary(
        self, path: str, request: bytes, timeout: float | None, metadata: Metadata = ()
    ) -> bytes:
        """Send one request and return the answer; raise `grpc.RpcError` if the call fails."""
        connection = self._connect()
        try:
            if not in_main_thread():
                return _unless_failed(connection.unary(path, request, timeout, metadata))
            call = UnaryCall(connection, path, request, timeout, metadata)
            return _unless_failed(connection.helpers.run(call.answer, call))
        except grpc.RpcError:
            _raise_if_closed(self)
            raise

    def stream(
        self, path: str, request: bytes, timeout: float | None, metadata: Metadata = ()
    ) -> Stream:
        """Return the stream of answers to one request."""
        connection = self._connect()
        call = StreamCall(connection, path, request, timeout, metadata)
        return Stream(self, connection, call)

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def pause(self, seconds: float) -> None:
        """Wait for the given time, or until the channel is closed."""
        self._closing.wait(seconds)

    def when_gone(self, owner: object, function: Callable[[], None]) -> object:
        """Call a quick function soon after an object has been collected, unless that is too late.

        Returns:
            What has to be kept until then.
        """
        helpers = self._connect().helpers
        helpers.provide()
        return ref(owner, helpers.when_gone(function))

    def close(self) -> None:
        """End every call and refuse new ones. Safe to repeat."""
        with MUTEX:
            self._closed = True
            connection = self._connection
        self._closing.open()
        if connection is not None:
            if connection.usable():
                connection.helpers.run(connection.close)
            self._connection = None  # last, so that an interrupted close can be repeated

    def _connect(self) -> Connection:
        # Nearly always without the mutex: a signal handler that runs while the main thread holds it
        # may wait for another thread that makes a call.
        connection = self._connection
        if connection is not None and connection.usable() and not self._closed:
            return connection
        with MUTEX:
            if self._closed:
                raise ClientClosedError("the client is closed: create a new one")
            connection = self._connection
            if connection is None or not connection.usable():
                _refuse_where_grpc_hangs()
                connection = self._connection = Connection(self._target())
            return connection

    def __del__(self) -> None:
        connection = self._connection
        if connection is None or not connection.in_this_process():
            return
        if connection.usable():
            connection.helpers.hand_over(connection.close)
        warnings.warn(
            "a SyncAgentsSandboxClient was not closed: use with, or call close()",
            ResourceWarning,
            source=self,
            stacklevel=level_of_caller(),
        )


# gRPC ends the calls of a channel that is closed with CANCELLED.
def _raise_if_closed(channel: Channel) -> None:
    if channel.closed:
        raise ClientClosedError("the client was closed during the call") from None


def _refuse_where_grpc_hangs() -> None:
    if obstacle := obstacle_to_grpc():
        raise ClientLoopError(obstacle)


class Stream:
    """The answers to one streaming call. The code that opens a stream must cancel it."""

    def __init__(self, channel: Channel, connection: Connection, call: StreamCall) -> None:
        self._channel = channel
        self._connection = connection
        self._call = call
        # If the code does not, the call would continue until the channel is closed.
        call.cancel_with(self)
        connection.helpers.provide()

    def usable(self) -> bool:
        """Whether the stream can be read from here; if not, it can never be read again."""
        return self._connection.usable()

    def read(self) -> bytes | None:
        """Return the next answer; None if the peer ended the stream or we cancelled it."""
        call = self._call
        try:
            return _unless_failed(self._connection.helpers.run(call.read, call))
        except grpc.RpcError:
            _raise_if_closed(self._channel)
            if call.given_up:
                return None
            raise

    def cancel(self) -> None:
        """Cancel the call. Safe to repeat, at any time and from anywhere."""
        self._call.given_up = True
        if self.usable():  # only the parent may cancel its calls
            self._connection.helpers.hand_over(self._call.cancel)


def _unless_failed(outcome: _AnswerT | CallError) -> _AnswerT:
    if not isinstance(outcome, CallError):
        return outcome
    try:
        raise outcome
    finally:
        del outcome  # its traceback refers to this frame
