"""Threads that use gRPC so that the main thread does not have to.

Signal handlers run in the main thread, between any two instructions of Python code. If one raises
inside gRPC's Python code, as the handler of Ctrl-C does, it can leave a lock of gRPC acquired:
other threads, and `close`, then wait for it forever. The main thread therefore hands every use of
gRPC to a helper thread and waits on a bare lock. Other threads handle no signals and use gRPC
directly.
"""

from __future__ import annotations

import sys
import threading
from _queue import Empty
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from .._surroundings.gevent import thread_queue
from ..errors import ClientClosedError
from .locks import acquire, closed_gate, in_main_thread, pass_through

if TYPE_CHECKING:
    from queue import SimpleQueue

_ResultT = TypeVar("_ResultT")

_NAME = "agents-sandbox-helper"

_MOMENT_SECONDS = 1.0
"""How long to wait for work that takes well under a millisecond."""

_ENOUGH = 2
"""A helper whose work is done ends if so many are idle."""


class Cancellable(Protocol):
    """What the main thread can give up while a helper works on it."""

    given_up: bool
    """Whether it was given up. It must not begin any more."""

    def cancel(self) -> None:
        """End it if it has begun. Called in another helper."""


class Helpers:
    """The helper threads of one client in one process.

    A helper starts another one before it begins to work, unless one is idle. The idle one cancels
    the call if the main thread is interrupted, and makes the calls of a signal handler that runs
    while the main thread waits.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], object] | None] = thread_queue()  # None: the end
        # One item for each idle helper. Only helpers change it: an interrupted main thread could
        # count a helper that does not exist.
        self._idle: deque[None] = deque()
        self._ended = False

    def run(self, work: Callable[[], _ResultT], target: Cancellable | None = None) -> _ResultT:
        """Do some work, in a helper if this is the main thread, and return its result.

        Args:
            work: The work.
            target: What to cancel if the main thread is interrupted.

        Raises:
            ClientClosedError: The interpreter destroys its modules. No other thread runs any more,
                and gRPC does not work.
        """
        if not in_main_thread():
            return work()
        if sys.is_finalizing():
            raise ClientClosedError(
                "the interpreter is destroying its modules, so no call is possible: make calls "
                "earlier, in a handler of atexit"
            )
        job = _Job(work)
        try:
            self._assign(job)
            return job.result()
        except BaseException:
            if target is not None:
                # No signal handler can run between these lines: Python calls handlers only at the
                # start of functions, after calls and in loops.
                target.given_up = True
                self._jobs.put(target.cancel)
            raise

    def hand_over(self, work: Callable[[], None]) -> None:
        """Do some quick work, in a helper if this is the main thread, and wait for a moment.

        Not longer: a finalizer that runs in the helper may need a lock that the main thread holds.
        """
        if not in_main_thread():
            work()
            return
        done = closed_gate()

        def job() -> None:
            try:
                work()
            finally:
                done.release()

        self._assign(job)
        acquire(done, _MOMENT_SECONDS)

    def when_gone(self, work: Callable[[], None]) -> Callable[..., None]:
        """Return a callback for a weak reference that lets a helper do some quick work.

        Unlike a `__del__`, it cannot be interrupted, because it is not written in Python.
        """
        # The queue ignores its second argument, which is the reference.
        return partial(self._jobs.put, work)

    def provide(self) -> bool:
        """Make sure that there is a helper; return False if there can be none."""
        return bool(self._idle) or start_thread(self._work, _NAME)

    def end(self) -> None:
        """End all helpers after the work that they have."""
        self._ended = True
        self._jobs.put(None)

    def _assign(self, job: Callable[[], object]) -> None:
        self._jobs.put(job)
        # Helpers that are told to end after this look do the job first. A lock would not do: while
        # the main thread holds it, a signal handler may wait for a helper that needs it.
        available = start_thread(self._work_off, _NAME) if self._ended else self.provide()
        if not available:
            self._work_off()

    def _work(self) -> None:
        while len(self._idle) < _ENOUGH:
            self._idle.append(None)
            job = self._jobs.get()
            self._idle.pop()
            if job is None:
                self._jobs.put(None)  # for the other helpers
                return
            if not self._idle:
                start_thread(self._work, _NAME)
            job()
            del job  # otherwise it would live until the next one

    def _work_off(self) -> None:
        """Do all work here and now, because there are no helpers."""
        with suppress(Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    job()
        if self._ended:
            self._jobs.put(None)  # for helpers that have not ended yet


class _Job(Generic[_ResultT]):
    """Some work whose result the main thread waits for."""

    def __init__(self, work: Callable[[], _ResultT]) -> None:
        self._work = work
        self._done = closed_gate()
        self._result: _ResultT
        self._error: BaseException | None = None

    def __call__(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001 - result() raises it
            self._error = error
        finally:
            self._done.release()

    def result(self) -> _ResultT:
        """Wait for the result, and return it or raise the error."""
        pass_through(self._done)
        error, self._error = self._error, None
        if error is None:
            return self._result
        try:
            raise error
        finally:
            del error  # its traceback refers to this frame


def start_thread(function: Callable[[], None], name: str) -> bool:
    """Start a daemon thread; return False if that is not possible.

    Python 3.12 starts no threads once the interpreter exits, which begins before the handlers of
    `atexit`.
    """
    thread = threading.Thread(target=function, name=name, daemon=True)
    try:
        if in_main_thread():
            # `Thread.start` waits on a Condition that the new thread needs to begin.
            start_new_thread(_start, (thread,))
        else:
            thread.start()
    except RuntimeError:
        return False
    return True


# What the thread runs is referred to by the thread alone: it is gone when the thread has ended.
def _start(thread: threading.Thread) -> None:
    try:
        thread.start()
    except RuntimeError:
        thread.run()  # this was the last thread that could be started
