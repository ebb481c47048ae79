"""A gRPC channel of one event loop, and the streams over it."""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from asyncio.events import _get_running_loop
from collections.abc import Callable
from contextlib import suppress
from typing import cast
from weakref import WeakSet, ref

import grpc.aio

from .._connection.rpc import CHANNEL_OPTIONS
from .._surroundings.forks import keep_unfinalized, lose_poller
from .._surroundings.grpc_loop import GrpcLoop
from .._telemetry.recording import Metadata
from .._tracebacks import level_of_caller
from ..errors import ClientClosedError
from .cancellations import COUNTED, cancellations, counting_cancellation
from .homes import Home, loop_of_caller, refuse_where_grpc_hangs, usable_here
from .waiting import Latch

# Otherwise two clients in a process would share one connection and its backoff.
_OPTIONS = (*CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1))


class Channel:
    """One gRPC channel, opened by the first call and bound to its event loop.

    gRPC's own channel fails at its first use if it was made outside a running loop, and hangs
    without an error if it is used from another loop.

    Args:
        target: Returns the address; called when the channel is opened.
    """

    def __init__(self, target: Callable[[], str]) -> None:
        self._target = target
        self._channel: grpc.aio.Channel | None = None
        self._home: Home | None = None
        self._closed = False
        self._closing = Latch()
        self._methods: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {}
        self._calls: set[grpc.aio.Call] = set()
        self._streams: WeakSet[grpc.aio.Call] = WeakSet()

    async def unary(
        self, path: str, request: bytes, timeout: float | None, metadata: Metadata = ()
    ) -> bytes:
        """Send one request and return the answer; raise `grpc.RpcError` if the call fails."""
        channel = self._open()
        method = self._methods.get(path)
        if method is None:
            method = self._methods[path] = channel.unary_unary(path)
        carried = grpc.aio.Metadata(*metadata) if metadata else None
        call, before = method(request, timeout=timeout, metadata=carried), cancellations()
        self._calls.add(call)
        try:
            return await call
        except asyncio.CancelledError:
            _raise_if_closed(self, before)
            raise
        finally:
            if call.done():
                self._calls.discard(call)
            else:  # the coroutine is closed, perhaps after its loop: `_abandon_calls` ends it then
                call.add_done_callback(self._calls.discard)

    def stream(
        self, path: str, request: bytes, timeout: float | None, metadata: Metadata = ()
    ) -> Stream:
        """Return the stream of answers to one request."""
        method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self._open().unary_stream(path)
        carried = grpc.aio.Metadata(*metadata) if metadata else None
        call = method(request, timeout=timeout, metadata=carried)
        self._streams.add(call)
        return Stream(self, call, cast("Home", self._home))

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    async def pause(self, seconds: float) -> None:
        """Wait for the given time, or until the channel is closed."""
        await self._closing.wait(seconds)

    def when_gone(self, owner: object, function: Callable[[], None]) -> object:
        """Call a quick function soon after an object has been collected, unless that is too late.

        Returns:
            What has to be kept until then.
        """
        loop = loop_of_caller()

        # A finalizer runs in any thread and between any two lines, so it calls nothing itself.
        def call(_: object) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(function)

        return ref(owner, call)

    async def aclose(self) -> None:
        """End every call and refuse new ones. Safe to repeat.

        When it returns, gRPC has nothing left to hand to the loop, which may be closed then.
        """
        channel = self._channel if usable_here(self._home) else None
        self._closed = True
        self._closing.open()
        if channel is not None:
            # gRPC looks for open calls in the frames of all tasks, and finds only those that a
            # task awaits directly.
            for call in self._open_calls():
                with suppress(Exception):  # older gRPC raises what an interceptor has raised
                    call.cancel()
            self._grpc_loop.cancel()
            await channel.close()
            await self._grpc_loop.settle(_SETTLING_SECONDS)
        else:
            self._abandon_calls()
        self._methods.clear()
        self._channel = None  # last, so that an interrupted close can be repeated

    def _abandon_calls(self) -> None:
        """Drop all calls; first cancel those that a closed loop left unfinished."""
        home = self._home
        if home is not None and home.loop.is_closed() and home.is_in_this_process():
            for call in self._open_calls():
                _cancel_on_closed_loop(call)
        self._calls.clear()
        self._streams.clear()
        self._methods.clear()

    def _open_calls(self) -> tuple[grpc.aio.Call, ...]:
        return (*tuple(self._calls), *tuple(self._streams))

    def _open(self) -> grpc.aio.Channel:
        if self._closed:
            raise ClientClosedError("the client is closed: create a new one")
        if self._channel is None or not usable_here(self._home):
            refuse_where_grpc_hangs()
            self._abandon_calls()
            home = Home()
            grpc_loop = GrpcLoop(home.loop)
            target = self._target()
            channel = grpc_loop.open(lambda: grpc.aio.insecure_channel(target, options=_OPTIONS))
            self._home, self._grpc_loop, self._channel = home, grpc_loop, channel
            _open_channels.add(self)
        return self._channel

    def __del__(self) -> None:
        home = None if self._closed or self._channel is None else self._home
        if home is not None and home.is_in_this_process():
            warnings.warn(
                "an AgentsSandboxClient was not closed: use async with, or call aclose()",
                ResourceWarning,
                source=self,
                stacklevel=level_of_caller(),
            )

    def _drop_in_child(self) -> None:
        """In a forked child, drop what belongs to the parent."""
        channel, self._channel = self._channel, None
        keep_unfinalized((channel, self._methods.copy(), self._open_calls()))


