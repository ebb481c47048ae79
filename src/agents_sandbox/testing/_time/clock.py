"""The daemon's clock: the host's, or one that a test advances."""

from __future__ import annotations

import asyncio
import heapq
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, TypeAlias, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from ..._surroundings.clock import monotonic, real_time

T = TypeVar("T")
Sleep: TypeAlias = Callable[[float], Awaitable[None]]
"""Waits on the daemon's clock, for a number of seconds."""

_NANOS = 1_000_000_000
_QUIET_TURNS = 20
"""If so many turns of the loop bring no new sleeper, all work is waiting.

Between two sleeps, a task awaits a few futures at most, each for one turn.
"""
PATIENCE = 2.0
"""Seconds of real time that a command of the host gets at most while a virtual clock waits."""


def keep_real_time(loop: asyncio.AbstractEventLoop) -> None:
    """Let the timers of a loop go on while freezegun stops those of all others."""
    loop.time = monotonic  # type: ignore[method-assign] # of this loop alone


class Clock(ABC):
    """Time that never repeats and never goes back.

    Lists are ordered by it, so two sandboxes must not have the same time.
    """

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> Timestamp:
        """The current time, at least a microsecond later than every time returned before."""
        self._last = max(self._last + 1_000, self.nanoseconds())
        seconds, nanos = divmod(self._last, _NANOS)
        return Timestamp(seconds=seconds, nanos=nanos)

    @abstractmethod
    def nanoseconds(self) -> int:
        """The current time since the epoch."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Wait; zero seconds are one turn of the loop."""

    async def freeze_during(self, work: Awaitable[T]) -> T:
        """Await work that takes real time; until it ends, a virtual clock cannot advance."""
        return await work

    async def hesitate_during(self, work: Awaitable[T]) -> T:
        """Await work that takes real time; a virtual clock gives it some before it advances."""
        return await work


class HostClock(Clock):
    """The host's time.

    It begins with the date and then goes on by itself: a date that is mocked or set decides about
    nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._epoch = real_time() - monotonic()

    def nanoseconds(self) -> int:
        """The current time since the epoch."""
        return round((self._epoch + monotonic()) * _NANOS)

    async def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        await asyncio.sleep(seconds)


class VirtualClock(Clock):
    """Time that is frozen until `advance()` moves it."""

    def __init__(self) -> None:
        super().__init__()
        self._now = round(real_time() * _NANOS)
        self._sleeps = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()
        self._freezes = 0
        self._idle = asyncio.Event()
        self._advancing = asyncio.Lock()
        self._patience: dict[asyncio.Future[Any], float] = {}
        """How many seconds of real time each work in progress still gets."""

    def nanoseconds(self) -> int:
        """The current time since the epoch."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was advanced that far."""
        self._sleeps += 1
        if seconds <= 0:
            await asyncio.sleep(0)  # a turn of the loop, not time
            return
        alarm = asyncio.get_running_loop().create_future()
        due = self._now + round(seconds * _NANOS)
        heapq.heappush(self._sleepers, (due, next(self._order), alarm))
        await alarm

    async def freeze_during(self, work: Awaitable[T]) -> T:
        """Await work that takes real time; until it ends, this clock cannot advance."""
        self._freezes += 1
        self._idle.clear()
        try:
            return await work
        finally:
            self._freezes -= 1
            if not self._freezes:
                self._idle.set()

    async def hesitate_during(self, work: Awaitable[T]) -> T:
        """Await work that takes real time.

        Before this clock advances, the work gets as much real time to end, but not more than
        `PATIENCE` in all.
        """
        future = asyncio.ensure_future(work)
        self._patience[future] = PATIENCE
        try:
            return await future
        finally:
            del self._patience[future]

    async def advance(self, seconds: float) -> None:
        """Move the time; wake each sleeper when it is due, and let its work settle."""
        async with self._advancing:
            target = self._now + round(seconds * _NANOS)
            await self._settle()
            await self._hesitate(seconds)
            await self._advance(target)

    async def _hesitate(self, seconds: float) -> None:
        waits = {work: min(left, seconds) for work, left in self._patience.items() if left}
        if waits:
            wait = max(waits.values())
            await asyncio.wait(waits, timeout=wait)
            for work in waits.keys() & self._patience.keys():
                self._patience[work] = max(0.0, self._patience[work] - wait)
            await self._settle()

    async def _advance(self, target: int) -> None:
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, alarm = heapq.heappop(self._sleepers)
            if not alarm.done():  # else its task was cancelled
                self._now = due
                alarm.set_result(None)
                await self._settle()
        self._now = target

    async def _settle(self) -> None:
        quiet, seen = 0, self._sleeps
        while quiet < _QUIET_TURNS:
            await asyncio.sleep(0)  # a turn of the loop, not time
            if self._freezes:
                quiet = 0
                await self._idle.wait()
            quiet, seen = (quiet + 1 if seen == self._sleeps else 0), self._sleeps
