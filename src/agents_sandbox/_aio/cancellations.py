"""Who was cancelled: a task, or what it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

_ItemT = TypeVar("_ItemT")


# Python 3.10 does not count, and only the reads of streams do it here: they must not take a
# cancelled task for a cancelled stream. A call of another kind that is cancelled just when the
# client is closed gets ClientClosedError.
def cancellations() -> int:
    """Return how often the running task was cancelled; it may continue after that."""
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)
    if task is None:  # a coroutine that something else than asyncio drives
        return 0
    return _counts.get(task, 0) if cancelling is None else int(cancelling())


COUNTED = hasattr(asyncio.Task, "cancelling")
"""Whether asyncio counts that itself."""

_counts: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()


async def counting_cancellation(reading: Coroutine[Any, Any, _ItemT]) -> _ItemT:
    """Read in a task of its own: what is cancelled there is not the task that waits for it."""
    inner = asyncio.ensure_future(reading)
    try:
        await asyncio.wait((inner,))
    except asyncio.CancelledError:
        inner.cancel()
        inner.add_done_callback(retrieve)
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


def retrieve(task: asyncio.Future[Any]) -> None:
    """Take note of the end of a task: else asyncio logs an error that nobody waits for any more."""
    _ = task.cancelled() or task.exception()
