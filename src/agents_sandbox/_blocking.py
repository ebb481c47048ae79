"""The blocking half of the primitive pair; `_aio` is the other.

All that differs between the flavours is here, under the same names with the
same contracts.
"""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeAlias, TypeVar

import grpc

from ._deadline import Deadline
from ._forks import MUTEX, leave_alone
from ._rpc import CHANNEL_OPTIONS
from .errors import ClientClosedError

_ItemT = TypeVar("_ItemT")

Call: TypeAlias = Callable[[], _ItemT]
"""A call that is still to be made, of a method or function of the flavour."""


class Channel:
    """One gRPC channel, opened by the first call. May be shared by threads.

    Args:
        target: Gives the address; asked when the channel is opened.
    """

    def __init__(self, target: Callable[[], str]) -> None:
        self._target = target
        self._channel: grpc.Channel | None = None
        self._process = os.getpid()
        self._closed = False
        self._closing = _Latch()

    def unary(self, path: str, request: bytes, timeout: float | None) -> bytes:
        """Send one request and return the answer; raises `grpc.RpcError`."""
        with self.closing_is_not_cancelling():
            method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._open().unary_unary(path)
            if threading.current_thread() is not threading.main_thread():
                return method(request, timeout=timeout)
            # Ctrl-C comes to the main thread only, and would leave a plain call behind.
            call = method.future(request, timeout=timeout)
            try:
                return call.result()
            finally:
                call.cancel()  # does nothing to a call that has ended

    def stream(self, path: str, request: bytes, timeout: float | None) -> Stream:
        """Send one request and return the stream of answers."""
        with self.closing_is_not_cancelling():
            method: grpc.UnaryStreamMultiCallable[bytes, bytes] = self._open().unary_stream(path)
            call = method(request, timeout=timeout)
            try:
                return Stream(self, call, iter(call))
            except BaseException:  # Ctrl-C, before there was anything that ends it
                call.cancel()
                raise

    def pause(self, seconds: float) -> None:
        """Let the given time pass, or less if the channel is closed meanwhile."""
        self._closing.wait(seconds)

    def close(self) -> None:
        """End every call and refuse new ones. Safe to repeat."""
        with MUTEX:
            self._closed = True
            channel = self._channel
        self._closing.open()
        if channel is not None:
            self._close(channel)
            self._channel = None  # last, so that who was interrupted can close again

    def _open(self) -> grpc.Channel:
        with MUTEX:
            if self._closed:
                raise ClientClosedError("the client is closed: make a new one")
            if self._channel is not None and self._process != os.getpid():
                leave_alone(self._channel)
                self._channel = None
            if self._channel is None:
                self._process = os.getpid()
                self._channel = grpc.insecure_channel(self._target(), options=CHANNEL_OPTIONS)
            return self._channel

    def _close(self, channel: grpc.Channel) -> None:
        if self._process == os.getpid():
            channel.close()
        else:
            leave_alone(channel)

    @contextmanager
    def closing_is_not_cancelling(self) -> Iterator[None]:
        """Tell a call that ended with the channel from one that failed.

        gRPC says CANCELLED to calls under way, and ValueError to one that
        begins while another thread closes.
        """
        try:
            yield
        except (grpc.RpcError, grpc.FutureCancelledError, ValueError) as error:
            if self._closed:
                raise ClientClosedError("the client was closed during the call") from error
            raise

    def __del__(self) -> None:
        if self._channel is not None and self._process == os.getpid():
            warnings.warn(
                "a SyncAgentsSandboxClient was not closed: use it in a with, or call close()",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )


class Stream:
    """The answers to one streaming call. Whoever opens one cancels it."""

    def __init__(self, channel: Channel, call: grpc.Call, answers: Iterator[bytes]) -> None:
        self._channel = channel
        self._call = call
        self._answers = answers
        self._cancelled = False
        self._process = os.getpid()

    def usable(self) -> bool:
        """Whether the stream can be read from here; if not, it is gone for good."""
        return self._process == os.getpid()

    def read(self) -> bytes | None:
        """Return the next answer; None after the peer's end or our own cancel."""
        try:
            with self._channel.closing_is_not_cancelling():
                return next(self._answers, None)
        except grpc.RpcError:
            if self._cancelled:
                return None
            raise

    def cancel(self) -> None:
        """End the call. Safe to repeat, at any time and from anywhere."""
        self._cancelled = True
        if self._process == os.getpid():
            self._call.cancel()
        else:
            leave_alone((self._call, self._answers))  # its end is the parent's to decide

    # gRPC's call is held by a thread of its own and would live on for ever.
    def __del__(self) -> None:
        if hasattr(self, "_process"):  # else Ctrl-C came while it was made
            self.cancel()


