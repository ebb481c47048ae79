"""What the async tests need and the blocking ones need otherwise: see `_blocking`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """A call that goes on while the test does."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._task = asyncio.ensure_future(function(*args, **kwargs))

    async def result(self) -> Any:
        """Wait for the call's end: its result, or its error."""
        return await self._task


async def off_loop(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a function that blocks, such as the fake daemon's `wait_for_call`."""
    return await asyncio.to_thread(function, *args, **kwargs)
