"""The blocking half of the primitive pair; `_aio` is the other half.

The two halves contain everything that differs between the flavours, under the same names and
with the same contracts.
"""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeAlias, TypeVar

import grpc

from ._deadline import Deadline
from ._forks import MUTEX, keep_unfinalized
from ._gevent import obstacle_to_grpc
from ._rpc import CHANNEL_OPTIONS
from ._tracebacks import ends_at_caller
from .errors import ClientClosedError, ClientLoopError

_ItemT = TypeVar("_ItemT")
_MethodT = TypeVar("_MethodT", bound=Callable[..., Any])

Call: TypeAlias = Callable[[], _ItemT]
"""A call that has not been made yet, of a method or function of this flavour."""


def public(method: _MethodT) -> _MethodT:
    """Decorate a public method: the traceback of an error of ours does not show our frames."""
    return ends_at_caller(method)


class Channel:
    """One gRPC channel, opened by the first call. Threads may share it.

    Args:
        target: Returns the address; called when the channel is opened.
    """

    def __init__(self, target: Callable[[], str]) -> None:
        self._target = target
        self._channel: grpc.Channel | None = None
        self._process = os.getpid()
        self._closed = False
        self._closing = _Latch()

    def unary(self, path: str, request: bytes, timeout: float | None) -> bytes:
        """Send one request and return the answer; raise `grpc.RpcError` if the call fails."""
        with self.report_closing():
            method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._open().unary_unary(path)
            if threading.current_thread() is not threading.main_thread():
                return method(request, timeout=timeout)
            # Ctrl-C reaches only the main thread, and would leave a plain call running.
            call = method.future(request, timeout=timeout)
            try:
                return call.result()
            finally:
                call.cancel()  # no effect if the call has ended

    def stream(self, path: str, request: bytes, timeout: float | None) -> Stream:
        """Send one request and return the stream of answers."""
        with self.report_closing():
            channel = _below_interceptors(self._open())
            method: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path)
            call = method(request, timeout=timeout)
            try:
                return Stream(self, call, iter(call))
            except BaseException:  # Ctrl-C before the Stream that would cancel the call exists
                call.cancel()
                raise

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def pause(self, seconds: float) -> None:
        """Wait for the given time, or until the channel is closed."""
        self._closing.wait(seconds)

    def close(self) -> None:
        """End every call and refuse new ones. Safe to repeat."""
        with MUTEX:
            self._closed = True
            channel = self._channel
        self._closing.open()
        if channel is not None:
            self._close(channel)
            self._channel = None  # last, so that an interrupted close can be repeated

    def _open(self) -> grpc.Channel:
        with MUTEX:
            if self._closed:
                raise ClientClosedError("the client is closed: create a new one")
            if self._channel is not None and self._process != os.getpid():
                keep_unfinalized(self._channel)
                self._channel = None
            if self._channel is None:
                _refuse_where_grpc_hangs()
                self._process = os.getpid()
                self._channel = grpc.insecure_channel(self._target(), options=CHANNEL_OPTIONS)
            return self._channel

    def _close(self, channel: grpc.Channel) -> None:
        if self._process == os.getpid():
            channel.close()
        else:
            keep_unfinalized(channel)

    @contextmanager
    def report_closing(self) -> Iterator[None]:
        """Raise `ClientClosedError` if a call ended because the channel was closed.

        gRPC ends calls in progress with CANCELLED, and raises ValueError for a call that begins
        while another thread closes the channel.
        """
        try:
            yield
        except (grpc.RpcError, grpc.FutureCancelledError, ValueError):
            if self._closed:
                raise ClientClosedError("the client was closed during the call") from None
            raise

    def __del__(self) -> None:
        if self._channel is not None and self._process == os.getpid():
            warnings.warn(
                "a SyncAgentsSandboxClient was not closed: use with, or call close()",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )


def _refuse_where_grpc_hangs() -> None:
    if obstacle := obstacle_to_grpc():
        raise ClientLoopError(obstacle)


# Tracing libraries put interceptors around every new channel. OpenTelemetry's turn the call of a
# stream into a generator. Nothing can cancel that while another thread reads it, and its span would
# belong to whichever wait opened the stream for all.
def _below_interceptors(channel: Any) -> grpc.Channel:
    """Return the channel of gRPC itself, for calls that must be real ones."""
    while hasattr(channel, "_interceptor"):
        channel = channel._channel  # noqa: SLF001 - the name in gRPC's and OpenTelemetry's class
    plain: grpc.Channel = channel
    return plain


