"""Background work: its tasks, its steps, and the gate that can stop the steps."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any

from .clock import Clock, HostClock, VirtualClock

_CANCEL_TIMEOUT = 10.0
"""Seconds to wait for cancelled work to end."""


class Background:
    """Runs work that an RPC starts but does not wait for.

    Work waits at `step()` before each change that others can see. While the gate is closed, no
    work passes it, so a test can look at the state in between.
    """

    def __init__(self, *, virtual_time: bool = False) -> None:
        self.clock: Clock = VirtualClock() if virtual_time else HostClock()
        self.errors: list[BaseException] = []
        """Errors that ended work early: bugs of the fake daemon, or errors of the test."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._host_tasks: set[asyncio.Task[None]] = set()
        self._holds = 0
        self._opening = False
        self._queue: deque[asyncio.Future[None]] = deque()
        self._arrival = asyncio.Event()

    def spawn(
        self, work: Coroutine[Any, Any, None], *, outlives_daemon: bool = False
    ) -> asyncio.Task[None]:
        """Start work. A kill of the daemon cancels it, unless it `outlives_daemon`: the host's."""
        task = asyncio.get_running_loop().create_task(work)
        tasks = self._host_tasks if outlives_daemon else self._tasks
        tasks.add(task)

        def ended(_: asyncio.Task[None]) -> None:
            tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if error:
                self.errors.append(error)

        task.add_done_callback(ended)
        return task

    async def pass_gate(self, delay: float = 0.0) -> None:
        """Wait for `delay` seconds, then for the gate; always takes at least one turn.

        The caller must make its change before it awaits anything else.
        """
        await self.clock.sleep(delay)
        if self._holds or self._opening:
            turn = asyncio.get_running_loop().create_future()
            self._queue.append(turn)
            self._arrival.set()
            await turn

    async def advance_clock(self, seconds: float) -> None:
        """Advance the virtual clock.

        Raises:
            RuntimeError: The daemon uses the host's clock.
        """
        if not isinstance(self.clock, VirtualClock):
            raise RuntimeError(  # noqa: TRY004 - a state
                "advance() requires a virtual clock: use FakeDaemon(virtual_time=True)"
            )
        await self.clock.advance(seconds)

    def hold(self) -> None:
        """Close the gate; each call requires a `release()`."""
        self._holds += 1

    def release(self) -> None:
        """Undo one `hold()`; the last one lets all work through in order of arrival."""
        self._holds -= 1
        self._open_gate()

    def _open_gate(self) -> None:
        self._opening = False
        turns = [turn for turn in self._queue if not turn.done()]
        if turns and not self._holds:
            # Work that arrives before all of these are through queues behind them.
            self._opening = True
            self._queue.clear()
            for turn in turns:
                turn.set_result(None)
            asyncio.get_running_loop().call_soon(self._open_gate)

    async def let_through(self, count: int) -> None:
        """Let exactly `count` changes through the closed gate; wait for each to arrive."""
        for _ in range(count):
            (await self._next_turn()).set_result(None)
            # The task that may continue is already in the ready queue, ahead of this one.
            await asyncio.sleep(0)  # a turn of the loop, not time

    async def _next_turn(self) -> asyncio.Future[None]:
        while True:
            while self._queue:
                turn = self._queue.popleft()
                if not turn.done():
                    return turn
            self._arrival.clear()
            await self._arrival.wait()

    async def cancel_daemon_work(self) -> None:
        """Cancel all work except the host's, and wait until it has ended."""
        await self._cancel(self._tasks)

    async def aclose(self) -> None:
        """Cancel all work and wait until it has ended."""
        await self._cancel(self._tasks)
        await self._cancel(self._host_tasks)

    async def _cancel(self, tasks: set[asyncio.Task[None]]) -> None:
        # Cancelled work may start other work.
        while tasks:
            ending = tuple(tasks)
            for task in ending:
                task.cancel()
            _, stuck = await asyncio.wait(ending, timeout=_CANCEL_TIMEOUT)
            if stuck:
                self.errors.append(RuntimeError(f"cancelled work did not end: {stuck}"))
                tasks.difference_update(stuck)
