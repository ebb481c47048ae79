"""The async half of the primitive pair; `_blocking` is the other.

All that differs between the flavours is here, under the same names with the
same contracts. `_async` is written against these names alone.
"""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Generic, Literal, TypeAlias, TypeVar
from weakref import WeakSet

import grpc.aio

from ._forks import leave_alone
from ._rpc import CHANNEL_OPTIONS
from .errors import ClientClosedError, ClientLoopError

_ItemT = TypeVar("_ItemT")

Call: TypeAlias = Callable[[], Coroutine[Any, Any, _ItemT]]
"""A call that is still to be made, of a method or function of the flavour."""


class Channel:
    """One gRPC channel, opened by the first call and bound to its event loop.

    gRPC's own channel fails at its first use when it was made outside of a
    running loop, and silently hangs when it is used from another one.

    Args:
        target: Gives the address; asked when the channel is opened.
    """

    def __init__(self, target: Callable[[], str]) -> None:
        self._target = target
        self._channel: grpc.aio.Channel | None = None
        self._home: _Home | None = None
        self._closed = False
        self._closing = _Latch()
        self._calls: WeakSet[grpc.aio.Call] = WeakSet()

    async def unary(self, path: str, request: bytes, timeout: float | None) -> bytes:
        """Send one request and return the answer; raises `grpc.RpcError`."""
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._open().unary_unary(path)
        call = method(request, timeout=timeout)
        self._calls.add(call)
        with self.closing_is_not_cancelling():
            return await call

    def stream(self, path: str, request: bytes, timeout: float | None) -> Stream:
        """Send one request and return the stream of answers."""
        method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self._open().unary_stream(path)
        call = method(request, timeout=timeout)
        self._calls.add(call)
        return Stream(self, call)

    async def pause(self, seconds: float) -> None:
        """Let the given time pass, or less if the channel is closed meanwhile."""
        await self._closing.wait(seconds)

    async def aclose(self) -> None:
        """End every call and refuse new ones. Safe to repeat."""
        channel = self._channel if _usable_here(self._home) else None
        self._closed, self._channel = True, None
        self._closing.open()
        if channel is not None:
            # gRPC looks for calls to end in the frames of all tasks, and finds
            # only those that a task awaits directly.
            for call in tuple(self._calls):
                call.cancel()
            await channel.close()
        else:
            self._abandon_calls()

    def _abandon_calls(self) -> None:
        """Let go of what a closed loop has left under way."""
        if self._home is not None and self._home.loop.is_closed() and self._home.is_of_process():
            for call in tuple(self._calls):
                _cancel_on_closed_loop(call)
        self._calls.clear()

    def _open(self) -> grpc.aio.Channel:
        if self._closed:
            raise ClientClosedError("the client is closed: make a new one")
        if self._channel is None or not _usable_here(self._home):
            _refuse_after_fork()
            self._abandon_calls()
            self._home = _Home()
            self._channel = grpc.aio.insecure_channel(self._target(), options=CHANNEL_OPTIONS)
            _open_channels.add(self)
        return self._channel

    @contextmanager
    def closing_is_not_cancelling(self) -> Iterator[None]:
        """Tell a call that ended with the channel from a task that is cancelled.

        gRPC says CancelledError for both; only the second is the task's.
        """
        before = _cancellations()
        try:
            yield
        except asyncio.CancelledError:
            if self._closed and _cancellations() == before:
                raise ClientClosedError("the client was closed during the call") from None
            raise

    def __del__(self) -> None:
        if self._channel is not None and self._home is not None and self._home.is_of_process():
            warnings.warn(
                "an AgentsSandboxClient was not closed: use it in an async with, or call aclose()",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )

    def _left_in_child(self) -> None:
        """Forget, in a forked child, what belongs to the parent."""
        channel, self._channel = self._channel, None
        leave_alone((channel, tuple(self._calls)))


# gRPC ends the call itself, before it finds that it cannot tell its own tasks.
def _cancel_on_closed_loop(call: grpc.aio.Call) -> None:
    with suppress(RuntimeError):
        call.cancel()


class Stream:
    """The answers to one streaming call. Whoever opens one cancels it."""

    def __init__(self, channel: Channel, call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> None:
        self._channel = channel
        self._call = call
        self._cancelled = False
        self._home = _Home()

    def usable(self) -> bool:
        """Whether the stream can be read from here; if not, it is gone for good."""
        return _usable_here(self._home)

    async def read(self) -> bytes | None:
        """Return the next answer; None after the peer's end or our own cancel."""
        before = _cancellations()
        try:
            with self._channel.closing_is_not_cancelling():
                answer = await self._call.read()
        except asyncio.CancelledError:
            if self._cancelled and _cancellations() == before:
                return None
            raise
        return answer if isinstance(answer, bytes) else None

    def cancel(self) -> None:
        """End the call. Safe to repeat, at any time and from anywhere."""
        self._cancelled = True
        if not self._home.is_of_process():
            return  # its end is the parent's to decide
        loop = self._home.loop
        if _running_loop() is loop:
            self._call.cancel()
        elif loop.is_closed():
            _cancel_on_closed_loop(self._call)
        else:
            loop.call_soon_threadsafe(self._call.cancel)

    # gRPC's call is held by its own tasks and would live on until a garbage
    # collection.
    def __del__(self) -> None:
        self.cancel()


class Reader:
    """A function that goes on beside its caller, and ends by itself.

    Args:
        function: What goes on; it must not raise.
        ended: Called when it has ended, or was stopped before it began.
    """

    def __init__(self, function: Call[None], ended: Callable[[], None]) -> None:
        self._home = _Home()
        self._task = asyncio.ensure_future(function())
        self._task.add_done_callback(lambda _: ended())

    def alive(self) -> bool:
        """Whether it still goes on, and here."""
        return not self._task.done() and _usable_here(self._home)

    def stop(self) -> None:
        """Do not let it wait any longer for what it waits for."""
        self._task.cancel()


class Mailbox(Generic[_ItemT]):
    """Items for one taker, first in, first out."""

    def __init__(self) -> None:
        self._items: deque[_ItemT] = deque()
        self._arrival: asyncio.Future[None] | None = None

    def put(self, item: _ItemT) -> None:
        """Add an item. Never waits."""
        self._items.append(item)
        if self._arrival is not None:
            _wake(self._arrival)

    async def take(self, timeout: float | None) -> _ItemT | None:
        """Take the next item; None if none came within `timeout` seconds."""
        if not self._items:
            self._arrival = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._arrival,), timeout=timeout)
        return self._items.popleft() if self._items else None


