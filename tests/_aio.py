"""The async half of the test helpers that differ by flavour; `_blocking` is the other half."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest

from agents_sandbox._aio import Reader
from agents_sandbox._async import _feeds
from agents_sandbox._async._sandboxes import stock

T = TypeVar("T")

# A call that had so many turns to end hangs. A pause of the whole machine, however long, takes only
# one of them from a call that is merely late.
TURNS = 300
TURN_SECONDS = 0.1


class Background:
    """A call that runs while the test continues."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._task = asyncio.ensure_future(function(*args, **kwargs))

    async def result(self) -> Any:
        """Wait until the call ends; return its result or raise its error.

        Raises:
            TimeoutError: It hangs.
        """
        for _ in range(TURNS):
            done, _ = await asyncio.wait((self._task,), timeout=TURN_SECONDS)
            if done:
                return self._task.result()
        self._task.cancel()
        raise TimeoutError(f"the call did not end in {TURNS} waits of {TURN_SECONDS} s")


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


class _Unread(Reader):
    """A reader whose function never runs."""

    in_background = False

    def __init__(self, function: object, on_end: object) -> None:
        pass

    def alive(self) -> bool:
        return False

    def stop(self) -> None:
        pass

    async def ended(self) -> None:
        pass


def stop_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing of the client run in the background from now on."""
    for module in (_feeds, stock):
        monkeypatch.setattr(module, "Reader", _Unread)
