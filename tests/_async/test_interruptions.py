"""Waits for execs, and waits during restarts, purges and idle stops: one test for each case."""

from __future__ import annotations

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    ExecHandle,
    ExecNotFoundError,
    ExecState,
    HealthcheckConfig,
    OperationTimeoutError,
    SandboxFailedError,
    SandboxHandle,
    SandboxNotReadyError,
    SandboxState,
    ServiceSpec,
)
from agents_sandbox.testing import ContainerBehavior, FakeDaemon

from .._aio import Background, off_loop
from ..releases import each_dialect
from .conftest import IMAGE
from .life import ID, count, history, killed_under, polled, restart

pytestmark = each_dialect

S = SandboxState


async def running(client: AgentsSandboxClient, daemon: FakeDaemon) -> Background:
    """Start an exec that never ends by itself, and a wait for it."""
    daemon.on_exec(("sleep",)).never()
    run = Background(client.run, ID, ("sleep",), exec_id="my-exec")
    await off_loop(daemon.wait_for_streams, 1)
    return run


@pytest.mark.parametrize("method", ["stop_sandbox", "delete_sandbox"])
async def test_an_exec_whose_sandbox_is_ended(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, method: str
) -> None:
    run = await running(client, daemon)
    await getattr(client, method)(ID)
    result: ExecHandle = await run.result()
    assert (result.state, result.exit_code) == (ExecState.FAILED, 137)


