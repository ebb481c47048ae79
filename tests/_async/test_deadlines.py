"""Daemons also see the deadlines of calls, and may end them first: with OK or CANCELLED."""

from __future__ import annotations

from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonUnavailableError,
    ExecState,
    OperationTimeoutError,
    SandboxHandle,
)
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop, step
from ..releases import each_dialect
from .life import ID

pytestmark = each_dialect


@pytest.fixture
def every_deadline_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of the two ends of the connection ends a call at its deadline is a race without it."""
    monkeypatch.setattr("agents_sandbox._deadline._CLOCK_DIFFERENCE_SECONDS", 3600.0)


@pytest.fixture
def the_daemon_is_first(monkeypatch: pytest.MonkeyPatch, every_deadline_is_near: None) -> None:
    """The daemon ends calls so early that the client cannot be faster."""
    monkeypatch.setattr("agents_sandbox.testing._faults.kinds._BEFORE_DEADLINE", 3600.0)


@pytest.mark.usefixtures("the_daemon_is_first")
@pytest.mark.parametrize("code", ["OK", "CANCELLED"])
@pytest.mark.parametrize("resume", [True, False])
async def test_a_stream_that_the_daemon_ends_at_its_deadline_has_timed_out(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, code: Any, resume: bool
) -> None:
    with daemon.faults.ending_at_deadlines(code) as fault:
        events = client.subscribe_sandbox_events(
            ID, from_sequence=sandbox.last_event_sequence, resume=resume, timeout_seconds=0.2
        )
        with pytest.raises(OperationTimeoutError, match=r"did not end within 0\.2 s") as caught:
            await step(events)
    assert fault.hits
    assert (caught.value.timeout_seconds, caught.value.sandbox_id) == (0.2, ID)


@pytest.mark.usefixtures("the_daemon_is_first")
async def test_a_call_that_the_daemon_cancels_at_its_deadline_has_timed_out(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with (
        daemon.faults.delaying(30, method="GetSandbox"),
        daemon.faults.ending_at_deadlines(method="GetSandbox") as fault,
        pytest.raises(OperationTimeoutError, match=r"did not end within 0\.2 s") as caught,
    ):
        await client.get_sandbox(ID, timeout_seconds=0.2)
    assert fault.hits == 1
    assert (caught.value.code, caught.value.timeout_seconds) == ("DEADLINE_EXCEEDED", 0.2)


@pytest.mark.usefixtures("every_deadline_is_near")
async def test_a_stream_whose_end_comes_before_its_deadline_passes_here_has_timed_out(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    events = client.subscribe_sandbox_events(ID, resume=False, timeout_seconds=600)
    assert (await step(events)).sequence == 1
    daemon.faults.end_streams()
    with pytest.raises(OperationTimeoutError, match="did not end within 600 s") as caught:
        while True:
            await step(events)
    assert (caught.value.code, caught.value.sandbox_id) == ("DEADLINE_EXCEEDED", ID)


@pytest.mark.usefixtures("every_deadline_is_near")
async def test_a_call_whose_end_comes_before_its_deadline_passes_here_has_timed_out(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next("GetSandbox", code="CANCELLED")
    with pytest.raises(OperationTimeoutError, match="did not end within 600 s"):
        await client.get_sandbox(ID, timeout_seconds=600)


async def test_a_wait_outlives_the_deadlines_of_its_streams(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agents_sandbox._deadline.SILENCE_SECONDS", 0.05)
    monkeypatch.setattr("agents_sandbox.testing._faults.kinds._BEFORE_DEADLINE", 0.04)
    daemon.on_exec(("train",)).never()
    with daemon.faults.ending_at_deadlines("OK") as fault:
        running = Background(client.run, ID, ("train",), exec_id="my-exec")
        await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=3)
        await client.cancel_exec("my-exec", wait=False)
        assert (await running.result()).state is ExecState.CANCELLED
    assert fault.hits


@pytest.mark.parametrize("times", [1, None], ids=["at first", "to the end"])
async def test_a_wait_says_whether_the_daemon_answered_at_the_end(
    sandbox: SandboxHandle, daemon: FakeDaemon, times: int | None
) -> None:
    daemon.on_exec(("train",)).never()
    hasty = AgentsSandboxClient(daemon.socket_path, timeout_seconds=0.4, exec_timeout_seconds=1.2)
    with daemon.faults.delaying(60, method="GetExec", times=times) as silent:
        async with hasty:
            with pytest.raises(OperationTimeoutError, match=r"did not end within 1\.2 s") as caught:
                await hasty.run(ID, ("train",))
    assert silent.hits
    assert ("the daemon did not answer the last call" in str(caught.value)) == (times is None)


async def test_a_wait_whose_daemon_dies_says_so(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("train",)).never()
    running = Background(client.run, ID, ("train",), exec_id="my-exec", timeout_seconds=0.5)
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.kill)
    with pytest.raises(
        DaemonUnavailableError, match=r"exec my-exec did not end within 0\.5 s, and"
    ) as caught:
        await running.result()
    error = caught.value
    assert "nothing listens there" in str(error)
    assert (error.sandbox_id, error.exec_id) == (ID, "my-exec")
    assert (error.socket_path, error.retryable) == (str(daemon.socket_path), True)
