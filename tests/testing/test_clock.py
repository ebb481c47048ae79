"""The daemon's clock."""

from __future__ import annotations

import asyncio
import math

import pytest

from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._time.clock import HostClock, VirtualClock

from .raw import connected


async def test_sleepers_wake_in_the_order_of_their_time() -> None:
    clock = VirtualClock()
    start = clock.nanoseconds()
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, *seconds: float) -> None:
        for wait in seconds:
            await clock.sleep(wait)
            woken.append((name, (clock.nanoseconds() - start) / 1e9))

    tasks = [
        asyncio.create_task(sleep("a", 3, 2)),
        asyncio.create_task(sleep("b", 4)),
        asyncio.create_task(sleep("c", 3, 90)),
        asyncio.create_task(sleep("never", 1)),
    ]
    await clock.advance(0)
    tasks.pop().cancel()
    await clock.advance(2.5)
    assert woken == []
    await clock.advance(7.5)
    assert woken == [("a", 3), ("c", 3), ("b", 4), ("a", 5)]
    assert (clock.nanoseconds() - start) / 1e9 == 10
    await clock.advance(90)
    assert woken[4:] == [("c", 93)]
    await asyncio.gather(*tasks)


async def test_zero_seconds_are_a_turn_of_the_loop() -> None:
    for clock in (VirtualClock(), HostClock()):
        turns: list[int] = []
        asyncio.get_running_loop().call_soon(turns.append, 1)
        await clock.sleep(0)  # the call under test
        assert turns == [1]


async def test_times_differ_while_the_clock_is_frozen() -> None:
    clock = VirtualClock()
    first, second = (clock.now().ToNanoseconds() for _ in range(2))
    assert (first, second) == (clock.nanoseconds(), clock.nanoseconds() + 1_000)
    await clock.advance(1)
    assert clock.now().ToNanoseconds() == first + 1_000_000_000


def test_clock_is_frozen_while_the_files_of_a_sandbox_are_created(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def prepare(*ids: object) -> None:
        for _ in range(500):  # turns of the loop, not time
            await asyncio.sleep(0)  # a turn of the loop, not time

    with FakeDaemon(virtual_time=True) as daemon, connected(daemon) as raw:
        monkeypatch.setattr(daemon._runner, "prepare", prepare)
        raw.create()
        daemon.advance(60)
        _, preparing, ready = raw.wait_for(pb.SANDBOX_READY)
    passed = ready.occurred_at.ToNanoseconds() - preparing.occurred_at.ToNanoseconds()
    assert passed < 1_000_000_000


def test_host_clock_cannot_be_advanced() -> None:
    with FakeDaemon() as daemon, pytest.raises(RuntimeError, match="requires a virtual clock"):
        daemon.advance(1)


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
def test_clock_cannot_advance_by_invalid_seconds(seconds: float) -> None:
    daemon = FakeDaemon(virtual_time=True)
    with pytest.raises(ValueError, match="seconds must be finite and not negative"):
        daemon.advance(seconds)
    daemon.stop()
