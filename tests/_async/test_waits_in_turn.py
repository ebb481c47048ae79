"""Waits where nothing runs in the background: each one reads its stream between its snapshots."""

from __future__ import annotations

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonError,
    ExecNotFoundError,
    ExecOutput,
    ExecState,
    OperationTimeoutError,
    OutputChunk,
    SandboxHandle,
    SandboxState,
    _deadline,
)
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop, step, stop_background
from ..releases import each_dialect
from .conftest import IMAGE
from .life import ID, count, polled

pytestmark = each_dialect


@pytest.fixture
def alone(sandbox: SandboxHandle, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs in the background, and the command `sleep` never ends."""
    daemon.on_exec(("sleep",)).never()
    stop_background(monkeypatch)


@pytest.mark.usefixtures("alone")
async def test_every_wait_reaches_its_goal(client: AgentsSandboxClient, daemon: FakeDaemon) -> None:
    handle = await client.create_sandbox(image=IMAGE)
    assert handle.state is SandboxState.READY
    result = await client.run(handle.sandbox_id, ("true",))
    assert result.state is ExecState.FINISHED
    stopped = await client.stop_sandbox(handle.sandbox_id)
    assert stopped.state is SandboxState.STOPPED
    resumed = await client.resume_sandbox(handle.sandbox_id)
    assert resumed.state is SandboxState.READY
    deleted = await client.delete_sandbox(handle.sandbox_id)
    assert deleted.state is SandboxState.DELETED
    await off_loop(daemon.wait_for_streams, 0)


async def drain(output: ExecOutput) -> list[OutputChunk]:
    return [chunk async for chunk in output]


@pytest.mark.usefixtures("alone")
async def test_output_is_followed(client: AgentsSandboxClient, daemon: FakeDaemon) -> None:
    daemon.on_exec(("hello",)).stdout("hello").never()
    async with client.start_exec(ID, ("hello",)) as process:
        output = process.output()
        assert (await step(output)).text == "hello"
        rest = Background(drain, output)
        await off_loop(daemon.wait_for_call, "GetExec", count=3)
        await client.stop_sandbox(ID)
        assert await rest.result() == []
    assert process.exit_code == 137
    await off_loop(daemon.wait_for_streams, 0)


@pytest.mark.usefixtures("alone")
async def test_a_wait_ends_at_its_deadline(client: AgentsSandboxClient, daemon: FakeDaemon) -> None:
    with pytest.raises(OperationTimeoutError) as caught:
        await client.run(ID, ("sleep",), timeout_seconds=0.5)
    assert caught.value.last_handle is not None
    await off_loop(daemon.wait_for_streams, 0)


@pytest.mark.usefixtures("alone")
async def test_a_wait_looks_at_its_deadlines_although_no_event_arrives(
    client: AgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_deadline, "LOOK_SECONDS", 0.01)
    run = Background(client.run, ID, ("sleep",), exec_id="my-exec")
    await off_loop(daemon.wait_for_call, "GetExec", count=4)
    await client.cancel_exec("my-exec", wait=False)
    result = await run.result()
    assert result.state is ExecState.CANCELLED


@pytest.mark.usefixtures("alone")
async def test_each_wait_reads_a_stream(client: AgentsSandboxClient, daemon: FakeDaemon) -> None:
    names = ("exec-1", "exec-2")
    runs = [Background(client.run, ID, ("sleep",), exec_id=name) for name in names]
    await off_loop(daemon.wait_for_streams, 2)
    for name in names:
        await client.cancel_exec(name, wait=False)
    for run in runs:
        result = await run.result()
        assert result.state is ExecState.CANCELLED
    await off_loop(daemon.wait_for_streams, 0)


@pytest.mark.usefixtures("alone", "no_pauses")
@pytest.mark.parametrize("loss", ["drop_streams", "end_streams"])
async def test_a_wait_survives_the_loss_of_its_stream(
    client: AgentsSandboxClient, daemon: FakeDaemon, loss: str
) -> None:
    run = Background(client.run, ID, ("sleep",), exec_id="my-exec")
    for _ in range(3):
        await off_loop(daemon.wait_for_streams, 1)
        before = count(daemon, "SubscribeSandboxEvents")
        await off_loop(getattr(daemon.faults, loss))
        await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=before + 1)
    await client.cancel_exec("my-exec", wait=False)
    result = await run.result()
    assert result.state is ExecState.CANCELLED


@pytest.mark.usefixtures("alone", "no_pauses")
async def test_an_exec_whose_sandbox_is_purged(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    run = Background(client.run, ID, ("sleep",), exec_id="my-exec")
    await off_loop(daemon.wait_for_streams, 1)
    # The wait sees none of these events.
    with (
        daemon.faults.failing(method="SubscribeSandboxEvents"),
        daemon.faults.failing(method="GetExec"),
    ):
        await off_loop(daemon.faults.drop_streams)
        await client.delete_sandbox(ID, wait=False)
        async for handle in polled(client):
            if handle.state is SandboxState.DELETED:
                break
        await off_loop(daemon.purge, ID)
    with pytest.raises(ExecNotFoundError):
        await run.result()


@pytest.mark.usefixtures("alone", "no_pauses")
async def test_a_stream_that_is_refused_ends_the_wait(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with (
        daemon.faults.failing(code="INTERNAL", method="SubscribeSandboxEvents"),
        pytest.raises(DaemonError),
    ):
        await client.run(ID, ("sleep",))


async def test_a_stream_that_is_read_in_the_background_stays_with_its_waits(
    client: AgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.create_sandbox(image=IMAGE, sandbox_id=ID, labels={"team": "a"})
    daemon.on_exec(("sleep",)).never()
    run = Background(client.run, ID, ("sleep",))
    await off_loop(daemon.wait_for_call, "GetExec")
    await off_loop(daemon.wait_for_streams, 1)
    stop_background(monkeypatch)
    # This wait needs earlier events than the stream has.
    result = await client.delete_sandboxes({"team": "a"})
    assert result.deleted_sandbox_ids == (ID,)
    ended = await run.result()
    assert ended.state is ExecState.FAILED
