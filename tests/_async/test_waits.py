"""Waits survive lost connections and end when they must."""

from __future__ import annotations

import math

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonError,
    DaemonUnavailableError,
    ExecState,
    SandboxFailedError,
    SandboxHandle,
    SandboxInvalidStateError,
    SandboxNotReadyError,
    SandboxState,
    _deadline,
)
from agents_sandbox._connection.address import DaemonAddress
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop
from ..releases import each_dialect, every_release
from .life import subscriptions

pytestmark = every_release

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("how", ["drop_streams", "end_streams"])
async def test_a_wait_survives_the_end_of_its_stream(
    client: AgentsSandboxClient, daemon: FakeDaemon, how: str
) -> None:
    with daemon.paused():
        create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
        for attempt in (1, 2, 3):
            await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=attempt)
            await off_loop(daemon.wait_for_streams, 1)
            await off_loop(getattr(daemon.faults, how))
        await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=4)
    assert (await create.result()).state is SandboxState.READY
    assert subscriptions(daemon) == [1, 1, 1, 1]


def answer(daemon: FakeDaemon, method: str, last_event_sequence: int) -> None:
    """Make the next call see the sandbox PENDING, with this newest event.

    It works in both dialects: the fields that are set have the same numbers in both.
    """
    pending = pb.SandboxHandle(
        sandbox_id="demo-sandbox",
        state=pb.SANDBOX_STATE_PENDING,
        last_event_sequence=last_event_sequence,
    )
    response = {"CreateSandbox": pb.CreateSandboxResponse, "GetSandbox": pb.GetSandboxResponse}
    daemon.faults.answer_next(method, response[method](sandbox=pending))


async def test_a_wait_continues_if_a_snapshot_does_not_confirm_an_event(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        await client.create_sandbox(image=IMAGE, sandbox_id="demo-sandbox", wait=False)
        # As after another caller's stop and resume.
        ready = pb.SandboxEvent(sandbox_state=pb.SANDBOX_STATE_READY)
        await off_loop(daemon.emit, "demo-sandbox", ready)
        answer(daemon, "CreateSandbox", 1)
        create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
        await off_loop(daemon.wait_for_call, "GetSandbox", count=2)
    assert (await create.result()).state is SandboxState.READY
    assert subscriptions(daemon) == [1]


@each_dialect
async def test_a_wait_pauses_longer_and_longer_while_no_stream_can_be_opened(
    client: AgentsSandboxClient, daemon: FakeDaemon, pauses: list[float]
) -> None:
    daemon.faults.fail_next("SubscribeSandboxEvents", code="UNAVAILABLE", times=7)
    with daemon.paused():
        create = Background(client.create_sandbox, image=IMAGE)
        await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=8)
    await create.result()
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


@each_dialect
async def test_a_wait_pauses_longer_and_longer_while_no_snapshot_can_be_read(
    client: AgentsSandboxClient, daemon: FakeDaemon, pauses: list[float]
) -> None:
    daemon.faults.fail_next("GetSandbox", code="UNAVAILABLE", times=7)
    await client.create_sandbox(image=IMAGE)
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


@each_dialect
async def test_a_wait_pauses_before_it_replaces_an_ended_stream(
    client: AgentsSandboxClient, daemon: FakeDaemon, pauses: list[float]
) -> None:
    with daemon.paused():
        create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
        for attempt in (1, 2, 3):
            await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=attempt)
            await off_loop(daemon.wait_for_streams, 1)
            await off_loop(daemon.faults.end_streams)
        await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=4)
    await create.result()
    assert pauses == [0.05, 0.1, 0.2]


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED"])
async def test_a_wait_survives_the_loss_of_its_first_snapshot(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, code: str
) -> None:
    daemon.faults.fail_next("GetExec", code=code)
    result = await client.run(sandbox.sandbox_id, ("true",))
    assert result.state is ExecState.FINISHED
    assert result.stdout_log_path is not None
    await client.stop_sandbox(sandbox.sandbox_id)
    daemon.faults.fail_next("GetSandbox", code=code)
    assert (await client.resume_sandbox(sandbox.sandbox_id)).state is SandboxState.READY