class Stream:
    """The answers to one streaming call. The code that opens a stream must cancel it."""

    def __init__(self, channel: Channel, call: grpc.Call, answers: Iterator[bytes]) -> None:
        self._channel = channel
        self._call = call
        self._answers = answers
        self._cancelled = False
        self._process = os.getpid()

    def usable(self) -> bool:
        """Whether the stream can be read from here; if not, it can never be read again."""
        return self._process == os.getpid()

    def read(self) -> bytes | None:
        """Return the next answer; None if the peer ended the stream or we cancelled it."""
        try:
            with self._channel.report_closing():
                return next(self._answers, None)
        except grpc.RpcError:
            if self._cancelled:
                return None
            raise

    def cancel(self) -> None:
        """Cancel the call. Safe to repeat, at any time and from anywhere."""
        self._cancelled = True
        if self._process == os.getpid():
            self._call.cancel()
        else:
            keep_unfinalized((self._call, self._answers))  # only the parent may cancel it

    # gRPC's own thread refers to the call, so it would continue forever.
    def __del__(self) -> None:
        if hasattr(self, "_process"):  # not set if Ctrl-C interrupted the constructor
            self.cancel()


class Reader:
    """Runs a function in the background until it returns.

    Args:
        function: The function; it must not raise.
        on_end: Called when the function has ended, or was stopped before it started.
    """

    def __init__(self, function: Call[None], on_end: Callable[[], None]) -> None:
        def read() -> None:
            try:
                function()
            finally:
                on_end()

        self._process = os.getpid()
        # A daemon thread: the interpreter must not wait at exit for events that may never come.
        self._thread = threading.Thread(target=read, name="agents-sandbox-events", daemon=True)
        self._thread.start()

    def alive(self) -> bool:
        """Whether the function is still running, and in this process."""
        return self._thread.is_alive() and self._process == os.getpid()

    def stop(self) -> None:
        """Do nothing: the end of its stream interrupts the function where it waits."""

    def ended(self) -> None:
        """Do nothing: no one misses a thread that ends a little later."""


class Mailbox(Generic[_ItemT]):
    """A queue of items for one consumer."""

    def __init__(self) -> None:
        self._items: deque[_ItemT] = deque()
        self._arrival = _closed_gate()

    def put(self, item: _ItemT) -> None:
        """Add an item. Never waits."""
        self._items.append(item)
        _open_gate(self._arrival)

    def take(self, timeout: float | None) -> _ItemT | None:
        """Take the next item; None if none arrives within `timeout` seconds."""
        deadline = _deadline_of(timeout)
        while not self._items:
            # The gate may still be open after an item that was taken without a wait.
            if not _acquire(self._arrival, deadline.remaining()):
                break
        return self._items.popleft() if self._items else None


class TimedLock:
    """A lock that can be acquired with a timeout."""

    def __init__(self) -> None:
        # An RLock knows its owner: an interrupted caller can safely release it in any case.
        self._lock = threading.RLock()
        self._process = os.getpid()

    @contextmanager
    def held(self, timeout: float | None) -> Iterator[bool]:
        """Hold the lock; yield False if it could not be acquired within `timeout` seconds."""
        if self._process != os.getpid():  # the parent's thread that held it does not exist here
            self._lock, self._process = threading.RLock(), os.getpid()
        lock = self._lock

        def release() -> None:
            with suppress(RuntimeError):
                lock.release()

        try:
            yield _acquire(lock, timeout)
        finally:
            try:
                release()
            finally:
                release()  # an interruption can come at any line


class _Latch:
    """A flag that is set once and can be waited for."""

    def __init__(self) -> None:
        self._gate = _closed_gate()

    def open(self) -> None:
        """Open it. Safe to repeat."""
        _open_gate(self._gate)

    def wait(self, timeout: float) -> None:
        """Wait until it is open, but no longer than `timeout` seconds."""
        if _acquire(self._gate, timeout):
            _open_gate(self._gate)  # for the next waiting thread


# Waits use bare locks. Ctrl-C at the wrong moment corrupts a Condition, and so an Event and a
# Queue. `SimpleQueue.get(timeout=)` waits forever if its time runs out before it begins to wait
# (observed in Python 3.10 to 3.13).
def _closed_gate() -> threading.Lock:
    gate = threading.Lock()
    gate.acquire()
    return gate


def _open_gate(gate: threading.Lock) -> None:
    with suppress(RuntimeError):  # it was already open
        gate.release()


# A signal that arrives just before a wait begins is handled only after the wait. The main thread
# receives Ctrl-C, so it never waits longer than this in one go. gRPC does the same.
_INTERRUPTIBLE_SECONDS = 0.2


def _acquire(lock: threading.Lock | threading.RLock, timeout: float | None) -> bool:
    """Acquire a lock; return False if that is not possible within `timeout` seconds."""
    if threading.current_thread() is not threading.main_thread():
        return lock.acquire(timeout=-1 if timeout is None else timeout)
    deadline = _deadline_of(timeout)
    while not lock.acquire(timeout=deadline.within(_INTERRUPTIBLE_SECONDS).remaining() or 0.0):
        if deadline.expired():
            return False
    return True


def _deadline_of(timeout: float | None) -> Deadline:
    return Deadline(math.inf if timeout is None else timeout)
