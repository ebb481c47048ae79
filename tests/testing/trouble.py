"""Helpers for tests of faults."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

import grpc

from .raw import TIMEOUT, Raw, Refusal, refusal

DROPPED = Refusal("UNAVAILABLE", "connection dropped")


class Clock:
    """A clock that does not advance: the test wakes each sleeper."""

    def __init__(self) -> None:
        self._sleepers: queue.SimpleQueue[tuple[float, Callable[[], object]]] = queue.SimpleQueue()
        self.cancelled = threading.Event()

    async def sleep(self, seconds: float) -> None:
        alarm: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        self._sleepers.put((seconds, lambda: loop.call_soon_threadsafe(alarm.set_result, None)))
        try:
            await alarm
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    def sleeper(self) -> tuple[float, Callable[[], object]]:
        """Wait for the next sleeper; return its seconds and a function that wakes it."""
        return self._sleepers.get(timeout=TIMEOUT)


def sequences(raw: Raw, count: int, **fields: Any) -> list[int]:
    """Return the sequences of the first `count` events of a stream."""
    with raw.stream(**fields) as stream:
        return [next(stream).sequence for _ in range(count)]


def until_failure(stream: Any) -> tuple[list[int], Refusal]:
    """Read a stream until it fails; return the sequences of its events, and the failure."""
    seen: list[int] = []
    try:
        for event in stream:
            seen.append(event.sequence)  # noqa: PERF401 - the list survives the failure
    except grpc.RpcError as error:
        return seen, refusal(error)
    raise AssertionError(f"the stream ended cleanly after {seen}")
