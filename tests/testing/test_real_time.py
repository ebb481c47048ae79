"""Virtual time and commands that really run: a clock waits for them, but not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._time import clock
from agents_sandbox.testing._time.clock import HostClock, VirtualClock

from .raw import TIMEOUT, Raw, connected


@pytest.fixture
def raw() -> Iterator[Raw]:
    """A client of a daemon with virtual time and a sandbox that takes 5 s to stop."""
    options: dict[str, Any] = {"virtual_time": True, "exec_mode": "passthrough", "stop_delay": 5}
    with FakeDaemon(version="0.4.3", **options) as daemon, connected(daemon) as client:
        client.create()
        daemon.advance(0)
        yield client


def stop_and_advance(raw: Raw) -> pb.ExecStatus:
    """Stop the sandbox, let that time pass at once, and return the exec."""
    raw(methods.STOP_SANDBOX, sandbox_id="box-1")
    raw.daemon.advance(5)
    assert raw.get().state == pb.SANDBOX_STATE_STOPPED
    status: pb.ExecStatus = raw.exec()
    return status


def test_a_command_that_is_about_to_end_is_not_killed_by_an_advance(
    raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "PATIENCE", TIMEOUT)
    raw.start("sleep", "0.1")
    ended = stop_and_advance(raw)
    assert (ended.state, ended.exit_code) == (pb.EXEC_STATE_FINISHED, 0)


def test_a_command_that_does_not_end_is_not_waited_for_for_ever(
    raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "PATIENCE", 0.01)
    raw.start("sleep", "60")
    assert stop_and_advance(raw).exit_code == 137


async def test_work_gets_as_much_real_time_as_passes_and_a_limit_in_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    virtual = VirtualClock()
    waits: list[float] = []

    async def wait(_: object, *, timeout: float) -> None:
        waits.append(timeout)

    forever: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    work = asyncio.ensure_future(virtual.hesitate_during(forever))
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "wait", wait)
        for seconds in (0.5, 0.25, 60, 60):
            await virtual.advance(seconds)
    assert waits == [0.5, 0.25, clock.PATIENCE - 0.75]
    forever.set_result(None)
    await work
    await virtual.advance(60)
    assert len(waits) == 3


async def test_the_clock_of_the_host_waits_for_nothing() -> None:
    done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    done.set_result(1)
    assert await HostClock().hesitate_during(done) == 1
