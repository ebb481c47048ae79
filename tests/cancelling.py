"""Cancels a task at its k-th suspension, for tests that try all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import agents_sandbox
from agents_sandbox._aio import clean_up
from agents_sandbox._aio.clean_up import _UnstoppableTask

_PACKAGE = f"{Path(agents_sandbox.__file__).parent}/"
_FAKE = f"{_PACKAGE}testing/"


class Suspensions:
    """Counts the suspensions of one call and of all tasks that the SDK runs beside it.

    Args:
        cancel_at: The suspension at which the call's task is cancelled, from 1.
        late: Cancel it not when it suspends, but when it is about to continue with what it waited
            for: the client must not lose that.
        again_after: Cancel it again after so many more suspensions, once for each number.
    """

    def __init__(
        self, cancel_at: int, *, late: bool = False, again_after: Iterable[int] = ()
    ) -> None:
        self._left = cancel_at
        self._seen = 0
        self._late = late
        self._again_after = deque(again_after)
        self._task: asyncio.Task[Any] | None = None
        self.cancelled = False
        """Whether the task was cancelled before it ended."""

    @property
    def reached(self) -> bool:
        """Whether there were that many suspensions."""
        return self._left <= 0 and not self._again_after

    @property
    def seen(self) -> int:
        """How many suspensions there were."""
        return self._seen

    def cancel_after(self, suspensions: int) -> None:
        """Cancel after that many more suspensions."""
        self._left = suspensions

    async def run(self, call: Coroutine[Any, Any, object]) -> None:
        """Run the call to its end; if it was cancelled, it must raise CancelledError."""
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory()
        # Only code of the SDK counts: gRPC's own tasks end with their calls.
        loop.set_task_factory(self._new_task)
        try:
            with patch.object(clean_up, "_UnstoppableTask", self._new_unstoppable_task):
                self._task = asyncio.Task(self._watched(call), loop=loop)
                await asyncio.wait((self._task,))
        finally:
            loop.set_task_factory(before)
        if self.cancelled:
            assert self._task.cancelled(), f"not cancelled but {self._task!r}"
        else:
            self._task.result()

    def _new_task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **kwargs: Any
    ) -> asyncio.Task[Any]:
        code = getattr(coroutine, "cr_code", None)
        path = "" if code is None else code.co_filename
        if path.startswith(_PACKAGE) and not path.startswith(_FAKE):
            coroutine = self._watched(coroutine)
        return asyncio.Task(coroutine, loop=loop, **kwargs)

    def _new_unstoppable_task(
        self, coroutine: Coroutine[Any, Any, Any], *, loop: asyncio.AbstractEventLoop
    ) -> asyncio.Task[None]:
        watched: Any = self._watched(coroutine)
        return _UnstoppableTask(watched, loop=loop)

    async def _watched(self, call: Coroutine[Any, Any, object]) -> object:
        return await _Watched(call, self._suspended)

    def _suspended(self, waits_for: object) -> None:
        self._seen += 1
        self._left -= 1
        if self._left:
            return
        if self._late and isinstance(waits_for, asyncio.Future):
            # It runs before the task wakes up, because the task registers its callback later.
            waits_for.add_done_callback(self._cancel)
        else:
            self._cancel(waits_for)

    def _cancel(self, _: object) -> None:
        assert self._task is not None
        self.cancelled = self._task.cancel() or self.cancelled
        if self._again_after:
            self._left = self._again_after.popleft()


class _Watched:
    """Awaits a coroutine and reports what each suspension waits for."""

    def __init__(
        self, coroutine: Coroutine[Any, Any, object], suspended: Callable[[object], None]
    ) -> None:
        self._coroutine = coroutine
        self._suspended = suspended

    def __await__(self) -> Generator[object, object, object]:
        step: Callable[[], object] = partial(self._coroutine.send, None)
        while True:
            try:
                waits_for = step()
            except StopIteration as end:
                return end.value
            self._suspended(waits_for)
            try:
                came = yield waits_for
            except BaseException as error:  # noqa: BLE001 - the coroutine handles it
                step = partial(self._coroutine.throw, error)
            else:
                step = partial(self._coroutine.send, came)
            # A close waits until nothing refers to gRPC's futures, and the error refers to this
            # frame.
            del waits_for
