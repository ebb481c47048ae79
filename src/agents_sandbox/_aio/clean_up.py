"""Work that runs to its end although its caller is interrupted."""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
from asyncio.events import _get_running_loop
from contextlib import closing, suppress
from typing import Any, cast

from .._notes import note_interruption
from .cancellations import retrieve
from .homes import loop_of_caller
from .waiting import Call


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
            loop = loop_of_caller()
            self._task = _UnstoppableTask(self._function(), loop=loop)
            # asyncio refers to tasks only weakly.
            _unfinished[self._task] = self._function
            self._task.add_done_callback(_unfinished.pop)
            self._task.add_done_callback(retrieve)
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


def _leave_to_parent() -> None:
    _unfinished.clear()


os.register_at_fork(after_in_child=_leave_to_parent)
