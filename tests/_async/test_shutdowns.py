"""A daemon that is told to stop (SIGTERM, as in each upgrade) waits for open event streams."""

from __future__ import annotations

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonUnavailableError,
    ExecState,
    SandboxHandle,
    SandboxState,
    _deadline,
)
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop, step
from ..releases import each_dialect
from .life import ID, count

pytestmark = each_dialect


# A call may take so long that a wait that lets go only when the call gives up fails the test.
LONG = 60


@pytest.fixture
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client looks for the daemon all the time."""
    monkeypatch.setattr(_deadline, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(_deadline, "IN_TOUCH_SECONDS", 0.02)


async def test_a_wait_lets_the_daemon_go_and_joins_again(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("train",)).never()
    running = Background(client.run, ID, ("train",), exec_id="my-exec", timeout_seconds=LONG)
    await off_loop(daemon.wait_for_streams, 1)
    await client.cancel_exec("my-exec", wait=False)
    await off_loop(daemon.terminate)
    await off_loop(daemon.wait_until_ended)
    await off_loop(daemon.start)
    assert (await running.result()).state is ExecState.CANCELLED


async def test_a_wait_whose_work_ends_during_the_shutdown(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with daemon.paused() as pause:
        stopping = Background(client.stop_sandbox, ID, timeout_seconds=LONG)
        await off_loop(daemon.wait_for_streams, 1)
        await off_loop(daemon.terminate)
        # It happens while the daemon waits for the stream; the snapshot cannot be read.
        await off_loop(pause.step)
    await off_loop(daemon.wait_until_ended)
    await off_loop(daemon.start)
    assert (await stopping.result()).state in (SandboxState.STOPPED, SandboxState.READY)


@pytest.mark.usefixtures("watchful")
async def test_a_daemon_that_shuts_down_lets_the_work_of_a_wait_end(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    """However often the client looks: if the wait let go, the daemon would end the work."""
    daemon.on_exec(("train",)).after(0.3).exit(0)
    running = Background(client.run, ID, ("train",))
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.terminate)
    await off_loop(daemon.wait_until_ended)
    await off_loop(daemon.start)
    assert (await running.result()).state is ExecState.FINISHED


async def test_a_timeout_during_a_shutdown_says_that_the_daemon_is_unavailable(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("train",)).never()
    running = Background(client.run, ID, ("train",), timeout_seconds=0.5)
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.terminate)
    with pytest.raises(DaemonUnavailableError):
        await running.result()
    await off_loop(daemon.wait_until_ended)


@pytest.mark.usefixtures("watchful")
async def test_a_quiet_stream_lets_the_daemon_go_and_resumes(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    after = sandbox.last_event_sequence
    async with client.subscribe_sandbox_events(ID, from_sequence=after) as events:
        waiting = Background(step, events)
        await off_loop(daemon.wait_for_streams, 1)
        await off_loop(daemon.terminate)
        await off_loop(daemon.wait_until_ended)
        await off_loop(daemon.start)
        await client.ping()
        await client.stop_sandbox(ID, wait=False)
        assert (await waiting.result()).sequence == after + 1


@pytest.mark.usefixtures("watchful")
async def test_a_stream_lets_go_of_a_daemon_whose_successor_is_there_already(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    events = client.subscribe_sandbox_events(
        ID, from_sequence=sandbox.last_event_sequence, resume=False
    )
    waiting = Background(step, events)
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.terminate)
    successor = FakeDaemon(version=daemon.version, socket_path=daemon.socket_path)
    await off_loop(successor.start)
    with pytest.raises(DaemonUnavailableError):
        await waiting.result()
    await off_loop(daemon.wait_until_ended)
    await off_loop(successor.stop)


@pytest.mark.usefixtures("watchful")
async def test_a_stream_that_does_not_resume_reports_the_shutdown(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    events = client.subscribe_sandbox_events(
        ID, from_sequence=sandbox.last_event_sequence, resume=False
    )
    waiting = Background(step, events)
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.terminate)
    with pytest.raises(DaemonUnavailableError) as caught:
        await waiting.result()
    assert caught.value.sandbox_id == ID
    await off_loop(daemon.wait_until_ended)


async def test_a_failed_call_is_a_reason_to_look_at_once(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_deadline, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(_deadline, "IN_TOUCH_SECONDS", 3600.0)
    await client.ping()
    events = client.subscribe_sandbox_events(
        ID, from_sequence=sandbox.last_event_sequence, resume=False
    )
    waiting = Background(step, events)
    await off_loop(daemon.wait_for_streams, 1)
    with daemon.faults.failing():
        with pytest.raises(DaemonUnavailableError):
            await client.resume_sandbox(ID)  # it is not retried
        with pytest.raises(DaemonUnavailableError):
            await waiting.result()


@pytest.mark.usefixtures("watchful")
async def test_a_daemon_that_is_only_slow_keeps_its_streams(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    async with client.subscribe_sandbox_events(ID) as events:
        await step(events)
        with daemon.faults.failing("RESOURCE_EXHAUSTED", method="Ping") as fault:
            before = count(daemon, "Ping")
            # The third one has begun, so the second one was answered.
            await off_loop(daemon.wait_for_call, "Ping", count=before + 3)
            await off_loop(daemon.wait_for_streams, 1)
    assert fault.hits >= 2
