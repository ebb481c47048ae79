"""An event loop in its own thread, and the calls that other threads make to it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from ..._surroundings import gevent
from ..._surroundings.forks import obstacle_to_asyncio
from .._time.clock import keep_real_time

T = TypeVar("T")

_TIMEOUT = 10.0
"""Seconds to wait for a function on the loop; such functions do not block."""

_STOPPED = "the fake daemon is not running: call start() first"
_FORKED = (
    "the fake daemon runs in the process that this one was forked from: control it from there; "
    "clients in this process can use its socket"
)
_OWN_THREAD = (
    "a coroutine on the fake daemon's event loop must not wait for the daemon: use a plain "
    "function, which runs in its own thread"
)


def check_can_start(what: str, program: str) -> None:
    """Check that this process can run gRPC's asyncio in a thread.

    Args:
        what: What is to be started.
        program: What runs it in another process.

    Raises:
        RuntimeError: This process was forked at the wrong moment, or gevent has patched its
            threads.
    """
    if obstacle := obstacle_to_asyncio():
        raise RuntimeError(f"{obstacle}, or use the socket of {what} in the parent")
    if obstacle := gevent.obstacle_to_asyncio():
        raise RuntimeError(f"{obstacle}: start it in another process, {program}")


class LoopThread:
    """Keeps an async context open in a thread from `start()` to `stop()`; used once."""

    def __init__(self, serve: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._serve = serve
        self._thread: threading.Thread | None = None
        self._ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = os.getpid()

    @property
    def started(self) -> bool:
        """Whether `start()` was called."""
        return self._thread is not None

    @property
    def may_be_waited_for(self) -> bool:
        """Whether the calling thread is neither this one nor one of a forked child."""
        return self._process == os.getpid() and threading.current_thread() is not self._thread

    def start(self) -> None:
        """Return once the context is entered; raise what it raises."""
        self._process = os.getpid()
        # Not made earlier: a forked child cannot start a thread that its parent made.
        self._thread = threading.Thread(target=self._run, name="fake-agboxd", daemon=True)
        self._thread.start()
        self._ready.result()

    def stop(self) -> None:
        """Return once the context is left and the thread has ended.

        A forked child has no such thread, and leaves the parent's alone.
        """
        loop, self._loop = self._loop, None
        if loop and self._process != os.getpid():
            return
        if loop:
            loop.call_soon_threadsafe(self._stopping.set)
        else:
            self._stopping.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)

    async def _main(self) -> None:
        keep_real_time(asyncio.get_running_loop())
        async with self._serve():
            self._loop = asyncio.get_running_loop()
            self._ready.set_result(None)
            await self._stopping.wait()

    def call(self, function: Callable[[], T]) -> T:
        """Run a function on the loop and return its result.

        Without a loop nothing else runs: the calling thread runs the function itself.

        Raises:
            RuntimeError: This is a forked child of the loop's process.
        """
        loop = self._loop
        if loop is None or threading.current_thread() is self._thread:
            return function()
        if self._process != os.getpid():
            raise RuntimeError(_FORKED)
        result: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            try:
                result.set_result(function())
            except Exception as error:  # noqa: BLE001 - raised in the caller's thread
                result.set_exception(error)

        loop.call_soon_threadsafe(run)
        return result.result(_TIMEOUT)

    def run(self, work: Coroutine[Any, Any, T], timeout: float) -> T:
        """Run a coroutine on the loop and return its result.

        Raises:
            TimeoutError: It took longer than `timeout` seconds and was cancelled.
            RuntimeError: There is no loop, it ended, this is its own thread, or a forked child
                of its process.
        """
        loop = self._loop
        forked = self._process != os.getpid()
        if loop is None or threading.current_thread() is self._thread or forked:
            work.close()
            raise RuntimeError(_STOPPED if loop is None else _FORKED if forked else _OWN_THREAD)
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, timeout), loop)
        try:
            return future.result()
        except asyncio.TimeoutError as error:
            raise TimeoutError(f"nothing more happened within {timeout} s") from error
        except concurrent.futures.CancelledError as error:
            raise RuntimeError("the fake daemon was stopped during the call") from error
