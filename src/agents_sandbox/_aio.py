"""The async half of the primitive pair; `_blocking` is the other half.

The two halves contain everything that differs between the flavours, under the same names and
with the same contracts. `_async` uses only these names.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import os
import sys
import threading
import warnings
from asyncio.events import _get_running_loop
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import closing, suppress
from functools import wraps
from typing import Any, Generic, TypeAlias, TypeVar, cast
from weakref import WeakKeyDictionary, WeakSet, ref

import grpc.aio

from ._connection.rpc import CHANNEL_OPTIONS
from ._notes import note_interruption
from ._surroundings import gevent
from ._surroundings.forks import keep_unfinalized, lose_poller, obstacle_to_asyncio
from ._surroundings.grpc_loop import GrpcLoop
from ._telemetry import recording
from ._telemetry.recording import Metadata
from ._tracebacks import level_of_caller, trimmed
from .errors import ClientClosedError, ClientLoopError, SandboxClientError

_ItemT = TypeVar("_ItemT")
_MethodT = TypeVar("_MethodT", bound=Callable[..., Any])

# Otherwise two clients in a process would share one connection and its backoff.
_OPTIONS = (*CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1))

Call: TypeAlias = Callable[[], Coroutine[Any, Any, _ItemT]]
"""A call that has not been made yet, of a method or function of this flavour."""


def public(method: _MethodT) -> _MethodT:
    """Decorate a public method: it is recorded, if anything is.

    The traceback of an error of ours does not show our frames.
    """
    name = recording.name_of(method)

    @wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True  # for pytest, which shows the caller then
        handled = sys.exc_info()[1]
        coroutine = method(*args, **kwargs)
        del args, kwargs  # tools that report errors show them, and some are secrets
        recorder = recording.recorder
        try:
            if recorder is None or not name:
                return await coroutine
            with recorder.call(name) as recorded, recorded:
                recorded.begin()
                recorded.result = await coroutine
                return recorded.result
        except SandboxClientError as caught:
            error = trimmed(caught, handled)
            try:
                raise error
            finally:
                del error  # its traceback refers to this frame

    return cast("_MethodT", call)


async def give_way() -> None:
    """Let other tasks of the loop run, during work that takes long."""
    await asyncio.sleep(0)


async def beside(function: Callable[[], None]) -> None:
    """Call a function that waits for the host, so that other tasks of the loop run meanwhile."""
    try:
        work = _start_in_thread(function)
    except RuntimeError:  # the interpreter exits
        function()
    else:
        await work


# Not the loop's own executor: if no thread can be started any more, its shutdown fails.
def _start_in_thread(function: Callable[[], None]) -> asyncio.Future[None]:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - fails at the exit, too

    thread = ThreadPoolExecutor(1)
    try:
        return asyncio.get_running_loop().run_in_executor(thread, function)
    finally:
        thread.shutdown(wait=False)


async def notify(callback: Callable[[str], object], text: str) -> None:
    """Call a function of the user, of either kind."""
    result = callback(text)
    if inspect.isawaitable(result):
        await result


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
        self._home: _Home | None = None
        self._closed = False
        self._closing = _Latch()
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
        call, before = method(request, timeout=timeout, metadata=carried), _cancellations()
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
        return Stream(self, call, cast("_Home", self._home))

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
        loop = _loop_of_caller()

        # A finalizer runs in any thread and between any two lines, so it calls nothing itself.
        def call(_: object) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(function)

        return ref(owner, call)

    async def aclose(self) -> None:
        """End every call and refuse new ones. Safe to repeat.

        When it returns, gRPC has nothing left to hand to the loop, which may be closed then.
        """
        channel = self._channel if _usable_here(self._home) else None
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
        if self._channel is None or not _usable_here(self._home):
            _refuse_where_grpc_hangs()
            self._abandon_calls()
            home = _Home()
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
    if channel.closed and _cancellations() == before:
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
        self, channel: Channel, call: grpc.aio.UnaryStreamCall[bytes, bytes], home: _Home
    ) -> None:
        self._channel = channel
        self._call = call
        self._cancelled = False
        self._home = home

    def usable(self) -> bool:
        """Whether the stream can be read from here; if not, it can never be read again."""
        return _usable_here(self._home)

    async def read(self) -> bytes | None:
        """Return the next answer; None if the peer ended the stream or we cancelled it."""
        before, reading = _cancellations(), self._call.read()
        try:
            answer = await (reading if _COUNTED else _counting_cancellation(reading))
        except StopAsyncIteration:  # so older gRPC ends a call with interceptors
            return None
        except asyncio.CancelledError:
            _raise_if_closed(self._channel, before)
            if self._cancelled and _cancellations() == before:
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


class Reader:
    """Runs a function in the background until it returns.

    Args:
        function: The function; it must not raise.
        on_end: Called when the function has ended, or was stopped before it started.

    Attributes:
        in_background: Whether the function runs.
    """

    __slots__ = ("_home", "_on_end", "_task")

    in_background = True

    def __init__(self, function: Call[None], on_end: Callable[[], None]) -> None:
        self._home = _Home()
        self._on_end = on_end
        self._task = asyncio.ensure_future(function())
        self._task.add_done_callback(self._end)

    def alive(self) -> bool:
        """Whether the function is still running, and in this process and loop."""
        return not self._task.done() and _usable_here(self._home)

    def stop(self) -> None:
        """Interrupt the function where it waits."""
        if not self._home.loop.is_closed():  # else it waits for ever
            self._task.cancel()

    def _end(self, _: object) -> None:
        self._on_end()

    async def ended(self) -> None:
        """Wait until the function has ended, after `stop()`."""
        await asyncio.wait((self._task,))


class CleanUp:
    """A function that runs to its end, once, however often its caller is interrupted.

    Make it before the first thing that it cleans up, and call `finish` in two nested `finally`:
    in the blocking flavour an interruption can come at any line.

    Args:
        function: The function. It ends in time by itself. It may be begun again where an
            interruption ended it, so what it does is idempotent.
    """

    def __init__(self, function: Call[None]) -> None:
        self._function = function
        self._task: asyncio.Task[None] | None = None

    async def finish(self, raising: BaseException | None = None) -> None:
        """Begin the function unless it has begun, and wait for its end. Safe to repeat.

        Args:
            raising: What the caller raises anyway. An interruption is only noted on it.

        Raises:
            BaseException: The first interruption of this wait, or else the function's own error.
        """
        if _get_running_loop() is None:  # Python finalizes the caller's coroutine after its loop
            if self._task is None or _was_interrupted(self._task):
                _unfinished[self] = self._function
            return
        interruption: BaseException | None = None
        while not (task := self._running_task()).done():
            try:
                await asyncio.wait((task,))
            except (asyncio.CancelledError, KeyboardInterrupt, SystemExit) as error:
                interruption = interruption or error
        try:
            if interruption is None:
                task.result()
            elif raising is None:
                raise interruption
            else:
                note_interruption(raising, interruption)
                _deliver_later(interruption, raising)
        finally:
            del interruption, raising, task  # their tracebacks refer to this frame

    def _running_task(self) -> asyncio.Task[None]:
        if self._task is None or _was_interrupted(self._task):
            loop = _loop_of_caller()
            self._task = _UnstoppableTask(self._function(), loop=loop)
            # asyncio refers to tasks only weakly.
            _unfinished[self._task] = self._function
            self._task.add_done_callback(_unfinished.pop)
            self._task.add_done_callback(_retrieve)
        return self._task


class _UnstoppableTask(asyncio.Task[None]):
    """A task that ignores being cancelled, as `asyncio.run` does to all tasks at its end."""

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ARG002 - the base has it
        return False


# By the task that has begun, or by the clean-up if there was no loop to begin in.
_unfinished: dict[asyncio.Future[None] | CleanUp, Call[None]] = {}


# Ctrl-C ends the loop while `asyncio.run` ends its tasks: the second one in Python 3.10, the third
# one in later ones.
@atexit.register
def _finish_in_another_loop() -> None:
    while left := tuple(filter(_is_abandoned, _unfinished)):
        # Ctrl-C can come before it runs. A coroutine that never did would warn of that.
        with suppress(KeyboardInterrupt), closing(_finish(left[0])) as finishing:
            _close_callers(left[0])
            asyncio.run(finishing)


def _is_abandoned(begun: asyncio.Future[None] | CleanUp) -> bool:
    return isinstance(begun, CleanUp) or begun.get_loop().is_closed()


# Tasks of a closed loop stand where they were, perhaps in further blocks, whose clean-ups have not
# begun. They do when Python finalizes the tasks, but most live longer than the handlers of atexit.
def _close_callers(begun: asyncio.Future[None] | CleanUp) -> None:
    if isinstance(begun, CleanUp):
        return
    for task in asyncio.all_tasks(begun.get_loop()):
        coroutine, lost = task.get_coro(), cast("Any", task)
        lost._log_destroy_pending = False  # noqa: SLF001 - else asyncio logs it: it is done with
        if task not in _unfinished and coroutine is not None:
            with suppress(Exception):  # what waits at its end cannot be closed
                coroutine.close()


async def _finish(begun: asyncio.Future[None] | CleanUp) -> None:
    with suppress(Exception):  # nobody is left who could be told
        await _unfinished[begun]()
    del _unfinished[begun]


# `asyncio.run` also cancels gRPC's own tasks, so that our calls end with CancelledError. Ctrl-C
# raises in whichever task runs just then, unless the loop cancels its main task instead.
def _was_interrupted(task: asyncio.Task[None]) -> bool:
    return task.done() and (
        task.cancelled() or isinstance(task.exception(), (KeyboardInterrupt, SystemExit))
    )


# As `asyncio.TaskGroup` does since Python 3.13. Before, a timeout of asyncio that has cancelled the
# task does not take that back, and some later wait would be cancelled.
_CANCELS_AGAIN = sys.version_info >= (3, 13)


def _deliver_later(interruption: BaseException, raising: BaseException) -> None:
    """Let the task's next wait raise a cancellation that is not raised now."""
    if _CANCELS_AGAIN and isinstance(interruption, asyncio.CancelledError):
        task: Any = asyncio.current_task()
        if task.cancelling() and not isinstance(raising, asyncio.CancelledError):
            task.uncancel()
            task.cancel()


