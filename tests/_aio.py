"""The async half of the test helpers that differ by flavour; `_blocking` is the other half."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """A call that runs while the test continues."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._task = asyncio.ensure_future(function(*args, **kwargs))

    async def result(self) -> Any:
        """Wait until the call ends; return its result or raise its error."""
        return await asyncio.wait_for(self._task, timeout=30)


async def off_loop(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a function that blocks, such as the fake daemon's `wait_for_call`."""
    return await asyncio.to_thread(function, *args, **kwargs)


async def step(iterator: AsyncIterator[T]) -> T:
    """Take one step of an iterator."""
    return await anext(iterator)


async def unless_late(seconds: float, function: Callable[..., Any], *args: Any) -> Any:
    """Make a call; after `seconds`, interrupt it and return None."""
    try:
        return await asyncio.wait_for(function(*args), seconds)
    except asyncio.TimeoutError:
        return None
