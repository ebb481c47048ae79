"""Waits survive what happens to the connection, and end when they must."""

from __future__ import annotations

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonError,
    DaemonUnavailableError,
    ExecState,
    OperationTimeoutError,
    SandboxFailedError,
    SandboxHandle,
    SandboxNotReadyError,
    SandboxState,
)
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"


def subscriptions(daemon: FakeDaemon) -> list[int]:
    """From which sequences the daemon was asked for events."""
    calls = [call for call in daemon.calls if call.method == "SubscribeSandboxEvents"]
    return [call.request.from_sequence for call in calls]


@pytest.mark.parametrize("how", ["drop_streams", "end_streams"])
async def test_a_wait_survives_the_end_of_its_stream(
    client: AgentsSandboxClient, daemon: FakeDaemon, how: str
) -> None:
    with daemon.paused():
        create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
        for attempt in (1, 2, 3):
            await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=attempt)
            await off_loop(daemon.wait_for_streams, 1)
            await off_loop(getattr(daemon, how))
        await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=4)
    assert (await create.result()).state is SandboxState.READY
    assert subscriptions(daemon) == [1, 1, 1, 1]


async def test_a_wait_goes_on_after_the_last_event_it_saw(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    running = Background(client.run, sandbox.sandbox_id, ("sleep",), exec_id="my-exec")
    await off_loop(daemon.wait_for_streams, 1)
    await client.run(sandbox.sandbox_id, ("true",))
    await off_loop(daemon.wait_for_streams, 1)
    async with client.subscribe_sandbox_events(sandbox.sandbox_id, from_sequence=4) as events:
        async for event in events:
            # Delivered here, so delivered to the older stream of the wait too.
            if event.sequence == 6:
                break
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.drop_streams)
    await off_loop(daemon.wait_for_streams, 1)
    await client.cancel_exec("my-exec")
    assert (await running.result()).state is ExecState.CANCELLED
    assert subscriptions(daemon)[-1] in (4, 6)


async def test_a_wait_passes_over_events_from_before_it_began(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
        await off_loop(daemon.wait_for_streams, 1)
        old = pb.SandboxEvent(sequence=1, sandbox_state=pb.SANDBOX_STATE_FAILED)
        await off_loop(daemon.emit, "demo-sandbox", old)
    assert (await create.result()).state is SandboxState.READY


async def test_a_wait_survives_the_absence_of_the_daemon(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
        await off_loop(daemon.wait_for_streams, 1)
        await off_loop(
            daemon.fail_next, "SubscribeSandboxEvents", code="UNAVAILABLE", message="", times=3
        )
        await off_loop(daemon.drop_streams)
        await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=5)
    assert (await create.result()).state is SandboxState.READY


async def test_a_daemon_that_stays_away_ends_the_wait_at_its_deadline(daemon: FakeDaemon) -> None:
    async with AgentsSandboxClient(daemon.socket_path, operation_timeout_seconds=0.5) as client:
        with daemon.paused():
            create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
            await off_loop(daemon.wait_for_streams, 1)
            await off_loop(daemon.stop)
            with pytest.raises(OperationTimeoutError) as caught:
                await create.result()
    assert isinstance(caught.value.__cause__, (DaemonUnavailableError, OperationTimeoutError))


async def test_an_error_of_the_daemon_ends_the_wait(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.fail_next("SubscribeSandboxEvents", code="INTERNAL", message="storage is broken")
    with pytest.raises(DaemonError, match="storage is broken") as caught:
        await client.create_sandbox(image=IMAGE, sandbox_id="demo-sandbox")
    assert (caught.value.code, caught.value.sandbox_id) == ("INTERNAL", "demo-sandbox")


async def test_a_snapshot_that_has_moved_on_is_followed_further(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    # READY was announced, yet the confirming read finds the sandbox PENDING
    # again, as after somebody's stop and resume.
    pending = pb.SandboxHandle(state=pb.SANDBOX_STATE_PENDING, last_event_sequence=3)
    daemon.answer_next("GetSandbox", pb.GetSandboxResponse(sandbox=pending))
    create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
    await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=2)
    ready = pb.SandboxEvent(sandbox_state=pb.SANDBOX_STATE_READY)
    await off_loop(daemon.emit, "demo-sandbox", ready)
    assert (await create.result()).last_event_sequence == 4
    assert subscriptions(daemon) == [1, 3]


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exec whose sandbox is lost is waited for but shortly."""
    monkeypatch.setattr("agents_sandbox._goals._EXEC_GRACE_SECONDS", 0.2)


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("state", ["STOPPED", "DELETED"])
async def test_an_exec_whose_sandbox_is_gone_does_not_wait_for_ever(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, state: str
) -> None:
    # The exec's own end, which the daemon announces around this time, is lost.
    daemon.on_exec(("sleep",)).never()
    running = Background(client.run, sandbox.sandbox_id, ("sleep",), exec_id="my-exec")
    await off_loop(daemon.wait_for_streams, 1)
    gone = pb.SandboxEvent(sandbox_state=f"SANDBOX_STATE_{state}")
    await off_loop(daemon.emit, sandbox.sandbox_id, gone)
    with pytest.raises(SandboxNotReadyError, match=f"{state} and exec my-exec") as caught:
        await running.result()
    assert (caught.value.sandbox_id, caught.value.exec_id) == (sandbox.sandbox_id, "my-exec")


@pytest.mark.usefixtures("short_grace")
async def test_an_exec_whose_sandbox_failed_tells_why(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    running = Background(client.run, sandbox.sandbox_id, ("sleep",), exec_id="my-exec")
    await off_loop(daemon.wait_for_streams, 1)
    died = pb.SandboxEvent(
        event_type=pb.SANDBOX_FAILED,
        sandbox_state=pb.SANDBOX_STATE_FAILED,
        sandbox_phase=pb.SandboxPhaseDetails(error_code="CONTAINER_OOM", error_message="oom"),
    )
    await off_loop(daemon.emit, sandbox.sandbox_id, died)
    with pytest.raises(SandboxFailedError) as caught:
        await running.result()
    assert (caught.value.error_code, caught.value.error_message) == ("CONTAINER_OOM", "oom")
    assert caught.value.exec_id == "my-exec"


async def test_an_exec_whose_container_dies_ends_with_it(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    running = Background(client.run, sandbox.sandbox_id, ("sleep",))
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.kill_primary, sandbox.sandbox_id)
    assert (await running.result()).exit_code == 137