class Reader:
    """A function that goes on beside its caller, and ends by itself.

    Args:
        function: What goes on; it must not raise.
        ended: Called when it has ended, or was stopped before it began.
    """

    def __init__(self, function: Call[None], ended: Callable[[], None]) -> None:
        def read() -> None:
            try:
                function()
            finally:
                ended()

        self._process = os.getpid()
        # No interpreter waits at its exit for what the daemon may never send.
        self._thread = threading.Thread(target=read, name="agents-sandbox-events", daemon=True)
        self._thread.start()

    def alive(self) -> bool:
        """Whether it still goes on, and here."""
        return self._thread.is_alive() and self._process == os.getpid()

    def stop(self) -> None:
        """Do not let it wait any longer for what it waits for: the end of its stream does."""


class Mailbox(Generic[_ItemT]):
    """Items for one taker, first in, first out."""

    def __init__(self) -> None:
        self._items: deque[_ItemT] = deque()
        self._arrival = _closed_gate()

    def put(self, item: _ItemT) -> None:
        """Add an item. Never waits."""
        self._items.append(item)
        _open_gate(self._arrival)

    def take(self, timeout: float | None) -> _ItemT | None:
        """Take the next item; None if none came within `timeout` seconds."""
        deadline = _deadline_of(timeout)
        while not self._items:
            # The gate may stand open since an arrival that was taken without a wait.
            if not _acquire(self._arrival, deadline.remaining()):
                break
        return self._items.popleft() if self._items else None


class TimedLock:
    """Lets one in at a time, and nobody wait for too long."""

    def __init__(self) -> None:
        # It knows its owner, so that whoever was interrupted may release it in any case.
        self._lock = threading.RLock()
        self._process = os.getpid()

    @contextmanager
    def held(self, timeout: float | None) -> Iterator[bool]:
        """Hold the lock, or do not (False) if that would take longer than `timeout` seconds."""
        if self._process != os.getpid():  # who held it in the parent is not here to let it go
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
                release()  # an interruption from outside may come at any line


class _Latch:
    """Opens once, and then lets everybody through."""

    def __init__(self) -> None:
        self._gate = _closed_gate()

    def open(self) -> None:
        """Open it. Safe to repeat."""
        _open_gate(self._gate)

    def wait(self, timeout: float) -> None:
        """Wait until it opens, but no longer than `timeout` seconds."""
        if _acquire(self._gate, timeout):
            _open_gate(self._gate)  # for the next one


# Waits are made of bare locks. Ctrl-C at the wrong moment leaves a Condition, and so an Event and
# a Queue, in disorder; and `SimpleQueue.get(timeout=)` waits for ever when its time runs out before
# it begins to wait (seen in Python 3.10 to 3.13).
def _closed_gate() -> threading.Lock:
    gate = threading.Lock()
    gate.acquire()
    return gate


def _open_gate(gate: threading.Lock) -> None:
    with suppress(RuntimeError):  # it was open
        gate.release()


# A signal that comes just before a wait begins is seen only when the wait is over: in the main
# thread, where Ctrl-C comes, none lasts longer than this. gRPC waits likewise.
_INTERRUPTIBLE_SECONDS = 0.2


def _acquire(lock: threading.Lock | threading.RLock, timeout: float | None) -> bool:
    """Acquire a lock, or do not (False) if that would take longer than `timeout` seconds."""
    if threading.current_thread() is not threading.main_thread():
        return lock.acquire(timeout=-1 if timeout is None else timeout)
    deadline = _deadline_of(timeout)
    while not lock.acquire(timeout=deadline.within(_INTERRUPTIBLE_SECONDS).remaining() or 0.0):
        if deadline.expired():
            return False
    return True


def _deadline_of(timeout: float | None) -> Deadline:
    return Deadline(math.inf if timeout is None else timeout)