# gRPC raises CancelledError if the channel was closed, and if the task was cancelled. Only the
# latter is passed on. `before` is how often that had happened before the call.
def _raise_if_closed(channel: Channel, before: int) -> None:
    if channel.closed and cancellations() == before:
        raise ClientClosedError("the client was closed during the call") from None


# A core that was told to cancel needs about a millisecond, whether the daemon answers or not. The
# bound is for the case that somebody, such as a debugger, keeps what it was waited for with.
_SETTLING_SECONDS = 2.0


# gRPC cancels the call first. Then it raises, because it cannot reach its own tasks.
def _cancel_on_closed_loop(call: grpc.aio.Call) -> None:
    with suppress(RuntimeError):
        call.cancel()


class Stream:
    """The answers to one streaming call. The code that opens a stream must cancel it."""

    __slots__ = ("_call", "_cancelled", "_channel", "_home")

    def __init__(
        self, channel: Channel, call: grpc.aio.UnaryStreamCall[bytes, bytes], home: Home
    ) -> None:
        self._channel = channel
        self._call = call
        self._cancelled = False
        self._home = home

    def usable(self) -> bool:
        """Whether the stream can be read from here; if not, it can never be read again."""
        return usable_here(self._home)

    async def read(self) -> bytes | None:
        """Return the next answer; None if the peer ended the stream or we cancelled it."""
        before, reading = cancellations(), self._call.read()
        try:
            answer = await (reading if COUNTED else counting_cancellation(reading))
        except StopAsyncIteration:  # so older gRPC ends a call with interceptors
            return None
        except asyncio.CancelledError:
            _raise_if_closed(self._channel, before)
            if self._cancelled and cancellations() == before:
                return None
            raise
        return answer if isinstance(answer, bytes) else None

    def cancel(self) -> None:
        """Cancel the call. Safe to repeat, at any time and from anywhere."""
        self._cancelled = True
        if not self._home.is_in_this_process():
            return  # only the parent may cancel it
        loop = self._home.loop
        if _get_running_loop() is loop:
            self._call.cancel()
        elif loop.is_closed():
            _cancel_on_closed_loop(self._call)
        else:
            loop.call_soon_threadsafe(self._call.cancel)

    # gRPC's own tasks refer to the call, so it would continue until the next garbage collection.
    def __del__(self) -> None:
        self.cancel()


# gRPC has one poller thread for all event loops of a process. It ends some time after the last
# client was closed, when all its calls have been collected. A child that is forked before that has
# no poller and does not start one: its calls would hang or end the process.
_open_channels: WeakSet[Channel] = WeakSet()
_poller_lives = False


def _before_fork() -> None:
    global _poller_lives  # noqa: PLW0603 - it is a state of the process
    _poller_lives = any("_poll_wrapper" in thread.name for thread in threading.enumerate())


def _after_fork_in_child() -> None:
    for channel in tuple(_open_channels):
        channel._drop_in_child()  # noqa: SLF001 - ours
    if _poller_lives:
        lose_poller()
        # This counts as a use that never ends. Without it, gRPC would wait for its poller to end
        # as soon as the parent's objects are collected here.
        grpc.aio.init_grpc_aio()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
