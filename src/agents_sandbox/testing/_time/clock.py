"""The daemon's clock: that of the host, or one that a test moves."""

from __future__ import annotations

import asyncio
import heapq
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from itertools import count
from typing import TypeAlias, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

T = TypeVar("T")
Sleep: TypeAlias = Callable[[float], Awaitable[None]]
"""Waits for seconds on the daemon's clock."""

_NANOS = 1_000_000_000
_QUIET_TURNS = 20
"""Turns of the loop without a new sleeper after which all work waits for something.

From one sleep to the next a task hops over a few futures at most, each a turn of its own.
"""


class Clock(ABC):
    """Time that never repeats and never goes back.

    Lists are ordered by it, so two sandboxes must not share a moment.
    """

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> Timestamp:
        """The current time, later than every time handed out before, in microseconds too."""
        self._last = max(self._last + 1_000, self.nanoseconds())
        seconds, nanos = divmod(self._last, _NANOS)
        return Timestamp(seconds=seconds, nanos=nanos)

    @abstractmethod
    def nanoseconds(self) -> int:
        """The current time since the epoch."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Wait; even no time at all is a turn of the loop."""

    async def stand_still(self, work: Awaitable[T]) -> T:
        """Wait for what the host really has to do; a virtual clock cannot move meanwhile."""
        return await work


class HostClock(Clock):
    """The host's time."""

    def nanoseconds(self) -> int:
        """The current time since the epoch."""
        return time.time_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        await asyncio.sleep(seconds)


class VirtualClock(Clock):
    """Time that stands still until `advance()` moves it."""

    def __init__(self) -> None:
        super().__init__()
        self._now = time.time_ns()
        self._sleeps = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()
        self._at_work = 0
        self._idle = asyncio.Event()
        self._advancing = asyncio.Lock()

    def nanoseconds(self) -> int:
        """The current time since the epoch."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was moved that far."""
        self._sleeps += 1
        if seconds <= 0:
            await asyncio.sleep(0)  # a turn of the loop, not time
            return
        wakened = asyncio.get_running_loop().create_future()
        due = self._now + round(seconds * _NANOS)
        heapq.heappush(self._sleepers, (due, next(self._order), wakened))
        await wakened

    async def stand_still(self, work: Awaitable[T]) -> T:
        """Wait for what the host really has to do; this clock cannot move meanwhile."""
        self._at_work += 1
        self._idle.clear()
        try:
            return await work
        finally:
            self._at_work -= 1
            if not self._at_work:
                self._idle.set()

    async def advance(self, seconds: float) -> None:
        """Let time pass: wake each sleeper when it is due, and let it do what it then does."""
        async with self._advancing:
            await self._advance(self._now + round(seconds * _NANOS))

    async def _advance(self, target: int) -> None:
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, wakened = heapq.heappop(self._sleepers)
            if not wakened.done():  # else its task was cancelled
                self._now = due
                wakened.set_result(None)
                await self._settle()
        self._now = target

    async def _settle(self) -> None:
        quiet, seen = 0, self._sleeps
        while quiet < _QUIET_TURNS:
            await asyncio.sleep(0)  # a turn of the loop, not time
            if self._at_work:
                quiet = 0
                await self._idle.wait()
            quiet, seen = (quiet + 1 if seen == self._sleeps else 0), self._sleeps
