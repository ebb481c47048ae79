"""What tests of faults share."""

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
    """A clock that stands still until the test wakes a sleeper."""

    def __init__(self) -> None:
        self.asked: queue.SimpleQueue[tuple[float, Callable[[], object]]] = queue.SimpleQueue()
        self.given_up = threading.Event()

    async def sleep(self, seconds: float) -> None:
        alarm: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        self.asked.put((seconds, lambda: loop.call_soon_threadsafe(alarm.set_result, None)))
        try:
            await alarm
        except asyncio.CancelledError:
            self.given_up.set()
            raise

    def sleeper(self) -> tuple[float, Callable[[], object]]:
        """Wait for one that falls asleep: how long it means to, and what wakes it."""
        return self.asked.get(timeout=TIMEOUT)


def sequences(raw: Raw, count: int, **fields: Any) -> list[int]:
    """The sequences of the first so many events of a stream, as they come."""
    with raw.stream(**fields) as stream:
        return [next(stream).sequence for _ in range(count)]


def until_failure(stream: Any) -> tuple[list[int], Refusal]:
    """The sequences of all events of a stream, and how it failed."""
    seen: list[int] = []
    try:
        for event in stream:
            seen.append(event.sequence)  # noqa: PERF401 - what was seen outlives the failure
    except grpc.RpcError as error:
        return seen, refusal(error)
    raise AssertionError(f"the stream ended cleanly after {seen}")
