"""Waits on one sandbox share one event stream, and do not disturb each other."""

from __future__ import annotations

from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonError,
    ExecState,
    OperationTimeoutError,
    ProtocolError,
    SandboxClientError,
    SandboxHandle,
    SandboxState,
)
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop
from ..releases import each_dialect
from .life import ID, count, subscriptions

pytestmark = each_dialect

MANY = 30


async def waiting(
    client: AgentsSandboxClient, daemon: FakeDaemon, number: int, **arguments: Any
) -> list[Background]:
    """Start `number` waits, each for an exec that never ends by itself."""
    daemon.on_exec(("sleep",)).never()
    before = count(daemon, "GetExec")
    calls = [
        Background(client.run, ID, ("sleep",), exec_id=f"exec-{index}", **arguments)
        for index in range(number)
    ]
    await off_loop(daemon.wait_for_call, "GetExec", count=before + number)
    await off_loop(daemon.wait_for_streams, 1)
    return calls


async def test_waits_on_one_sandbox_share_a_stream(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    before = count(daemon, "SubscribeSandboxEvents")
    daemon.on_exec(("sleep",)).never()
    # The first wait must join first, because its snapshot is the oldest: of waits that begin at the
    # same time, the oldest can be the last to join, and then the stream starts again for it.
    first = Background(client.run, ID, ("sleep",), exec_id="first-exec")
    await off_loop(daemon.wait_for_streams, 1)
    calls = [first, *await waiting(client, daemon, MANY)]
    stop = Background(client.stop_sandbox, ID)
    for call in calls:
        assert (await call.result()).exit_code == 137
    assert (await stop.result()).state is SandboxState.STOPPED
    assert count(daemon, "SubscribeSandboxEvents") == before + 1
    await off_loop(daemon.wait_for_streams, 0)


async def test_an_event_wakes_only_the_waits_that_it_concerns(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    calls = await waiting(client, daemon, MANY)
    reads = count(daemon, "GetExec")
    await client.cancel_exec("exec-7", wait=False)
    assert (await calls[7].result()).state is ExecState.CANCELLED
    # One read by the cancel, one by the wait.
    assert count(daemon, "GetExec") == reads + 2
    await client.delete_sandbox(ID)
    for call in calls:
        await call.result()


async def test_waits_on_two_sandboxes_have_a_stream_each(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    other = await client.create_sandbox(image="a:1", sandbox_id="other-sandbox")
    with daemon.paused():
        stops = [Background(client.stop_sandbox, item.sandbox_id) for item in (sandbox, other)]
        await off_loop(daemon.wait_for_streams, 2)
    assert [(await stop.result()).sandbox_id for stop in stops] == [ID, "other-sandbox"]


async def test_a_wait_that_times_out_does_not_disturb_the_others(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    # The first wait joins first and so starts the stream.
    (hasty,) = await waiting(client, daemon, 1, timeout_seconds=0.5)
    patient = Background(client.run, ID, ("sleep",), exec_id="my-exec")
    with pytest.raises(OperationTimeoutError):
        await hasty.result()
    assert daemon.open_streams == 1
    before = count(daemon, "SubscribeSandboxEvents")
    await client.cancel_exec("my-exec")
    assert (await patient.result()).state is ExecState.CANCELLED
    assert count(daemon, "SubscribeSandboxEvents") == before
    await off_loop(daemon.wait_for_streams, 0)


async def test_the_last_one_closes_the_stream_and_the_next_opens_another(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    before = count(daemon, "SubscribeSandboxEvents")
    daemon.on_exec(("sleep",)).never()
    for number, name in enumerate(("exec-1", "exec-2", "exec-3"), 1):
        call = Background(client.run, ID, ("sleep",), exec_id=name)
        await off_loop(daemon.wait_for_streams, 1)
        await client.cancel_exec(name, wait=False)
        await call.result()
        await off_loop(daemon.wait_for_streams, 0)
        assert count(daemon, "SubscribeSandboxEvents") == before + number


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("how", ["drop_streams", "end_streams"])
async def test_all_survive_the_loss_of_their_stream(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, how: str
) -> None:
    calls = await waiting(client, daemon, MANY)
    for _ in range(3):
        streams = count(daemon, "SubscribeSandboxEvents")
        await off_loop(getattr(daemon.faults, how))
        await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=streams + 1)
        await off_loop(daemon.wait_for_streams, 1)
    await client.stop_sandbox(ID)
    assert {(await call.result()).exit_code for call in calls} == {137}


async def test_all_waits_get_the_error_that_ended_their_stream(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    calls = await waiting(client, daemon, 3)
    misled = pb.SandboxEvent(sandbox_id="other-sandbox")
    await off_loop(daemon.emit, ID, misled)
    errors: list[SandboxClientError] = []
    for call in calls:
        with pytest.raises(ProtocolError, match="an event of sandbox 'other-sandbox'") as caught:
            await call.result()
        errors.append(caught.value)
    assert len(set(map(id, errors))) == 3, "each has its own error"
    assert {error.sandbox_id for error in errors} == {ID}


@pytest.mark.usefixtures("pauses")
async def test_a_stream_that_is_refused_ends_the_wait(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next("SubscribeSandboxEvents", code="RESOURCE_EXHAUSTED", message="many")
    with daemon.paused(), pytest.raises(DaemonError, match="many") as caught:
        await client.stop_sandbox(ID)
    assert (caught.value.code, caught.value.sandbox_id) == ("RESOURCE_EXHAUSTED", ID)


def plan_old_snapshot(daemon: FakeDaemon, exec_id: str) -> None:
    """Make the next cancel see its exec RUNNING, with no events since READY."""
    old = pb.ExecStatus(
        exec_id=exec_id, sandbox_id=ID, state=pb.EXEC_STATE_RUNNING, last_event_sequence=3
    )
    daemon.faults.answer_next("CancelExec", pb.AcceptedResponse(accepted=True))
    daemon.faults.answer_next("GetExec", pb.GetExecResponse(exec=old))


async def test_a_wait_that_joins_with_an_old_snapshot_receives_what_it_missed(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    await client.run(ID, ("true",), exec_id="my-exec")
    await off_loop(daemon.wait_for_streams, 0)
    (other,) = await waiting(client, daemon, 1)
    streams = count(daemon, "SubscribeSandboxEvents")
    plan_old_snapshot(daemon, "my-exec")
    # The shared stream began after the exec ended, so it starts again earlier, for both.
    assert (await client.cancel_exec("my-exec")).state is ExecState.FINISHED
    assert subscriptions(daemon)[streams:] == [3]
    await off_loop(daemon.wait_for_streams, 1)
    await client.cancel_exec("exec-0", wait=False)
    assert (await other.result()).state is ExecState.CANCELLED
    assert count(daemon, "SubscribeSandboxEvents") == streams + 1


async def test_past_events_are_remembered_but_not_forever(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    await waiting(client, daemon, 1)
    (from_sequence,) = subscriptions(daemon)[1:]
    with daemon.paused():
        late = Background(client.run, ID, ("true",), exec_id="my-exec")
        await off_loop(daemon.wait_for_call, "GetExec", count=2)
    await late.result()
    # That was on the shared stream, which started with the first wait.
    assert subscriptions(daemon)[1:] == [from_sequence]
    for _ in range(1100):
        await off_loop(daemon.emit, ID, pb.SandboxEvent())
    with daemon.paused():
        later = Background(client.run, ID, ("true",))
        await off_loop(daemon.wait_for_call, "GetExec", count=4)
    await later.result()
    plan_old_snapshot(daemon, "my-exec")
    assert (await client.cancel_exec("my-exec")).state is ExecState.FINISHED
    assert subscriptions(daemon)[1:] == [from_sequence, 3]
    await client.delete_sandbox(ID)
