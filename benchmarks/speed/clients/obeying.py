"""Reads orders to make many calls, makes them, and answers with what that cost.

An order is a line of JSON on the standard input:

    {"call": "ping", "calls": 1000, "at_once": 10, "arguments": {}}

`at_once` is a number of tasks, or of threads; 0: the main thread. The answer is a line of JSON on
the standard output, with the fields of `benchmarks.speed.programs.Burst`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from ..facts import KEEP_GARBAGE
from ..proc import resident_kib


def obey(calls: Mapping[str, Callable[..., object]]) -> None:
    """Obey until the standard input ends, with blocking calls."""
    for call, count, at_once in _orders(calls):
        if at_once:
            _call_in_threads(call, count, at_once).tell()
        else:
            _call_here(call, count).tell()


def _call_here(call: Callable[[], object], count: int) -> _Cost:
    cost = _Cost()
    cost.begin()
    _repeat(call, count, cost)
    cost.end()
    return cost


def _call_in_threads(call: Callable[[], object], count: int, threads: int) -> _Cost:
    cost = _Cost()
    barrier = threading.Barrier(threads + 1)

    def work(share: int) -> None:
        barrier.wait()  # the start of the threads is not measured
        _repeat(call, share, cost)

    with ThreadPoolExecutor(threads) as pool:
        working = pool.map(work, _shares(count, threads))
        cost.begin()
        barrier.wait()
        list(working)
        cost.end()
    return cost


async def obey_in_loop(calls: Mapping[str, Callable[..., Awaitable[object]]]) -> None:
    """Obey until the standard input ends, in this event loop."""
    for call, count, at_once in _orders(calls):
        cost = _Cost()
        cost.begin()
        await asyncio.gather(
            *(_repeat_in_loop(call, share, cost) for share in _shares(count, at_once))
        )
        cost.end()
        cost.tell()


def _orders(calls: Mapping[str, Callable[..., Any]]) -> Iterator[tuple[Any, int, int]]:
    for line in sys.stdin:
        order = json.loads(line)
        arguments = order["arguments"]
        call = calls[order["call"]]
        yield partial(call, **arguments) if arguments else call, order["calls"], order["at_once"]


def _shares(count: int, workers: int) -> list[int]:
    return [count // workers] * workers


def _repeat(call: Callable[[], object], times: int, cost: _Cost) -> None:
    for _ in range(times):
        try:
            call()
        except Exception as error:  # noqa: BLE001 - the report counts them
            cost.failed(error)
    cost.count_threads()


async def _repeat_in_loop(call: Callable[[], Awaitable[object]], times: int, cost: _Cost) -> None:
    for _ in range(times):
        try:
            await call()
        except Exception as error:  # noqa: BLE001 - the report counts them
            cost.failed(error)
    cost.count_threads()


class _Cost:
    """What the calls between `begin` and `end` cost this process."""

    def __init__(self) -> None:
        self._failures: list[str] = []
        self._threads = 0
        self._wall = self._cpu = 0.0
        gc.collect()  # what was before is not theirs
        if KEEP_GARBAGE in sys.argv:
            gc.disable()

    def begin(self) -> None:
        """Begin."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def end(self) -> None:
        """End."""
        wall, cpu = time.perf_counter(), time.process_time()
        self._wall, self._cpu = wall - self._wall, cpu - self._cpu

    def failed(self, error: Exception) -> None:
        """Note that a call failed."""
        self._failures.append(repr(error))

    def count_threads(self) -> None:
        """Note how many threads there are."""
        self._threads = max(self._threads, threading.active_count())

    def tell(self) -> None:
        """Answer the order."""
        gc.collect()
        answer = {
            "wall": self._wall,
            "cpu": self._cpu,
            "threads": self._threads,
            "resident_kib": resident_kib(),
            "failures": len(self._failures),
            "failure": self._failures[0] if self._failures else "",
        }
        print(json.dumps(answer), flush=True)
