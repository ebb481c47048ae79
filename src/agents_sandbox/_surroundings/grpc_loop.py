"""The event loop as a channel or a server of gRPC's asyncio sees it.

gRPC's C core completes the parts of a call on threads of its own, also after a cancel, which only
begins the end of a call, and after a connection has broken. A poller hands each completion to the
loop of the call. If that loop is closed by then, asyncio logs "Event loop is closed" in another
loop of the process, because all loops share the poller. Calls, channels and servers do not report
when the core is done, but each part has a future, and the core refers to it until the part is
completed.
"""

from __future__ import annotations

import asyncio
from asyncio.events import _get_running_loop, _set_running_loop
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar, cast
from weakref import ref

import grpc.aio

_ResultT = TypeVar("_ResultT")

# Those that nobody uses any more, but for the core.
_left: list[GrpcLoop] = []


class GrpcLoop:
    """Stands in for a loop, and knows which parts of calls have yet to be completed.

    gRPC asks it for futures and tasks, and the poller calls it. All else is the loop's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks: set[ref[asyncio.Future[Any]]] = set()
        self._futures: set[ref[asyncio.Future[Any]]] = set()
        # Every part of a call refers to one of these. They are made once to save memory.
        self._discard_task: Callable[[ref[asyncio.Future[Any]]], None] = self._tasks.discard
        self._discard_future: Callable[[ref[asyncio.Future[Any]]], None] = self._futures.discard

    # The core calls it when a part of a call is completed, and has no reference of its own: if the
    # object were gone, the process would crash. That happened after the loop of a call was closed.
    def __del__(self, keep: Callable[[GrpcLoop], None] = _left.append) -> None:
        if self._futures:
            keep(self)

    def open(self, new: Callable[[], _ResultT]) -> _ResultT:
        """Make a channel or a server that uses this loop."""
        for left in tuple(_left):
            if not left._futures:  # noqa: SLF001 - of this class
                _left.remove(left)
        # gRPC makes each loop read the poller's socket once, and takes equal loops for one. The
        # real one must come first, so that others who use gRPC in it take no detour.
        grpc.aio.init_grpc_aio()
        # Channels and servers belong to the running loop.
        _set_running_loop(cast("asyncio.AbstractEventLoop", self))
        try:
            return new()
        finally:
            _set_running_loop(self._loop)
            grpc.aio.shutdown_grpc_aio()

    def cancel(self) -> None:
        """Cancel the calls of a channel, also those that only an interceptor knows.

        To cancel a call that is intercepted cancels the interceptor, and not always what that
        awaits.
        """
        for task in filter(None, [running() for running in self._running()]):
            task.cancel()

    async def settle(self, timeout: float) -> None:
        """Wait until nothing is left of the calls, but no longer than `timeout` seconds.

        They must have been cancelled, or their server stopped.
        """
        deadline = self._loop.time() + timeout
        while parts := (*self._running(), *self._futures.copy()):
            for part in parts:
                left = deadline - self._loop.time()
                if left <= 0.0:
                    return
                await self._end_of(part, left)

    async def _end_of(self, part: ref[asyncio.Future[Any]], timeout: float) -> None:
        ended = self._loop.create_future()

        # A reference calls this in the thread that drops the last other one to the future.
        def wake(_: object) -> None:
            self.call_soon_threadsafe(ended.set_result, None)

        watched: object = None
        future = part()
        if isinstance(future, asyncio.Task):
            future.add_done_callback(wake)
        elif future is not None:
            watched = ref(future, wake)
        else:
            wake(watched)
        del future
        await asyncio.wait((ended,), timeout=timeout)

    def _running(self) -> list[ref[asyncio.Future[Any]]]:
        return [task for task in self._tasks.copy() if not _has_ended(task())]

    # The sets forget what is gone by themselves, without any code of Python. Another thread may
    # change them, but not during a copy.
    def create_task(
        self, work: Coroutine[Any, Any, _ResultT], **options: Any
    ) -> asyncio.Task[_ResultT]:
        """Start a task, and note it while anything refers to it."""
        task = self._loop.create_task(work, **options)
        self._tasks.add(ref(task, self._discard_task))
        return task

    def create_future(self) -> asyncio.Future[Any]:
        """Make a future, and note it while anything refers to it."""
        future = self._loop.create_future()
        # The one that a server makes for its end, when it is opened, is no part of a call.
        if _get_running_loop() is self._loop:
            self._futures.add(ref(future, self._discard_future))
        return future

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any) -> None:
        """Call what completes a future; if the loop is closed, nobody waits for it."""
        if _get_running_loop() is self._loop:
            callback(*args)
        else:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(callback, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def __eq__(self, other: object) -> bool:
        return self is other or self._loop is other

    def __hash__(self) -> int:
        return hash(self._loop)


def _has_ended(task: asyncio.Future[Any] | None) -> bool:
    return task is None or task.done()
