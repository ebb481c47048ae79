"""What blocking calls wait on."""

from __future__ import annotations

import inspect
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Any, Generic, TypeAlias, TypeVar

from ..errors import InvalidArgumentTypeError
from .helpers import start_thread
from .locks import acquire, closed_gate, deadline_of, open_gate

_ItemT = TypeVar("_ItemT")

Call: TypeAlias = Callable[[], _ItemT]
"""A call that has not been made yet, of a method or function of this flavour."""


def give_way() -> None:
    """Do nothing: other threads run anyway."""


class Reader:
    """Runs a function in the background until it returns.

    Args:
        function: The function; it must not raise.
        on_end: Called when the function has ended, or was stopped before it started.

    Attributes:
        in_background: Whether the function runs. False: no thread can be started, because the
            interpreter is exiting.
    """

    def __init__(self, function: Call[None], on_end: Callable[[], None]) -> None:
        def read() -> None:
            try:
                function()
            finally:
                self._running = False
                on_end()

        self._process = os.getpid()
        self._running = True
        # A daemon thread: the interpreter must not wait at exit for events that may never come.
        in_context = copy_context().run  # for libraries that trace calls
        self.in_background = start_thread(lambda: in_context(read), "agents-sandbox-events")

    def alive(self) -> bool:
        """Whether the function is still running, and in this process."""
        return self.in_background and self._running and self._process == os.getpid()

    def stop(self) -> None:
        """Do nothing: the end of its stream interrupts the function where it waits."""

    def ended(self) -> None:
        """Do nothing: no one misses a thread that ends a little later."""


class Mailbox(Generic[_ItemT]):
    """A queue of items for one consumer."""

    def __init__(self) -> None:
        self._items: deque[_ItemT] = deque()
        self._arrival = closed_gate()

    def put(self, item: _ItemT) -> None:
        """Add an item. Never waits."""
        self._items.append(item)
        open_gate(self._arrival)

    def take(self, timeout: float | None) -> _ItemT | None:
        """Take the next item; None if none arrives within `timeout` seconds."""
        deadline = deadline_of(timeout)
        while not self._items:
            # The gate may still be open after an item that was taken without a wait.
            if not acquire(self._arrival, deadline.remaining()):
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
        lock: Any = self._lock
        nested = lock._is_owned()  # noqa: SLF001 - a signal handler may run while it is held

        def release() -> None:
            if not nested:
                with suppress(RuntimeError):
                    lock.release()

        try:
            yield nested or acquire(lock, timeout)
        finally:
            try:
                release()
            finally:
                release()  # an interruption can come at any line


class Latch:
    """A flag that is set once and can be waited for."""

    def __init__(self) -> None:
        self._gate = closed_gate()
        self._opened = False

    def open(self) -> None:
        """Open it. Safe to repeat."""
        self._opened = True
        open_gate(self._gate)

    def wait(self, timeout: float) -> None:
        """Wait until it is open, but no longer than `timeout` seconds."""
        # An interruption may leave the gate shut.
        if not self._opened and acquire(self._gate, timeout):
            open_gate(self._gate)  # for the next waiting thread


def beside(function: Callable[[], None]) -> None:
    """Call a function that waits for the host: other threads run anyway."""
    function()


def notify(callback: Callable[[str], object], text: str) -> None:
    """Call a function of the user, of a plain kind."""
    result = callback(text)
    if inspect.iscoroutine(result):
        result.close()
        raise InvalidArgumentTypeError(
            "callbacks of the blocking client must be plain functions: use AgentsSandboxClient "
            "for coroutine functions"
        )
