"""What ends late: the daemon's event loop closes when nothing is left of any call."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import grpc.aio
import pytest

from agents_sandbox._wire import methods
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._server import engine

from .raw import TIMEOUT, Raw

TURNS = 100
"""Turns of the event loop: more than it takes from the end of the daemon to its close."""
STOPS = 13  # with each of two interpreters
"""Without the wait for calls and their results, one stop in 5 leads to an error."""


def test_stop_lets_late_calls_end(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    async def call() -> None:
        try:
            for _ in range(TURNS):
                await asyncio.sleep(0)  # a turn of the loop, not time
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        ended.append("answered")

    at_the_end_of(
        daemon, monkeypatch, lambda: tasks.append(daemon._engine._grpc_loop.create_task(call()))
    )
    daemon.stop()
    assert ended == ["answered"]


def test_stop_waits_for_late_results(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[asyncio.Future[Any]] = []

    def drop_in(turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(drop_in, turns - 1)
        else:
            kept.clear()

    def cut_call() -> None:
        kept.append(daemon._engine._grpc_loop.create_future())
        kept[0].cancel()
        drop_in(TURNS)

    at_the_end_of(daemon, monkeypatch, cut_call)
    daemon.stop()
    assert not kept


def at_the_end_of(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]
) -> None:
    """Act in the daemon's loop when its server has stopped, and give all the time it takes."""
    monkeypatch.setattr(engine, "_GRACE", math.inf)
    close = daemon._engine._runner.aclose

    async def close_and_act() -> None:
        await close()
        act()

    monkeypatch.setattr(daemon._engine._runner, "aclose", close_and_act)


def test_stop_leaves_nothing_of_the_server(raw: Raw, daemon: FakeDaemon) -> None:
    raw.ready()
    with raw.stream() as stream:
        next(stream)
        grpc_loop = daemon._engine._grpc_loop
        assert grpc_loop._running()
        assert grpc_loop._futures
        daemon.stop()
    assert (grpc_loop._running(), grpc_loop._futures) == ([], set())


def test_a_start_that_fails_leaves_nothing_to_wait_for(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_GRACE", math.inf)
    with pytest.raises(OSError, match="already listening"):
        FakeDaemon(socket_path=daemon.socket_path).start()


async def ping_until_stopped(path: str, stopped: asyncio.Event) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"unix:{path}", options) as channel:
        ping: Any = channel.unary_unary(methods.PING.path)
        while not stopped.is_set():
            calls = [ping(b"", timeout=TIMEOUT) for _ in range(5)]
            for call in calls:
                assert await call.code() in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)


@pytest.mark.unmeasured
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
            assert daemon._engine._grpc_loop._futures == set()
    # With two event loops, older gRPC also raises BlockingIOError, whether calls arrive or not.
    assert "Event loop is closed" not in errors
