"""A sandbox for a block is deleted at its end, whatever happens, and nothing is masked."""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from itertools import count as numbers
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    ClientClosedError,
    DaemonUnavailableError,
    ExecState,
    InvalidArgumentError,
    MountSpec,
    OperationTimeoutError,
    SandboxClientError,
    SandboxConflictError,
    SandboxFailedError,
    SandboxHandle,
    SandboxLeftoverWarning,
    SandboxNotReadyError,
    SandboxState,
)
from agents_sandbox._aio import CleanUp
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop
from ..releases import any_release
from .life import count, restart

pytestmark = any_release

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
OWNER = "agents-sandbox.owner"


async def states(client: AgentsSandboxClient) -> set[str]:
    """The states of all sandboxes."""
    return {handle.state.name for handle in await client.list_sandboxes(include_deleted=True)}


async def enter(client: AgentsSandboxClient, **arguments: Any) -> None:
    """Enter and leave a block."""
    async with client.sandbox(image=IMAGE, **arguments):
        pass


def notes(error: BaseException) -> list[str]:
    """The notes of an error; None before Python 3.11."""
    return getattr(error, "__notes__", [])


async def test_a_block_has_a_ready_sandbox_until_its_end(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    block = client.sandbox(image=IMAGE, labels={"team": "core"})
    async with block as sandbox:
        assert sandbox.id in repr(block)
        assert f"{sandbox.id} READY" in repr(sandbox)
        handle = sandbox.handle
        assert handle is not None
        assert (handle.state, handle.labels) == (SandboxState.READY, {"team": "core"})
        assert (await sandbox.run(("true",))).exit_code == 0
    assert (await client.delete_sandbox(sandbox.id)).state is SandboxState.DELETED
    assert count(daemon, "CreateSandbox") == 1


async def test_the_end_of_a_block_waits_until_the_delete_was_accepted() -> None:
    with FakeDaemon(remove_delay=3600) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            async with client.sandbox(image=IMAGE):
                pass
            assert await states(client) == {"DELETING"}


async def test_what_the_block_raises_comes_out(client: AgentsSandboxClient) -> None:
    error = ValueError("of the block")
    with pytest.raises(ValueError, match="of the block") as caught:
        async with client.sandbox(image=IMAGE):
            raise error
    assert caught.value is error
    assert notes(error) == []
    assert await states(client) <= {"DELETING", "DELETED"}


@pytest.mark.parametrize("trouble", [nullcontext(), pytest.raises(SandboxNotReadyError)])
async def test_a_sandbox_can_be_kept(
    client: AgentsSandboxClient, trouble: AbstractContextManager[object]
) -> None:
    with trouble:
        async with client.sandbox(image=IMAGE, keep=True) as sandbox:
            if not isinstance(trouble, nullcontext):
                await sandbox.stop()
                await sandbox.run(("true",))
    assert await states(client) <= {"READY", "STOPPED"}


@pytest.mark.parametrize("keep", [False, True])
async def test_a_sandbox_whose_create_fails_is_deleted(keep: bool) -> None:
    with FakeDaemon(missing_images=["gone:1"]) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            with pytest.raises(SandboxFailedError):
                async with client.sandbox(image="gone:1", keep=keep):
                    raise AssertionError("there is no sandbox")
            assert await states(client) == {"DELETED"}


async def test_a_sandbox_that_is_not_ready_in_time_is_deleted_for_good() -> None:
    """Its create goes on, and brings it back."""
    with FakeDaemon(virtual_time=True, ready_delay=60) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            await client.ping()
            block = Background(enter, client, timeout_seconds=0.3)
            await off_loop(daemon.wait_for_call, "CreateSandbox")
            await off_loop(daemon.wait_for_call, "DeleteSandbox")
            await off_loop(daemon.advance, 61)
            with pytest.raises(OperationTimeoutError):
                await block.result()
            (record,) = daemon.sandboxes
            assert record.state is SandboxState.DELETED
            assert count(daemon, "DeleteSandbox") == 2


async def test_a_create_that_outlasts_the_clean_up_is_reported() -> None:
    with FakeDaemon(virtual_time=True, ready_delay=60) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            await client.ping()  # so that the first contact takes nothing of the time
            with (
                pytest.warns(SandboxLeftoverWarning, match="cleanup_timeout_seconds") as warned,
                pytest.raises(OperationTimeoutError) as caught,
            ):
                await enter(client, timeout_seconds=0.3, cleanup_timeout_seconds=0.1)
            (record,) = daemon.sandboxes
            assert record.sandbox_id in str(warned[0].message)
            assert warned[0].filename == __file__
            if sys.version_info >= (3, 11):
                assert notes(caught.value) == [str(warned[0].message)]


async def test_a_delete_that_fails_does_not_replace_what_the_block_raises(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    error = ValueError("of the block")
    with (
        daemon.faults.failing(code="INTERNAL", message="disk full", method="DeleteSandbox"),
        warnings.catch_warnings(),
        pytest.raises(ValueError, match="of the block"),
    ):
        warnings.simplefilter("error")  # then the note has to do
        async with client.sandbox(image=IMAGE) as sandbox:
            raise error
    if sys.version_info >= (3, 11):
        (note,) = notes(error)
        assert sandbox.id in note
        assert "disk full" in note


async def test_a_delete_that_fails_is_reported_at_the_block(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with (
        daemon.faults.failing(code="INTERNAL", method="DeleteSandbox"),
        pytest.warns(SandboxLeftoverWarning) as warned,
        pytest.raises(ValueError, match="of the block"),
    ):
        async with client.sandbox(image=IMAGE):
            raise ValueError("of the block")
    assert warned[0].filename == __file__


async def test_a_delete_that_fails_after_a_quiet_block_raises(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    failing = daemon.faults.failing(code="INTERNAL", message="disk full", method="DeleteSandbox")
    with failing, pytest.raises(SandboxClientError, match="disk full") as caught:
        async with client.sandbox(image=IMAGE) as sandbox:
            pass
    assert caught.value.sandbox_id == sandbox.id
    if sys.version_info >= (3, 11):
        assert sandbox.id in notes(caught.value)[0]


async def test_an_id_of_somebody_else_is_left_alone(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with pytest.raises(SandboxConflictError):
        await enter(client, sandbox_id=sandbox.sandbox_id)
    with daemon.faults.failing(method="CreateSandbox"), pytest.raises(DaemonUnavailableError):
        await enter(client, sandbox_id=sandbox.sandbox_id)
    assert await states(client) == {"READY"}
    assert count(daemon, "DeleteSandbox") == 0


async def test_a_sandbox_that_was_never_made_is_no_error(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.faults.failing(method="CreateSandbox"), pytest.raises(DaemonUnavailableError):
        await enter(client, sandbox_id="my-sandbox")
    # The daemon may have been about to store it at the first look.
    assert (count(daemon, "GetSandbox"), count(daemon, "DeleteSandbox")) == (2, 0)


async def test_an_id_of_the_callers_whose_answer_was_lost_is_deleted(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    losing = daemon.faults.losing_answers(method="CreateSandbox")
    with losing, pytest.raises(DaemonUnavailableError):
        await enter(client, sandbox_id="my-sandbox")
    (record,) = daemon.sandboxes
    assert record.state is SandboxState.DELETED
    assert set(record.spec.labels) == {OWNER}


@pytest.mark.usefixtures("pauses")
async def test_the_id_that_was_finally_used_is_deleted(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.faults.burning_ids(times=1):
        async with client.sandbox(image=IMAGE) as sandbox:
            pass
    requested = [c.request.sandbox_id for c in daemon.calls if c.method == "CreateSandbox"]
    assert requested[0] != requested[-1] == sandbox.id
    assert await states(client) <= {"DELETING", "DELETED"}


async def test_a_create_that_a_restart_interrupts_is_deleted() -> None:
    with FakeDaemon(ready_delay=3600) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            block = Background(enter, client)
            await off_loop(daemon.wait_for_streams, 1)
            await restart(daemon)
            with pytest.raises(SandboxFailedError):
                await block.result()
            assert await states(client) == {"DELETED"}


async def test_a_clean_up_waits_for_a_daemon_that_restarts(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    async def body() -> None:
        async with client.sandbox(image=IMAGE):
            await off_loop(daemon.kill)

    block = Background(body)
    while daemon.running:
        await off_loop(lambda: None)
    await off_loop(daemon.start)
    await block.result()
    assert await states(client) <= {"DELETING", "DELETED"}


@pytest.mark.unshared
@pytest.mark.parametrize("fault", ["unavailable", "late"])
async def test_a_delete_is_tried_again_and_again(daemon: FakeDaemon, fault: str) -> None:
    async with AgentsSandboxClient(daemon.socket_path, timeout_seconds=0.05) as client:
        with ExitStack() as faults:
            async with client.sandbox(image=IMAGE, timeout_seconds=20):
                faults.enter_context(
                    daemon.faults.failing(method="DeleteSandbox", times=2)
                    if fault == "unavailable"
                    else daemon.faults.delaying(3600, method="GetSandbox", times=1)
                )
    (record,) = daemon.sandboxes
    assert record.state in (SandboxState.DELETING, SandboxState.DELETED)


@pytest.fixture
def interruption(monkeypatch: pytest.MonkeyPatch) -> KeyboardInterrupt:
    """What comes at the first line of the next clean-up."""
    raised, finish = KeyboardInterrupt(), CleanUp.finish
    left = [raised]

    async def interrupted(clean_up: CleanUp, raising: BaseException | None = None) -> None:
        if left:
            raise left.pop()
        await finish(clean_up, raising)

    monkeypatch.setattr(CleanUp, "finish", interrupted)
    return raised


async def test_an_interrupted_clean_up_is_finished(
    client: AgentsSandboxClient, daemon: FakeDaemon, interruption: KeyboardInterrupt
) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        await enter(client)
    assert caught.value is interruption
    assert count(daemon, "DeleteSandbox") == 1


async def test_an_interruption_of_the_clean_up_does_not_replace_what_the_block_raises(
    client: AgentsSandboxClient, daemon: FakeDaemon, interruption: KeyboardInterrupt
) -> None:
    with pytest.raises(SandboxNotReadyError) as caught:
        async with client.sandbox(image=IMAGE) as sandbox:
            await sandbox.stop()
            await sandbox.run(("true",))
    if sys.version_info >= (3, 11):
        assert notes(caught.value) == ["KeyboardInterrupt interrupted the clean-up, which went on"]
    assert count(daemon, "DeleteSandbox") == 1


async def test_a_daemon_that_stays_away_is_an_error_that_names_the_sandbox(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with pytest.raises(DaemonUnavailableError) as caught:
        async with client.sandbox(image=IMAGE, cleanup_timeout_seconds=0.3) as sandbox:
            await off_loop(daemon.kill)
    assert caught.value.sandbox_id == sandbox.id


async def test_a_daemon_that_was_never_there_is_an_error_at_once(tmp_path: object) -> None:
    async with AgentsSandboxClient(f"{tmp_path}/nothing.sock") as client:
        with pytest.raises(DaemonUnavailableError) as caught:
            async with client.sandbox(image=IMAGE):
                raise AssertionError("there is no daemon")
        assert notes(caught.value) == []


@pytest.mark.parametrize("end", ["delete", "purge"])
async def test_a_sandbox_may_end_before_its_block(
    client: AgentsSandboxClient, daemon: FakeDaemon, end: str
) -> None:
    async with client.sandbox(image=IMAGE) as sandbox:
        await sandbox.delete()
        if end == "purge":
            await off_loop(daemon.purge, sandbox.id)
    assert await states(client) == ({"DELETED"} if end == "delete" else set())


@pytest.mark.usefixtures("short_grace")
async def test_a_resume_in_progress_does_not_bring_it_back() -> None:
    with FakeDaemon(ready_delay=0.05) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            async with client.sandbox(image=IMAGE) as sandbox:
                await sandbox.stop()
                await sandbox.resume(wait=False)
            assert await states(client) == {"DELETED"}


async def test_a_block_cannot_be_entered_again(client: AgentsSandboxClient) -> None:
    block = client.sandbox(image=IMAGE)
    async with block as sandbox:
        with pytest.raises(SandboxClientError, match="entered before"):
            async with block:
                raise AssertionError("it makes one sandbox only")
        assert (await sandbox.refresh()).state is SandboxState.READY
    with pytest.raises(SandboxClientError, match="entered before"):
        async with block:
            raise AssertionError("it makes one sandbox only")


async def test_a_closed_client_still_deletes(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    other = AgentsSandboxClient(daemon.socket_path)
    async with other.scope() as scope, other.sandbox(image=IMAGE):
        await scope.create_sandbox(image=IMAGE)
        await other.aclose()
    assert await states(client) <= {"DELETING", "DELETED"}


async def test_a_client_that_is_closed_during_the_create_still_deletes() -> None:
    with FakeDaemon(virtual_time=True, ready_delay=60) as daemon:
        client = AgentsSandboxClient(daemon.socket_path)
        block = Background(enter, client)
        await off_loop(daemon.wait_for_streams, 1)
        await client.aclose()
        await off_loop(daemon.wait_for_call, "DeleteSandbox")
        await off_loop(daemon.advance, 61)
        with pytest.raises(ClientClosedError):
            await block.result()
        (record,) = daemon.sandboxes
        assert record.state is SandboxState.DELETED


async def test_a_forked_child_leaves_everything_to_its_parent(
    client: AgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as parent:
        parent.setattr("os.getpid", lambda: -1)
        block, scope = client.sandbox(image=IMAGE), client.scope()
    async with block as sandbox, scope:
        await scope.create_sandbox(image=IMAGE)
        daemon.on_exec(("sleep",)).never()
        with monkeypatch.context() as parent:
            parent.setattr("os.getpid", lambda: -1)
            process = sandbox.start(("sleep",))
        async with process:
            pass
    assert await states(client) == {"READY"}
    assert (await client.get_exec(process.exec_id)).state is ExecState.RUNNING


async def test_a_generator_that_is_closed_deletes(client: AgentsSandboxClient) -> None:
    async def results() -> AsyncIterator[int]:
        async with client.sandbox(image=IMAGE) as sandbox:
            for number in numbers():
                await sandbox.run(("true",))
                yield number

    made = results()
    async for number in made:
        if number == 1:
            break
    await made.aclose()  # type: ignore[attr-defined] # a generator has it
    assert await states(client) <= {"DELETING", "DELETED"}


async def test_blocks_can_be_nested(client: AgentsSandboxClient) -> None:
    with pytest.raises(SandboxNotReadyError):
        async with client.sandbox(image=IMAGE) as outer, client.sandbox(image=IMAGE) as inner:
            assert outer.id != inner.id
            await inner.delete()
            await inner.run(("true",))
    assert await states(client) <= {"DELETING", "DELETED"}


async def test_a_handle_is_the_newest_snapshot_seen(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    async with client.sandbox(image=IMAGE) as sandbox:
        before = count(daemon, "GetSandbox")
        with daemon.faults.delaying(3600, method="GetSandbox", times=1):
            late = Background(sandbox.refresh)
            await off_loop(daemon.wait_for_call, "GetSandbox", count=before + 1)
            stopped = await sandbox.stop()
        assert (await late.result()).state is SandboxState.READY
        assert sandbox.handle == stopped
        assert client.attach(stopped).handle == stopped
        assert client.attach(sandbox.id).handle is None


async def test_a_temporary_workspace_ends_with_its_sandbox(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    async with client.sandbox(image=IMAGE, workspace=True) as sandbox:
        folder = sandbox.workspace
        assert folder is not None
        (mount,) = daemon.sandboxes[-1].spec.mounts
        assert (mount.source, mount.target, mount.writable) == (str(folder), "/workspace", True)
        (folder / "left").touch()
    assert not folder.parent.exists()
    (handle,) = await client.list_sandboxes(include_deleted=True)
    assert handle.state is SandboxState.DELETED


async def test_a_workspace_of_the_caller_stays(client: AgentsSandboxClient, tmp_path: Path) -> None:
    async with client.sandbox(image=IMAGE, workspace=tmp_path) as sandbox:
        assert sandbox.workspace == tmp_path
    assert tmp_path.is_dir()
    mounts = [MountSpec(tmp_path, "/workspace")]
    with pytest.raises(InvalidArgumentError, match="workspace and one of mounts"):
        client.sandbox(image=IMAGE, workspace=tmp_path, mounts=mounts)


async def test_a_temporary_workspace_that_may_be_in_use_is_named(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with ExitStack() as trouble, pytest.raises(SandboxClientError) as caught:
        async with client.sandbox(
            image=IMAGE, workspace=True, cleanup_timeout_seconds=0.1
        ) as sandbox:
            trouble.enter_context(daemon.faults.failing(method="DeleteSandbox"))
    folder = sandbox.workspace
    assert folder is not None
    try:
        assert folder.exists()
        if sys.version_info >= (3, 11):
            assert any(str(folder.parent) in note for note in notes(caught.value))
    finally:
        shutil.rmtree(folder.parent)