async def test_an_exec_whose_sandbox_fails(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    run = await running(client, daemon)
    await off_loop(daemon.kill_container, ID)
    assert (await run.result()).exit_code == 137


@pytest.mark.usefixtures("no_pauses")
async def test_an_exec_whose_sandbox_is_purged(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    run = await running(client, daemon)
    # The wait sees none of these events.
    with (
        daemon.faults.failing(method="SubscribeSandboxEvents"),
        daemon.faults.failing(method="GetExec"),
    ):
        await off_loop(daemon.faults.drop_streams)
        await client.delete_sandbox(ID, wait=False)
        async for handle in polled(client):
            if handle.state is S.DELETED:
                break
        await off_loop(daemon.purge, ID)
    with pytest.raises(ExecNotFoundError) as caught:
        await run.result()
    assert caught.value.exec_id == "my-exec"


async def test_the_end_of_an_exec_after_that_of_its_sandbox(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    run = await running(client, daemon)
    with daemon.paused():
        delete = Background(client.delete_sandbox, ID)
        await off_loop(daemon.wait_for_call, "DeleteSandbox")
        await off_loop(daemon.kill)
    await off_loop(daemon.start)
    assert (await delete.result()).state is S.DELETED
    assert (await history(client))[-2:] == ["DELETED", "EXEC_FAILED"]
    assert (await run.result()).error == "exec was running when daemon restarted"


async def test_a_resume_that_fails(release: str) -> None:
    database = ServiceSpec("db", "postgres:17", healthcheck=HealthcheckConfig(("CMD", "true")))
    containers = {"db": ContainerBehavior(resumes=False, healthy_after=0)}
    with FakeDaemon(version=release, containers=containers) as daemon:
        async with AgentsSandboxClient(daemon.socket_path, operation_timeout_seconds=20) as client:
            await client.create_sandbox(image=IMAGE, sandbox_id=ID, required_services=[database])
            await client.stop_sandbox(ID)
            if release == "0.2.1":
                with pytest.raises(SandboxFailedError, match="db is not running") as caught:
                    await client.resume_sandbox(ID)
                assert caught.value.error_code == "SANDBOX_RESUME_FAILED"
            else:  # a companion never fails its sandbox
                assert (await client.resume_sandbox(ID)).state is S.READY
            assert (await client.delete_sandbox(ID)).state is S.DELETED


@pytest.mark.usefixtures("no_pauses")
async def test_a_purge_during_a_delete(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with daemon.faults.failing(method="SubscribeSandboxEvents"):
        delete = Background(client.delete_sandbox, ID)
        await off_loop(daemon.wait_for_call, "DeleteSandbox")
        async for handle in polled(client):
            if handle.state is S.DELETED:
                break
        with daemon.faults.failing(method="GetSandbox"):
            await off_loop(daemon.purge, ID)
    handle = await delete.result()
    assert (handle.sandbox_id, handle.state, handle.image) == (ID, S.DELETED, IMAGE)


async def test_a_create_during_a_restart(client: AgentsSandboxClient, daemon: FakeDaemon) -> None:
    create = await killed_under(daemon, client.create_sandbox, image=IMAGE, sandbox_id=ID)
    await off_loop(daemon.start)
    with pytest.raises(SandboxFailedError) as caught:
        await create.result()
    assert caught.value.error_code == "INTERRUPTED_PENDING"
    assert (await client.delete_sandbox(ID)).state is S.DELETED


async def test_a_resume_during_a_restart(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    await client.stop_sandbox(ID)
    resume = await killed_under(daemon, client.resume_sandbox, ID)
    await off_loop(daemon.start)
    with pytest.raises(SandboxFailedError) as caught:
        await resume.result()
    assert caught.value.error_code == "INTERRUPTED_PENDING"


async def test_a_stop_during_a_restart_is_requested_again(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    stop = await killed_under(daemon, client.stop_sandbox, ID)
    await off_loop(daemon.start)
    assert (await stop.result()).state is S.STOPPED
    assert count(daemon, "StopSandbox") == 2


async def test_a_stop_whose_sandbox_a_restart_ended(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, release: str
) -> None:
    stop = await killed_under(daemon, client.stop_sandbox, ID)
    await off_loop(daemon.remove_container, ID)
    await off_loop(daemon.start)
    with pytest.raises(SandboxFailedError) as caught:
        await stop.result()
    assert caught.value.error_code == "CONTAINER_NOT_RUNNING"


async def test_a_delete_during_a_restart(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    delete = await killed_under(daemon, client.delete_sandbox, ID)
    await off_loop(daemon.start)
    assert (await delete.result()).state is S.DELETED
    assert await history(client) == [
        *("ACCEPTED", "PREPARING", "READY", "DELETE_REQUESTED", "DELETED")
    ]


async def test_an_exec_during_a_restart(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    run = await running(client, daemon)
    await restart(daemon)
    result: ExecHandle = await run.result()
    assert (result.state, result.exit_code) == (ExecState.FAILED, None)
    assert result.error == "exec was running when daemon restarted"
    # The sequence continues, and so does the sandbox.
    assert (await client.run(ID, ("true",))).last_event_sequence == 7


async def test_an_exec_that_comes_too_late_to_prevent_an_idle_stop(release: str) -> None:
    with FakeDaemon(version=release, virtual_time=True, idle_ttl=60, stop_delay=5) as daemon:
        async with AgentsSandboxClient(daemon.socket_path, operation_timeout_seconds=20) as client:
            daemon.on_exec(("sleep",)).never()
            await client.create_sandbox(image=IMAGE, sandbox_id=ID)
            await off_loop(daemon.advance, 120)  # the stop has begun, and takes 5 s
            assert (await history(client))[-1] == "STOP_REQUESTED"
            run = Background(client.run, ID, ("sleep",))
            await off_loop(daemon.wait_for_call, "GetExec")
            await off_loop(daemon.advance, 5)
            result: ExecHandle = await run.result()
            assert (result.state, result.exit_code) == (ExecState.FAILED, 137)
            with pytest.raises(SandboxNotReadyError):
                await client.run(ID, ("sleep",))


@pytest.mark.parametrize("method", ["stop_sandbox", "delete_sandbox", "run"])
async def test_a_wait_that_times_out_says_what_continues(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, method: str
) -> None:
    arguments = (ID, ("true",)) if method == "run" else (ID,)
    with daemon.paused(), pytest.raises(OperationTimeoutError) as caught:
        await getattr(client, method)(*arguments, timeout_seconds=0.3)
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert (error.sandbox_id, error.timeout_seconds) == (ID, 0.3)
    assert isinstance(error.last_handle, ExecHandle if method == "run" else SandboxHandle)
    assert "increase timeout_seconds" in str(error)
