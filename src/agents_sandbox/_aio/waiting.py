"""What tasks wait on."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeAlias, TypeVar

from .homes import Home, usable_here

_ItemT = TypeVar("_ItemT")

Call: TypeAlias = Callable[[], Coroutine[Any, Any, _ItemT]]
"""A call that has not been made yet, of a method or function of this flavour."""


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
        self._home = Home()
        self._on_end = on_end
        self._task = asyncio.ensure_future(function())
        self._task.add_done_callback(self._end)

    def alive(self) -> bool:
        """Whether the function is still running, and in this process and loop."""
        return not self._task.done() and usable_here(self._home)

    def stop(self) -> None:
        """Interrupt the function where it waits."""
        if not self._home.loop.is_closed():  # else it waits for ever
            self._task.cancel()

    def _end(self, _: object) -> None:
        self._on_end()

    async def ended(self) -> None:
        """Wait until the function has ended, after `stop()`."""
        await asyncio.wait((self._task,))


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
        self._home: Home | None = None

    def held(self, timeout: float | None) -> _Turn:
        """Hold the lock; `as` False if it could not be acquired within `timeout` seconds."""
        if not usable_here(self._home):
            self._queue, self._home = _Queue(), Home()
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


class Latch:
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