class Mailbox(Generic[_ItemT]):
    """A queue of items for one consumer."""

    __slots__ = ("_arrival", "_items")

    def __init__(self) -> None:
        self._items: list[_ItemT] = []  # few; an empty deque takes ten times as much memory
        self._arrival: asyncio.Future[None] | None = None

    def put(self, item: _ItemT) -> None:
        """Add an item. Never waits."""
        self._items.append(item)
        if self._arrival is not None:
            _wake(self._arrival)

    async def take(self, timeout: float | None) -> _ItemT | None:
        """Take the next item; None if none arrives within `timeout` seconds."""
        if not self._items:
            self._arrival = asyncio.get_running_loop().create_future()
            await _woken(self._arrival, timeout)
        return self._items.pop(0) if self._items else None


class TimedLock:
    """A lock that can be acquired with a timeout."""

    def __init__(self) -> None:
        self._queue = _Queue()
        self._home: _Home | None = None

    def held(self, timeout: float | None) -> _Turn:
        """Hold the lock; `as` False if it could not be acquired within `timeout` seconds."""
        if not _usable_here(self._home):
            self._queue, self._home = _Queue(), _Home()
        return _Turn(self._queue, timeout)


class _Turn:
    """A context manager: somebody's turn with a lock."""

    __slots__ = ("_entered", "_queue", "_timeout")

    def __init__(self, queue: _Queue, timeout: float | None) -> None:
        self._queue = queue
        self._timeout = timeout
        self._entered = False

    async def __aenter__(self) -> bool:
        self._entered = await self._queue.enter(self._timeout)
        return self._entered

    async def __aexit__(self, *_: object) -> None:
        if self._entered:
            self._queue.leave()


