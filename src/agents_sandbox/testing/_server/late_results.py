"""Results that gRPC's C core reports for tasks that no longer wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

_TURN = 0.001
"""Seconds between two looks; results arrive within some milliseconds."""


class LateResults:
    """The results that an event loop has to wait for before it closes; used on that loop.

    When a connection breaks, gRPC cancels the task that reads a request or writes an event. The C
    core reports the result of the read or write a moment later nevertheless, and until then gRPC
    keeps the future for it. If the loop is closed by then, asyncio logs an error on another loop.
    """

    def __init__(self) -> None:
        self._waiting: WeakSet[object] = WeakSet()
        self._results: WeakSet[asyncio.Future[Any]] = WeakSet()

    def watch(self) -> None:
        """Watch the futures that the running loop makes from now on."""
        loop = asyncio.get_running_loop()
        make = loop.create_future

        def create_future() -> asyncio.Future[Any]:
            future = make()
            if asyncio.current_task(loop) in self._waiting:
                self._results.add(future)
            return future

        # asyncio intends this method to be replaced, and gRPC makes all its futures with it.
        loop.create_future = create_future  # type: ignore[method-assign]

    def begin(self) -> None:
        """Note that the current task waits for nothing but gRPC, until `end()`."""
        self._waiting.add(asyncio.current_task())

    def end(self) -> None:
        """Note that the current task runs our code again."""
        self._waiting.discard(asyncio.current_task())

    @contextmanager
    def within(self) -> Iterator[None]:
        """Note that the current task waits for nothing but gRPC in the block."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    async def arrive(self, timeout: float) -> None:
        """Wait up to `timeout` seconds until no result is missing whose task was cancelled."""
        with suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(self._arrive(), timeout)

    async def _arrive(self) -> None:
        while any(result.cancelled() for result in self._results):  # noqa: ASYNC110 - gRPC gives no notice
            await asyncio.sleep(_TURN)
