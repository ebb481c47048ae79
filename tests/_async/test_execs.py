"""Running commands in a sandbox."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    ExecAlreadyTerminalError,
    ExecConflictError,
    ExecHandle,
    ExecNotFoundError,
    ExecNotRunningError,
    ExecState,
    InvalidArgumentError,
    OperationTimeoutError,
    SandboxConflictError,
    SandboxHandle,
    SandboxNotFoundError,
    SandboxNotReadyError,
)
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop
from ..releases import any_release, each_dialect, every_release

pytestmark = every_release


def methods(daemon: FakeDaemon) -> list[str]:
    """The names of the recorded RPCs, after the four of the create."""
    return [call.method for call in daemon.calls][4:]


async def test_run_returns_the_ended_command(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("greet",)).stdout("hello\n").stderr("oops\n").exit(3)
    result = await client.run(sandbox.sandbox_id, ("greet",), cwd="/tmp", env_overrides={"A": "1"})
    assert result.state is ExecState.FAILED
    assert result.exit_code == 3
    assert result.error == "docker exec failed: exit code 3"
    assert result.sandbox_id == sandbox.sandbox_id
    assert (result.command, result.cwd) == (("greet",), "/tmp")
    assert result.env_overrides == {"A": "1"}
    assert uuid.UUID(result.exec_id).version == 4
    assert result.stdout_log_path is not None
    assert result.stderr_log_path is not None
    assert Path(result.stdout_log_path).read_text() == "hello\n"
    assert Path(result.stderr_log_path).read_text() == "oops\n"


async def test_a_command_that_ends_well_has_exit_code_0(
    client: AgentsSandboxClient, sandbox: SandboxHandle
) -> None:
    result = await client.run(sandbox.sandbox_id, ["true"])
    assert (result.state, result.exit_code, result.error) == (ExecState.FINISHED, 0, None)


async def test_create_exec_does_not_wait_by_default(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    handle = await client.create_exec(sandbox.sandbox_id, ("sleep",), exec_id="my-exec")
    assert (handle.exec_id, handle.state) == ("my-exec", ExecState.RUNNING)
    assert handle.exit_code is None
    assert handle.stdout_log_path is not None
    assert methods(daemon) == ["CreateExec", "GetExec"]


async def test_an_exec_that_is_read_has_the_log_paths_of_its_create(
    client: AgentsSandboxClient, sandbox: SandboxHandle
) -> None:
    created = await client.create_exec(sandbox.sandbox_id, ("true",), wait=True)
    read = await client.get_exec(created.exec_id)
    assert (read.state, read.exit_code) == (ExecState.FINISHED, 0)
    assert created.stdout_log_path is not None
    assert read.stdout_log_path == created.stdout_log_path
    assert read.stderr_log_path == created.stderr_log_path


async def test_a_waiting_exec_follows_from_its_own_sequence(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        running = Background(client.create_exec, sandbox.sandbox_id, ("true",), wait=True)
        await off_loop(daemon.wait_for_streams, 1)
    assert (await running.result()).state is ExecState.FINISHED
    assert methods(daemon) == ["CreateExec", "GetExec", "SubscribeSandboxEvents", "GetExec"]
    subscribe = daemon.calls[-2].request
    assert subscribe.from_sequence == sandbox.last_event_sequence + 1
    assert not subscribe.include_current_snapshot


async def test_a_wait_is_not_woken_by_other_execs(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("slow",)).never()
    slow = Background(client.run, sandbox.sandbox_id, ("slow",), exec_id="slow-exec")
    await off_loop(daemon.wait_for_streams, 1)
    await client.run(sandbox.sandbox_id, ("quick",))
    await client.cancel_exec("slow-exec")
    result = await slow.result()
    assert (result.exec_id, result.state) == ("slow-exec", ExecState.CANCELLED)
    assert result.exit_code is None
    # One read at its start, one at its end; the other exec's events cause none.
    assert (
        sum(c.method == "GetExec" and c.request.exec_id == "slow-exec" for c in daemon.calls) == 3
    )


async def test_cancel_returns_the_cancelled_exec(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    handle = await client.create_exec(sandbox.sandbox_id, ("sleep",))
    assert [h.exec_id for h in await client.list_active_execs()] == [handle.exec_id]
    cancelled = await client.cancel_exec(handle.exec_id)
    assert cancelled.state is ExecState.CANCELLED
    assert await client.list_active_execs() == []
    assert methods(daemon)[-3:] == ["CancelExec", "GetExec", "ListActiveExecs"]


async def test_cancel_waits_for_a_terminal_state_unless_wait_is_false(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    handle = await client.create_exec(sandbox.sandbox_id, ("sleep",))
    running = await client.get_exec(handle.exec_id)
    still = daemon.calls[-1].method
    assert (running.state, still) == (ExecState.RUNNING, "GetExec")
    assert (await client.cancel_exec(handle.exec_id, wait=False)).state is ExecState.CANCELLED


@each_dialect
async def test_cancel_of_an_ended_exec_is_refused(
    client: AgentsSandboxClient, sandbox: SandboxHandle
) -> None:
    handle = await client.run(sandbox.sandbox_id, ("true",))
    with pytest.raises(ExecAlreadyTerminalError) as caught:
        await client.cancel_exec(handle.exec_id)
    assert isinstance(caught.value, ExecNotRunningError)
    assert caught.value.exec_id == handle.exec_id


@each_dialect
@pytest.mark.parametrize("method", ["get_exec", "cancel_exec"])
async def test_an_unknown_exec_is_not_found(client: AgentsSandboxClient, method: str) -> None:
    with pytest.raises(ExecNotFoundError) as caught:
        await getattr(client, method)("ghost-001")
    assert caught.value.exec_id == "ghost-001"
    assert caught.value.sandbox_id is None


@each_dialect
async def test_a_taken_exec_id_conflicts_as_an_exec(
    client: AgentsSandboxClient, sandbox: SandboxHandle
) -> None:
    await client.run(sandbox.sandbox_id, ("true",), exec_id="my-exec")
    with pytest.raises(ExecConflictError, match="exec_id my-exec already exists") as caught:
        await client.run(sandbox.sandbox_id, ("true",), exec_id="my-exec")
    assert isinstance(caught.value, SandboxConflictError)
    assert caught.value.exec_id == "my-exec"
    assert caught.value.reason == "EXEC_ID_ALREADY_EXISTS"


@each_dialect
async def test_an_exec_needs_a_ready_sandbox(
    client: AgentsSandboxClient, sandbox: SandboxHandle
) -> None:
    await client.stop_sandbox(sandbox.sandbox_id)
    with pytest.raises(SandboxNotReadyError) as caught:
        await client.run(sandbox.sandbox_id, ("true",))
    assert caught.value.sandbox_id == sandbox.sandbox_id
    with pytest.raises(SandboxNotFoundError):
        await client.run("ghost-001", ("true",))


@any_release
@pytest.mark.parametrize("command", ["ls -l", b"ls", (), ("ls", 1), None])
async def test_a_command_must_be_an_argv(
    client: AgentsSandboxClient, daemon: FakeDaemon, command: Any
) -> None:
    with pytest.raises(InvalidArgumentError, match="command"):
        await client.run("demo-sandbox", command)
    assert daemon.calls == ()


async def test_list_active_execs_filters_by_sandbox(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    other = await client.create_sandbox(image=sandbox.image)
    for name, where in (("exec-2", sandbox), ("exec-1", sandbox), ("exec-3", other)):
        await client.create_exec(where.sandbox_id, ("sleep",), exec_id=name)

    async def active(**arguments: Any) -> list[str]:
        return [handle.exec_id for handle in await client.list_active_execs(**arguments)]

    assert await active() == ["exec-1", "exec-2", "exec-3"]
    assert await active(sandbox_id=sandbox.sandbox_id) == ["exec-1", "exec-2"]
    assert await active(sandbox_id="ghost-001") == []


@each_dialect
async def test_a_command_that_outlasts_the_wait_continues(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    with pytest.raises(OperationTimeoutError, match="is still running") as caught:
        await client.run(sandbox.sandbox_id, ("sleep",), exec_id="my-exec", timeout_seconds=0.2)
    assert caught.value.exec_id == "my-exec"
    assert caught.value.sandbox_id == sandbox.sandbox_id
    assert isinstance(caught.value.last_handle, ExecHandle)
    assert (await client.get_exec("my-exec")).state is ExecState.RUNNING


async def test_an_exec_ends_with_the_stop_of_its_sandbox(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    running = Background(client.run, sandbox.sandbox_id, ("sleep",))
    await off_loop(daemon.wait_for_streams, 1)
    await client.stop_sandbox(sandbox.sandbox_id)
    result = await running.result()
    assert (result.state, result.exit_code) == (ExecState.FAILED, 137)
    assert result.stdout_log_path is not None


@each_dialect
async def test_an_exec_that_a_delete_prevents_has_no_exit_code(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        running = Background(client.run, sandbox.sandbox_id, ("true",), exec_id="my-exec")
        await off_loop(daemon.wait_for_streams, 1)
        await client.delete_sandbox(sandbox.sandbox_id, wait=False)
    result = await running.result()
    assert (result.state, result.exit_code) == (ExecState.FAILED, None)
    assert result.error is not None
    assert "No such container" in result.error


@each_dialect
async def test_an_argument_that_is_too_long_fails_the_exec(
    client: AgentsSandboxClient, sandbox: SandboxHandle
) -> None:
    result = await client.run(sandbox.sandbox_id, ("echo", "x" * 131_072))
    assert (result.state, result.exit_code) == (ExecState.FAILED, 1)
    assert result.error == "docker exec failed: exit code 1"


@each_dialect
async def test_the_output_of_an_exec_that_a_delete_ends_is_removed(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).stdout("x").never()
    ended = await client.run(sandbox.sandbox_id, ("true",))
    running = await client.create_exec(sandbox.sandbox_id, ("sleep",))
    await client.delete_sandbox(sandbox.sandbox_id)
    assert (await client.get_exec(running.exec_id)).exit_code == 137
    assert Path(str(ended.stdout_log_path)).exists()
    assert not Path(str(running.stdout_log_path)).exists()