class _Queue:
    """Who holds a lock in one event loop, and who waits for it.

    `asyncio.Lock` has no timeout, and `asyncio.wait_for` would make a task for each that waits.
    """

    def __init__(self) -> None:
        self._held = False
        self._waiting: deque[asyncio.Future[bool | None]] = deque()

    async def enter(self, timeout: float | None) -> bool:
        if not self._held:
            self._held = True
            return True
        waiting: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            return await _woken(waiting, timeout) is True
        except BaseException:
            if not waiting.done():  # the coroutine was closed
                waiting.cancel()
            elif not waiting.cancelled() and waiting.result():
                self.leave()  # it was handed over just now
            raise

    def leave(self) -> None:
        """Hand it over to whoever waits longest."""
        while self._waiting:
            waiting = self._waiting.popleft()
            # Else its time has run out, or its task was cancelled or left in a closed loop.
            if not (waiting.done() or waiting.get_loop().is_closed()):
                waiting.set_result(True)
                return
        self._held = False


class _Latch:
    """A flag that is set once and can be waited for."""

    def __init__(self) -> None:
        self._opened = False
        self._waiting: set[asyncio.Future[None]] = set()

    def open(self) -> None:
        """Open it; call this on the event loop of the waiting tasks."""
        self._opened = True
        for waiting in self._waiting:
            _wake(waiting)

    async def wait(self, timeout: float) -> None:
        """Wait until it is open, but no longer than `timeout` seconds."""
        if self._opened:
            return
        opening = asyncio.get_running_loop().create_future()
        self._waiting.add(opening)
        try:
            await _woken(opening, timeout)
        finally:
            self._waiting.discard(opening)