class TimedLock:
    """Lets one in at a time, and nobody wait for too long."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._home: _Home | None = None

    @asynccontextmanager
    async def held(self, timeout: float | None) -> AsyncIterator[bool]:
        """Hold the lock, or do not (False) if that would take longer than `timeout` seconds."""
        if not _usable_here(self._home):
            self._lock, self._home = asyncio.Lock(), _Home()
        lock = self._lock
        entered = await _acquire(lock, timeout)
        try:
            yield entered
        finally:
            if entered:
                lock.release()


# Before Python 3.12 wait_for() can lose a lock that comes with the cancellation.
async def _acquire(lock: asyncio.Lock, timeout: float | None) -> bool:
    if timeout is None:
        return await lock.acquire()
    acquiring = asyncio.ensure_future(lock.acquire())
    try:
        await asyncio.wait((acquiring,), timeout=timeout)
    except asyncio.CancelledError:
        if _acquired(acquiring):
            lock.release()
        raise
    return _acquired(acquiring)


# An ending loop cancels all its tasks, this one on its own.
def _acquired(acquiring: asyncio.Future[Literal[True]]) -> bool:
    return not acquiring.cancel() and not acquiring.cancelled()


class _Latch:
    """Opens once, and then lets everybody through."""

    def __init__(self) -> None:
        self._opened = False
        self._waiting: set[asyncio.Future[None]] = set()

    def open(self) -> None:
        """Open it, from the event loop on which it is waited for."""
        self._opened = True
        for waiting in self._waiting:
            _wake(waiting)

    async def wait(self, timeout: float) -> None:
        """Wait until it opens, but no longer than `timeout` seconds."""
        if self._opened:
            return
        opening = asyncio.get_running_loop().create_future()
        self._waiting.add(opening)
        try:
            await asyncio.wait((opening,), timeout=timeout)
        finally:
            self._waiting.discard(opening)


# Whoever waits may have been left in a loop that was closed since.
def _wake(waiting: asyncio.Future[None]) -> None:
    if not (waiting.done() or waiting.get_loop().is_closed()):
        waiting.set_result(None)


class _Home:
    """The event loop and the process in which something was made, and can be used."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._process = os.getpid()

    def is_of_process(self) -> bool:
        """Whether this process is the one, and no child that it has forked."""
        return self._process == os.getpid()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


# False when the loop is closed, or was left behind in the parent process:
# whatever it had died with it.
def _usable_here(home: _Home | None) -> bool:
    if home is None or home.loop.is_closed() or not home.is_of_process():
        return False
    if home.loop is asyncio.get_running_loop():
        return True
    raise ClientLoopError(
        "the client is bound to another event loop that is still open: "
        "make one client for each loop, or use the blocking client across threads"
    )


# How often the task was told to end; some that were go on. Python 3.10 cannot tell. There a task
# that is cancelled at the very moment in which its call is closed sees the closing.
def _cancellations() -> int:
    cancelling = getattr(asyncio.current_task(), "cancelling", None)
    return 0 if cancelling is None else int(cancelling())


# gRPC has one poller for all event loops of a process, a thread that ends some time after the
# last client was closed: when all of its calls are collected. A child that is forked before has
# none, and does not start one: calls would hang, or end the process.
_open_channels: WeakSet[Channel] = WeakSet()
_poller_lives = False
_without_poller = False


def _before_fork() -> None:
    global _poller_lives  # noqa: PLW0603 - it is a state of the process
    _poller_lives = any("_poll_wrapper" in thread.name for thread in threading.enumerate())


def _after_fork_in_child() -> None:
    global _without_poller  # noqa: PLW0603 - it is a state of the process
    for channel in tuple(_open_channels):
        channel._left_in_child()  # noqa: SLF001 - ours
    if _poller_lives:
        _without_poller = True
        # Counts as a use that never ends: else gRPC would wait for its poller to end as soon as
        # what the parent has left is collected here.
        grpc.aio.init_grpc_aio()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)


def _refuse_after_fork() -> None:
    if _without_poller:
        raise ClientLoopError(
            "this process was forked while an async client was open, or before gRPC had cleaned up "
            "after it, and gRPC's asyncio does not survive that: start processes with 'spawn' or "
            "'forkserver', or use the blocking client in the child"
        )
