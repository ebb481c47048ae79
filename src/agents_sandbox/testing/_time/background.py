"""Background work: its tasks, its steps, and the gate that holds the steps back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any

from .clock import Clock, HostClock, VirtualClock

_PATIENCE = 10.0
"""Seconds after which work that does not end when it is cancelled is given up."""


class Background:
    """Runs what an RPC only sets going.

    Work waits at `step()` before each change that others can see. While the gate is
    held nobody gets past, so a test can look at the state in between.
    """

    def __init__(self, *, virtual_time: bool = False) -> None:
        self.clock: Clock = VirtualClock() if virtual_time else HostClock()
        self.errors: list[BaseException] = []
        """What ended work that should have gone on: faults of this fake, or of its user."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._tasks_of_host: set[asyncio.Task[None]] = set()
        self._holds = 0
        self._opening = False
        self._queue: deque[asyncio.Future[None]] = deque()
        self._arrival = asyncio.Event()

    def spawn(
        self, work: Coroutine[Any, Any, None], *, of_host: bool = False
    ) -> asyncio.Task[None]:
        """Start work that ends by itself, or with the daemon if it is not the host's."""
        task = asyncio.get_running_loop().create_task(work)
        tasks = self._tasks_of_host if of_host else self._tasks
        tasks.add(task)

        def ended(_: asyncio.Task[None]) -> None:
            tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if error:
                self.errors.append(error)

        task.add_done_callback(ended)
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
            (await self._next_turn()).set_result(None)
            # The one let through is already in the ready queue, ahead of us.
            await asyncio.sleep(0)  # a turn of the loop, not time

    async def _next_turn(self) -> asyncio.Future[None]:
        while True:
            while self._queue:
                turn = self._queue.popleft()
                if not turn.done():
                    return turn
            self._arrival.clear()
            await self._arrival.wait()

    async def end_life(self) -> None:
        """Cancel all work but the host's, and wait until it has ended."""
        await self._cancel(self._tasks)

    async def aclose(self) -> None:
        """Cancel all work and wait until it has ended."""
        await self._cancel(self._tasks)
        await self._cancel(self._tasks_of_host)

    async def _cancel(self, tasks: set[asyncio.Task[None]]) -> None:
        # Work that is cancelled may start other work.
        while tasks:
            ending = tuple(tasks)
            for task in ending:
                task.cancel()
            _, stuck = await asyncio.wait(ending, timeout=_PATIENCE)
            if stuck:
                self.errors.append(RuntimeError(f"does not end when cancelled: {stuck}"))
                tasks.difference_update(stuck)