async def test_an_rpc_of_a_wait_takes_no_longer_than_timeout_seconds(daemon: FakeDaemon) -> None:
    async with AgentsSandboxClient(
        daemon.socket_path, timeout_seconds=3, operation_timeout_seconds=math.inf
    ) as client:
        sandbox = await client.create_sandbox(image=IMAGE)
        await client.run(sandbox.sandbox_id, ("true",))
    for call in daemon.calls:
        assert call.time_remaining is not None
        if call.method == "SubscribeSandboxEvents":
            assert 59 < call.time_remaining < 61 == _deadline.SILENCE_SECONDS + 1
        else:
            assert call.time_remaining < 4


async def test_a_wait_passes_over_events_from_before_it_began(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
        await off_loop(daemon.wait_for_streams, 1)
        old = pb.SandboxEvent(sequence=1, sandbox_state=pb.SANDBOX_STATE_FAILED)
        await off_loop(daemon.emit, "demo-sandbox", old)
    assert (await create.result()).state is SandboxState.READY


@pytest.mark.usefixtures("pauses")
async def test_a_wait_survives_while_the_daemon_is_unavailable(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
        await off_loop(daemon.wait_for_streams, 1)
        await off_loop(
            daemon.faults.fail_next,
            "SubscribeSandboxEvents",
            code="UNAVAILABLE",
            message="",
            times=3,
        )
        await off_loop(daemon.faults.drop_streams)
        await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=5)
    assert (await create.result()).state is SandboxState.READY


@each_dialect
async def test_a_daemon_that_stays_unavailable_ends_the_wait_at_its_deadline(
    daemon: FakeDaemon,
) -> None:
    async with AgentsSandboxClient(daemon.socket_path, operation_timeout_seconds=0.5) as client:
        with daemon.paused():
            create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
            await off_loop(daemon.wait_for_streams, 1)
            await off_loop(daemon.stop)
            with pytest.raises(DaemonUnavailableError) as caught:
                await create.result()
    assert caught.value.sandbox_id == "demo-sandbox"


@each_dialect
async def test_an_error_of_the_daemon_ends_the_wait(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next("SubscribeSandboxEvents", code="INTERNAL", message="storage is broken")
    with pytest.raises(DaemonError, match="storage is broken") as caught:
        await client.create_sandbox(image=IMAGE, sandbox_id="demo-sandbox")
    assert (caught.value.code, caught.value.sandbox_id) == ("INTERNAL", "demo-sandbox")


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("state", ["STOPPED", "DELETED"])
async def test_an_exec_whose_sandbox_has_ended_is_not_waited_for_forever(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, state: str
) -> None:
    # The exec's own end, which the daemon reports around this time, is lost.
    daemon.on_exec(("sleep",)).never()
    running = Background(
        client.run, sandbox.sandbox_id, ("sleep",), exec_id="my-exec", timeout_seconds=math.inf
    )
    await off_loop(daemon.wait_for_streams, 1)
    gone = pb.SandboxEvent(sandbox_state=f"SANDBOX_STATE_{state}")
    await off_loop(daemon.emit, sandbox.sandbox_id, gone)
    with pytest.raises(SandboxNotReadyError, match=f"is {state}, and the daemon never") as caught:
        await running.result()
    assert (caught.value.sandbox_id, caught.value.exec_id) == (sandbox.sandbox_id, "my-exec")


@pytest.mark.usefixtures("short_grace")
async def test_an_exec_whose_sandbox_failed_says_why(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    running = Background(
        client.run, sandbox.sandbox_id, ("sleep",), exec_id="my-exec", timeout_seconds=math.inf
    )
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
    await off_loop(daemon.kill_container, sandbox.sandbox_id)
    assert (await running.result()).exit_code == 137


@pytest.mark.usefixtures("pauses")
async def test_a_sandbox_that_only_its_stream_does_not_find_is_still_followed(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next(
        "SubscribeSandboxEvents", code="NOT_FOUND", reason="SANDBOX_NOT_FOUND", times=2
    )
    with daemon.paused():
        stop = Background(client.stop_sandbox, sandbox.sandbox_id)
        await off_loop(daemon.wait_for_streams, 1)
    assert (await stop.result()).state is SandboxState.STOPPED
    # After the subscription of the create; each one starts where the first one started.
    assert subscriptions(daemon)[1:] == [3, 3, 3]


@each_dialect
@pytest.mark.usefixtures("pauses")
async def test_a_sandbox_that_its_stream_no_longer_finds_is_still_followed(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        stop = Background(client.stop_sandbox, sandbox.sandbox_id)
        await off_loop(daemon.wait_for_streams, 1)
        # The stream ends, and then the sandbox is not found: daemons since 0.4.3 report a purge so.
        daemon.faults.fail_next(
            "SubscribeSandboxEvents", code="NOT_FOUND", reason="SANDBOX_NOT_FOUND"
        )
        await off_loop(daemon.faults.end_streams)
        await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=4)
    assert (await stop.result()).state is SandboxState.STOPPED


@each_dialect
async def test_a_restart_that_broke_no_stream_shows_with_the_next_event(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    identity = DaemonAddress.socket_identity
    offset = [0]

    def restarted(address: DaemonAddress) -> tuple[int, ...] | None:
        found = identity(address)
        return None if found is None else (*found, *offset)

    monkeypatch.setattr(DaemonAddress, "socket_identity", restarted)
    with daemon.paused():
        stop = Background(client.stop_sandbox, sandbox.sandbox_id)
        await off_loop(daemon.wait_for_streams, 1)
        offset[0] = 1
        await off_loop(daemon.emit, sandbox.sandbox_id, pb.SandboxEvent())
        await off_loop(daemon.wait_for_call, "StopSandbox", count=2)
    assert (await stop.result()).state is SandboxState.STOPPED


@each_dialect
async def test_a_stop_that_cannot_be_requested_again_continues(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        stop = Background(client.stop_sandbox, sandbox.sandbox_id)
        await off_loop(daemon.wait_for_streams, 1)
        await off_loop(daemon.kill)
        await off_loop(
            daemon.faults.fail_next,
            "StopSandbox",
            code="FAILED_PRECONDITION",
            reason="SANDBOX_INVALID_STATE",
        )
        await off_loop(daemon.start)
        await off_loop(daemon.wait_for_call, "StopSandbox", count=2)
    # As if another caller had been quicker.
    await client.stop_sandbox(sandbox.sandbox_id)
    assert (await stop.result()).state is SandboxState.STOPPED


@pytest.mark.releases("0.2.1")
async def test_a_stop_that_a_restart_has_left_failed_is_not_waited_for(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_deadline, "DYING_SECONDS", 0.05)
    with daemon.paused() as pause:
        stop = Background(client.stop_sandbox, sandbox.sandbox_id)
        await off_loop(daemon.wait_for_call, "StopSandbox")
        await off_loop(pause.step)  # the container dies; STOPPED would be the next step
        await off_loop(daemon.kill)
        await off_loop(daemon.start)
    with pytest.raises(SandboxFailedError) as caught:
        await stop.result()
    assert caught.value.error_code == "CONTAINER_DIED"


@each_dialect
async def test_a_stop_that_another_caller_undoes_immediately_is_not_waited_for(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        stop = Background(client.stop_sandbox, sandbox.sandbox_id)
        await off_loop(daemon.wait_for_streams, 1)
        for kind, state in (("STOPPED", "STOPPED"), ("ACCEPTED", "PENDING")):
            event = pb.SandboxEvent(
                event_type=f"SANDBOX_{kind}", sandbox_state=f"SANDBOX_STATE_{state}"
            )
            await off_loop(daemon.emit, sandbox.sandbox_id, event)
        with pytest.raises(SandboxInvalidStateError, match="another caller resumed it"):
            await stop.result()
