"""The async half of the primitive pair; `_blocking` is the other.

All that differs between the flavours is here, under the same names with the
same contracts. `_async` is written against these names alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Literal
from weakref import WeakSet

import grpc.aio

from ._rpc import CHANNEL_OPTIONS
from .errors import ClientClosedError, ClientLoopError


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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
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

    async def aclose(self) -> None:
        """End every call and refuse new ones. Safe to repeat."""
        channel = self._channel if _usable_here(self._loop) else None
        self._closed, self._channel = True, None
        if channel is not None:
            # gRPC looks for calls to end in the frames of all tasks, and finds
            # only those that a task awaits directly.
            for call in tuple(self._calls):
                call.cancel()
            await channel.close()

    def _open(self) -> grpc.aio.Channel:
        if self._closed:
            raise ClientClosedError("the client is closed: make a new one")
        if self._channel is None or not _usable_here(self._loop):
            self._loop = asyncio.get_running_loop()
            self._channel = grpc.aio.insecure_channel(self._target(), options=CHANNEL_OPTIONS)
        return self._channel

    @contextmanager
    def closing_is_not_cancelling(self) -> Iterator[None]:
        """Tell a call that ended with the channel from a task that is cancelled.

        gRPC says CancelledError for both; only the second is the task's.
        """
        try:
            yield
        except asyncio.CancelledError:
            if self._closed and not _task_is_cancelled():
                raise ClientClosedError("the client was closed during the call") from None
            raise


class Stream:
    """The answers to one streaming call. Whoever opens one cancels it."""

    def __init__(self, channel: Channel, call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> None:
        self._channel = channel
        self._call = call
        self._cancelled = False
        self._loop = asyncio.get_running_loop()

    def usable(self) -> bool:
        """Whether the stream can be read from here; if not, it is gone for good."""
        return _usable_here(self._loop)

    async def read(self) -> bytes | None:
        """Return the next answer; None after the peer's end or our own cancel."""
        try:
            with self._channel.closing_is_not_cancelling():
                answer = await self._call.read()
        except asyncio.CancelledError:
            if self._cancelled and not _task_is_cancelled():
                return None
            raise
        return answer if isinstance(answer, bytes) else None

    def cancel(self) -> None:
        """End the call. Safe to repeat, at any time and from anywhere."""
        self._cancelled = True
        if _running_loop() is self._loop:
            self._call.cancel()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._call.cancel)

    # gRPC's call is held by its own tasks and would live on until a garbage
    # collection.
    def __del__(self) -> None:
        self.cancel()


Lock = asyncio.Lock
"""Lets one in at a time: `async with Lock():`."""


class TimedLock:
    """Lets one in at a time, and nobody wait for too long."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def held(self, timeout: float | None) -> AsyncIterator[bool]:
        """Hold the lock, or do not (False) if that would take longer than `timeout` seconds."""
        if not _usable_here(self._loop):
            self._lock, self._loop = asyncio.Lock(), asyncio.get_running_loop()
        lock = self._lock
        entered = await _acquire(lock, timeout)
        try:
            yield entered
        finally:
            if entered:
                lock.release()


# Before Python 3.12 wait_for() can lose a lock that comes with the cancellation.
async def _acquire(lock: Lock, timeout: float | None) -> bool:
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


async def sleep(seconds: float) -> None:
    """Let the given time pass."""
    await asyncio.sleep(seconds)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


# False when the loop is closed: whatever it had died with it.
def _usable_here(loop: asyncio.AbstractEventLoop | None) -> bool:
    if loop is None or loop.is_closed():
        return False
    if loop is asyncio.get_running_loop():
        return True
    raise ClientLoopError(
        "the client is bound to another event loop that is still open: "
        "make one client for each loop, or use the blocking client across threads"
    )


# Python 3.10 cannot tell. There a task that is cancelled at the very moment in
# which its call is closed sees the closing.
def _task_is_cancelled() -> bool:
    cancelling = getattr(asyncio.current_task(), "cancelling", None)
    return cancelling is not None and cancelling() > 0
