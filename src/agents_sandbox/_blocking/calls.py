"""gRPC's calls, those that are cancelled by themselves each on a gRPC channel of its own.

To close its channel is the only way to cancel a blocking call from another thread. gRPC's futures
and its default kind of stream can be cancelled themselves, but they need a thread of gRPC for each
channel: such a call takes almost twice as long, and is not possible where no thread can be started.
All gRPC channels of a client share one connection.

Nothing but the end of the client cancels a call that another thread than the main one makes and
waits for: these calls share a channel.

The main thread calls nothing here that uses gRPC: see `helpers`.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any
from weakref import ref

import grpc
import grpc.experimental

from .._connection.rpc import CHANNEL_OPTIONS, CallError
from .._surroundings.forks import keep_unfinalized
from .._telemetry.recording import Metadata
from ..errors import ClientClosedError
from .helpers import Helpers
from .locks import in_main_thread

_numbers = itertools.count(1)

# Otherwise the garbage collector, which runs in any thread, could finalize gRPC's objects in the
# main thread. A forked child keeps its parent's connections: to close them would disturb it.
_open: set[Connection] = set()


class Connection:
    """What a client uses of gRPC in one process.

    Args:
        target: The daemon's address.
    """

    def __init__(self, target: str) -> None:
        self.helpers: Helpers = Helpers()
        self._target = target
        self._process = os.getpid()
        self._options = (
            *CHANNEL_OPTIONS,
            # Channels with equal options share a connection. Clients do not share one, and a forked
            # child does not use its parent's.
            ("agents_sandbox.connection", f"{self._process}-{next(_numbers)}"),
            (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),
        )
        # Not the mutex of all clients: the main thread may hold that while a signal handler waits
        # for a helper. Reentrant for handlers of a main thread without helpers.
        self._lock = threading.RLock()
        self._shared: _GrpcChannel | None = None
        self._idle: list[_GrpcChannel] = []
        self._calls: set[_Call] = set()
        self._closed = False
        _open.add(self)

    def usable(self) -> bool:
        """Whether it can be used: only in its process, and until that destroys its modules."""
        return self._process == os.getpid() and not sys.is_finalizing()

    def in_this_process(self) -> bool:
        """Whether it was made in this process, not in its parent."""
        return self._process == os.getpid()

    def unary(
        self, path: str, request: bytes, timeout: float | None, metadata: Metadata = ()
    ) -> bytes | CallError:
        """Make a call with one answer in another thread than the main one.

        Returns:
            The answer, or why the call failed.
        """
        shared = self._shared or self._share()
        try:
            return shared.unary(path)(request, timeout=timeout, metadata=metadata)
        except grpc.RpcError as error:
            return CallError.of(error)
        except ValueError:
            if self._closed:
                return _cancelled()  # gRPC refused to begin it
            raise

    def _share(self) -> _GrpcChannel:
        with self._lock:
            self._refuse_if_closed()
            if self._shared is None:
                self._shared = self._channel()
            return self._shared

    def take(self, call: _Call) -> _GrpcChannel:
        """Return a channel of gRPC for one call."""
        with self._lock:
            self._refuse_if_closed()
            self._calls.add(call)
            return self._idle.pop() if self._idle else self._channel()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ClientClosedError("the client was closed during the call")

    def _channel(self) -> _GrpcChannel:
        return _GrpcChannel(grpc.insecure_channel(self._target, options=self._options))

    def give_back(self, call: _Call, channel: _GrpcChannel, *, reusable: bool) -> None:
        """Take back the channel of a call that has ended; close it if it is not reusable."""
        with self._lock:
            self._calls.discard(call)
            if reusable and not self._closed:
                self._idle.append(channel)
                return
        channel.close()

    def abandon(self, call: _Call) -> None:
        """Never use what gRPC made for a call again, not even to end it: a lock may be held."""
        with self._lock:
            self._calls.discard(call)
        keep_unfinalized(vars(call).copy())

    def close(self) -> None:
        """End all calls, close all channels and end the helpers. Safe to repeat."""
        with self._lock:
            self._closed = True
            calls, idle = tuple(self._calls), self._idle
            # Let go of them here: if the last reference went in the main thread, gRPC's finalizer
            # would run there.
            shared, self._shared, self._idle = self._shared, None, []
            if shared is not None:
                idle.append(shared)
        for call in calls:
            call.cancel()
        for channel in idle:
            channel.close()
        self.helpers.end()
        _open.discard(self)


class _GrpcChannel:
    """A channel of gRPC.

    It keeps what gRPC makes for a method, because to make that anew costs a twentieth of a call.
    """

    __slots__ = ("_unary", "inner")

    def __init__(self, inner: grpc.Channel) -> None:
        self.inner: grpc.Channel = inner
        self._unary: dict[str, grpc.UnaryUnaryMultiCallable[bytes, bytes]] = {}

    def unary(self, path: str) -> grpc.UnaryUnaryMultiCallable[bytes, bytes]:
        """Return what calls a method with one answer."""
        method = self._unary.get(path)
        if method is None:
            method = self._unary[path] = self.inner.unary_unary(path)
        return method

    def close(self) -> None:
        """End its calls."""
        self.inner.close()


class _Call:
    """A call. `cancel` may run in another thread at any time.

    So each thread first writes what the other one reads, and only then reads what the other writes.
    """

    def __init__(
        self,
        connection: Connection,
        path: str,
        request: bytes,
        timeout: float | None,
        metadata: Metadata = (),
    ) -> None:
        self.given_up = False
        """Whether the caller does not want it any more. It must not begin then."""
        self._connection = connection
        self._path = path
        self._request = request
        self._timeout = timeout
        self._metadata = metadata
        self._cancelled = False
        self._channel: _GrpcChannel | None = None  # while the call is in progress

    def cancel(self) -> None:
        """End the call if it is in progress. Safe to repeat."""
        self._cancelled = True
        channel = self._channel
        if channel is not None:
            channel.close()

    def _begin(self) -> _GrpcChannel:
        channel = self._channel = self._connection.take(self)
        if self.given_up or self._cancelled:
            raise _cancelled()
        return channel

    def _end(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            self._connection.give_back(self, channel, reusable=not self._cancelled)

    def _failure(self, error: BaseException) -> CallError | None:
        """Return why the call failed; None if the error says something else."""
        if isinstance(error, grpc.RpcError):
            return CallError.of(error)
        if self._cancelled and isinstance(error, ValueError):
            return _cancelled()  # gRPC refused to begin it
        self._cancelled = True  # an interceptor raised it, so the call may still be in progress
        if in_main_thread():  # or a signal handler did, because there are no helpers
            self._connection.abandon(self)
            self._channel = None
        return None


def _cancelled() -> CallError:
    return CallError(grpc.StatusCode.CANCELLED, "cancelled")


class UnaryCall(_Call):
    """A call with one answer."""

    def __init__(
        self,
        connection: Connection,
        path: str,
        request: bytes,
        timeout: float | None,
        metadata: Metadata = (),
    ) -> None:
        super().__init__(connection, path, request, timeout, metadata)
        # Libraries for tracing find the caller's span in its context.
        self._in_context = copy_context().run

    def answer(self) -> bytes | CallError:
        """Make the call; return the answer, or why the call failed."""
        try:
            method = self._begin().unary(self._path)
            return self._in_context(
                method, self._request, timeout=self._timeout, metadata=self._metadata
            )
        except BaseException as error:
            failure = self._failure(error)
            if failure is None:
                raise
            return failure
        finally:
            self._end()


class StreamCall(_Call):
    """A call with any number of answers. The first read makes it."""

    def __init__(
        self,
        connection: Connection,
        path: str,
        request: bytes,
        timeout: float | None,
        metadata: Metadata = (),
    ) -> None:
        super().__init__(connection, path, request, timeout, metadata)
        self._reading = threading.Lock()
        self._begun = False
        self._answers: Iterator[bytes] | None = None
        self._owner: ref[object] | None = None

    def cancel_with(self, owner: object) -> None:
        """Cancel the call when an object has been collected."""
        self._owner = ref(owner, self._connection.helpers.when_gone(self.cancel))

    def read(self) -> bytes | CallError | None:
        """Return the next answer, None at the end, or why the call failed."""
        if self.given_up:
            return None
        with self._reading:
            answer = self._next()
        if self._cancelled:
            self._drain()
        return answer

    def cancel(self) -> None:
        """End the call if it is in progress. Safe to repeat."""
        super().cancel()
        self._drain()

    # gRPC frees such a call when its status has been read, and not when it is collected.
    def _drain(self) -> None:
        """Read the rest of a cancelled call, unless another thread reads it."""
        if self._reading.acquire(blocking=False):
            try:
                left: object = b""
                while isinstance(left, bytes):
                    left = self._next(begin=False)
            finally:
                self._reading.release()

    def _next(self, *, begin: bool = True) -> bytes | CallError | None:
        try:
            if begin and not self._begun:
                self._begun = True
                method: grpc.UnaryStreamMultiCallable[bytes, bytes]
                method = _below_interceptors(self._begin().inner).unary_stream(self._path)
                self._answers = iter(
                    method(self._request, timeout=self._timeout, metadata=self._metadata)
                )
            if self._answers is None:
                return _cancelled() if self._cancelled else None
            answer: bytes | CallError | None = next(self._answers, None)
        except BaseException as error:
            answer = self._failure(error)
            if answer is None:
                self._finish()
                raise
        if not isinstance(answer, bytes):
            self._finish()
        return answer

    def _finish(self) -> None:
        self._answers = self._owner = None
        self._end()


# Tracing libraries put interceptors around every new channel. OpenTelemetry's turn the call of a
# stream into a generator, whose span would belong to whichever wait opened the stream for all.
def _below_interceptors(channel: Any) -> grpc.Channel:
    """Return the channel of gRPC itself, for calls that must be real ones."""
    while hasattr(channel, "_interceptor"):
        channel = channel._channel  # noqa: SLF001 - the name in gRPC's and OpenTelemetry's class
    plain: grpc.Channel = channel
    return plain
