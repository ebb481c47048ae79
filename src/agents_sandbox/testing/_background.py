"""Background work: its tasks, its steps, and the gate that holds the steps back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any

from ._clock import Clock, HostClock, VirtualClock


class Background:
    """Runs what an RPC only sets going.

    Work waits at `step()` before each change that others can see. While the gate is
    held nobody gets past, so a test can look at the state in between.
    """

    def __init__(self, *, virtual_time: bool = False) -> None:
        self.clock: Clock = VirtualClock() if virtual_time else HostClock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._holds = 0
        self._opening = False
        self._queue: deque[asyncio.Future[None]] = deque()
        self._arrival = asyncio.Event()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start work that ends by itself or with the daemon."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def step(self, delay: float = 0.0) -> None:
        """Wait for `delay` seconds, then for the gate; never returns at once.

        The caller makes its change before it awaits anything else.
        """
        await self.clock.sleep(delay)
        if self._holds or self._opening:
            turn = asyncio.get_running_loop().create_future()
            self._queue.append(turn)
            self._arrival.set()
            await turn

    async def pass_time(self, seconds: float) -> None:
        """Move the virtual clock.

        Raises:
            RuntimeError: The clock is the host's.
        """
        if not isinstance(self.clock, VirtualClock):
            raise RuntimeError("advance() needs virtual_time=True")  # noqa: TRY004 - a state
        await self.clock.advance(seconds)

    def hold(self) -> None:
        """Close the gate; each hold needs a `release()`."""
        self._holds += 1

    def release(self) -> None:
        """Take back one hold; the last one lets everybody through in order of arrival."""
        self._holds -= 1
        self._let_all_through()

    def _let_all_through(self) -> None:
        self._opening = False
        turns = [turn for turn in self._queue if not turn.done()]
        if turns and not self._holds:
            # Who comes to the gate before they are through queues behind them.
            self._opening = True
            self._queue.clear()
            for turn in turns:
                turn.set_result(None)
            asyncio.get_running_loop().call_soon(self._let_all_through)

    async def advance(self, count: int) -> None:
        """Let exactly `count` steps through the closed gate, waiting for each to come."""
        for _ in range(count):
            self._let_through(await self._next_turn())
            # The one let through is already in the ready queue, ahead of us.
            await asyncio.sleep(0)

    async def _next_turn(self) -> asyncio.Future[None]:
        while True:
            while self._queue:
                turn = self._queue.popleft()
                if not turn.done():
                    return turn
            self._arrival.clear()
            await self._arrival.wait()

    @staticmethod
    def _let_through(turn: asyncio.Future[None]) -> None:
        if not turn.done():
            turn.set_result(None)

    async def aclose(self) -> None:
        """Cancel all work and wait until it has ended."""
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