# `asyncio.wait` would make another future and a callback between the two.
async def _woken(waiting: asyncio.Future[_ItemT | None], timeout: float | None) -> _ItemT | None:
    """Wait for a future of the running loop; None if it is woken, or after `timeout` seconds."""
    timer = None if timeout is None else waiting.get_loop().call_later(timeout, _wake, waiting)
    try:
        return await waiting
    finally:
        if timer is not None:
            timer.cancel()


# The waiting task may belong to a loop that has been closed since.
def _wake(waiting: asyncio.Future[Any]) -> None:
    if not (waiting.done() or waiting.get_loop().is_closed()):
        waiting.set_result(None)


class _Home:
    """The event loop and the process in which something was made and can be used."""

    __slots__ = ("_process", "loop")

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop = _loop_of_caller()
        self._process = os.getpid()

    def is_in_this_process(self) -> bool:
        """Whether this is still that process, not a forked child."""
        return self._process == os.getpid()


def _loop_of_caller() -> asyncio.AbstractEventLoop:
    loop = _get_running_loop()
    if loop is None:
        raise ClientLoopError(
            "the async client requires asyncio, and no event loop of asyncio is running here: with "
            "trio and others, use the blocking client, SyncAgentsSandboxClient, in a thread, such "
            "as with trio.to_thread.run_sync()"
        )
    return loop


# False if the loop is closed or belongs to the parent process: nothing of it can be used any more.
def _usable_here(home: _Home | None) -> bool:
    if home is None:
        return False
    # Then it is open: and in a child that was forked in it, no loop runs.
    if home.loop is _get_running_loop():
        return True
    if home.loop.is_closed() or not home.is_in_this_process():
        return False
    _loop_of_caller()
    raise ClientLoopError(
        "the client is bound to another event loop that is still open: "
        "create one client for each loop, or share a blocking client among threads"
    )


# How often the task was cancelled; a task may continue after that. Python 3.10 does not count, and
# only the reads of streams do it here: they must not take a cancelled task for a cancelled stream.
# A call of another kind that is cancelled just when the client is closed gets ClientClosedError.
def _cancellations() -> int:
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)
    if task is None:  # a coroutine that something else than asyncio drives
        return 0
    return _counts.get(task, 0) if cancelling is None else int(cancelling())


_COUNTED = hasattr(asyncio.Task, "cancelling")
_counts: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()


# Reads in a task of its own: what is cancelled there is not the task that waits for it.
async def _counting_cancellation(reading: Coroutine[Any, Any, _ItemT]) -> _ItemT:
    inner = asyncio.ensure_future(reading)
    try:
        await asyncio.wait((inner,))
    except asyncio.CancelledError:
        inner.cancel()
        inner.add_done_callback(_retrieve)
        _count_cancellation()
        raise
    try:
        return inner.result()
    finally:
        del inner  # its error refers to this frame


# Not in the frame above, to which the error refers that the task keeps.
def _count_cancellation() -> None:
    task = cast("asyncio.Task[Any]", asyncio.current_task())  # or it could not wait
    _counts[task] = _counts.get(task, 0) + 1


# Otherwise asyncio logs an error that nobody waits for any more.
def _retrieve(task: asyncio.Future[Any]) -> None:
    _ = task.cancelled() or task.exception()


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
    _unfinished.clear()  # the parent finishes them
    if _poller_lives:
        lose_poller()
        # This counts as a use that never ends. Without it, gRPC would wait for its poller to end
        # as soon as the parent's objects are collected here.
        grpc.aio.init_grpc_aio()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)


def _refuse_where_grpc_hangs() -> None:
    if obstacle := obstacle_to_asyncio():
        raise ClientLoopError(f"{obstacle}, or use the blocking client in the child")
    if obstacle := gevent.obstacle_to_asyncio():
        raise ClientLoopError(f"{obstacle}: use the blocking client, SyncAgentsSandboxClient")
