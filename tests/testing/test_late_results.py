"""What gRPC reports late: the daemon's event loop closes when nothing is missing any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc.aio
import pytest

from agents_sandbox._wire import methods
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._server.late_results import LateResults

from .raw import TIMEOUT

LONG = 60.0
STOPS = 25
"""Without the waits for calls or for results, one stop in 5 or one in 25 leads to an error."""


@pytest.fixture
async def late() -> LateResults:
    late = LateResults()
    late.watch()
    return late


async def cut_call(begin: Callable[[], None]) -> list[asyncio.Future[None]]:
    """Cancel a task that waits for a future; return the future, which gRPC would keep."""
    kept: list[asyncio.Future[None]] = []
    waiting = asyncio.Event()

    async def call() -> None:
        begin()
        kept.append(asyncio.get_running_loop().create_future())
        waiting.set()
        await kept[0]

    task = asyncio.ensure_future(call())
    await waiting.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return kept


async def test_result_of_a_cut_call_is_waited_for(late: LateResults) -> None:
    kept = await cut_call(late.begin)
    waiting = asyncio.ensure_future(late.arrive(LONG))
    asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, kept.clear)
    await asyncio.wait_for(waiting, TIMEOUT)
    assert not kept


async def test_result_that_never_arrives(late: LateResults) -> None:
    kept = await cut_call(late.begin)
    await late.arrive(0.01)
    assert kept


def begin_and_end(late: LateResults) -> None:
    late.begin()
    late.end()


@pytest.mark.parametrize("begin", [lambda _: None, begin_and_end])
async def test_tasks_of_our_own_leave_no_results(
    late: LateResults, begin: Callable[[LateResults], None]
) -> None:
    kept = await cut_call(lambda: begin(late))
    await asyncio.wait_for(late.arrive(LONG), TIMEOUT)
    assert kept


async def test_result_of_a_running_task_is_not_waited_for(late: LateResults) -> None:
    with late.within():
        result = asyncio.get_running_loop().create_future()
    await asyncio.wait_for(late.arrive(LONG), TIMEOUT)
    assert not result.cancelled()


def test_stop_lets_late_calls_end(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    close = daemon._engine._runner.aclose
    tasks: list[asyncio.Task[None]] = []

    async def call() -> None:
        try:
            for _ in range(100):
                await asyncio.sleep(0)  # a turn of the loop, not time
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        ended.append("answered")

    async def close_and_call() -> None:
        await close()
        tasks.append(asyncio.ensure_future(call()))

    monkeypatch.setattr(daemon._engine._runner, "aclose", close_and_call)
    daemon.stop()
    assert ended == ["answered"]


async def ping_until_stopped(path: str, stopped: asyncio.Event) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"unix:{path}", options) as channel:
        ping: Any = channel.unary_unary(methods.PING.path)
        while not stopped.is_set():
            calls = [ping(b"", timeout=TIMEOUT) for _ in range(5)]
            for call in calls:
                assert await call.code() in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)


@pytest.mark.slow
async def test_stop_under_arriving_calls_finds_no_closed_loop() -> None:
    errors: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: errors.append(str(context.get("exception")))
    )
    for _ in range(STOPS):
        stopped = asyncio.Event()
        async with FakeDaemon() as daemon:
            path = daemon.socket_path
            pings = [asyncio.ensure_future(ping_until_stopped(path, stopped)) for _ in range(4)]
            await asyncio.to_thread(daemon.wait_for_call, "Ping", count=50)
            await asyncio.to_thread(daemon.stop)
            stopped.set()
            await asyncio.gather(*pings)
    # With two event loops, older gRPC also raises BlockingIOError, whether calls arrive or not.
    assert "Event loop is closed" not in errors
