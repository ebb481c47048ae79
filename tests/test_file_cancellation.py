"""A write that is interrupted, at any moment: the old content or the new one, and nothing else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    ExecState,
    MountSpec,
    OperationTimeoutError,
    SyncAgentsSandboxClient,
    SyncSandbox,
)
from agents_sandbox._arguments.creates import NewExec
from agents_sandbox._deadline import Deadline
from agents_sandbox._scripts import files as scripts
from agents_sandbox._sync_generated._sandboxes.file_commands import FileCommands, Input
from agents_sandbox.testing import FakeDaemon

from .cancelling import Suspensions
from .examples import PART, PARTS
from .interrupting import Lines

OLD, NEW = b"old", b"the new content"


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command writes six bytes."""
    monkeypatch.setattr(scripts, "_PIECE_BYTES", 3)
    monkeypatch.setattr(scripts, "_PIECES", 2)


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with FakeDaemon() as running:
        yield running


class Observed:
    """A sandbox whose files are seen from this host.

    Args:
        daemon: The daemon.
        folder: For the folders that are mounted in the sandbox.
    """

    def __init__(self, daemon: FakeDaemon, folder: Path) -> None:
        self._workspace, self._tmp = folder / "workspace", folder / "tmp"
        self._workspace.mkdir()
        self._tmp.mkdir()
        (self._workspace / "data").write_bytes(OLD)
        mounts = [
            MountSpec(self._workspace, "/workspace", writable=True),
            MountSpec(self._tmp, "/tmp", writable=True),
        ]
        with SyncAgentsSandboxClient(daemon.socket_path) as client:
            self.id = client.create_sandbox(image="a:1", mounts=mounts).sandbox_id

    def check(self) -> None:
        """Check that a write had its whole effect or none, and has left nothing."""
        assert (self._workspace / "data").read_bytes() in (OLD, NEW)
        assert [path.name for path in self._workspace.iterdir()] == ["data"]
        assert list(self._tmp.iterdir()) == []


@pytest.fixture
def observed(daemon: FakeDaemon, tmp_path: Path) -> Observed:
    return Observed(daemon, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True])
async def test_a_write_is_cancelled_at_every_suspension(
    daemon: FakeDaemon, observed: Observed, late: bool
) -> None:
    suspensions, k = Suspensions(1), 0
    async with AgentsSandboxClient(daemon.socket_path) as client:
        files = client.attach(observed.id).files
        while not k or suspensions.reached:
            k += 1
            suspensions = Suspensions(k, late=late)
            await suspensions.run(files.write_bytes("data", NEW))
            observed.check()
    assert k > 10


async def run(client: AgentsSandboxClient, sandbox_id: str) -> None:
    await client.run(sandbox_id, ("cat",), input=NEW)


async def start(client: AgentsSandboxClient, sandbox_id: str) -> None:
    async with client.start_exec(sandbox_id, ("cat",), input=NEW) as process:
        await process.wait()


@pytest.mark.parametrize("call", [run, start])
async def test_an_input_is_cancelled(
    daemon: FakeDaemon,
    observed: Observed,
    call: Callable[[AgentsSandboxClient, str], Coroutine[Any, Any, None]],
) -> None:
    suspensions, k = Suspensions(1), 1
    async with AgentsSandboxClient(daemon.socket_path) as client:
        while k == 1 or suspensions.reached:
            suspensions = Suspensions(k)
            await suspensions.run(call(client, observed.id))
            observed.check()
            k += 4
    assert k > 10


async def test_the_end_of_a_block_removes_the_input_if_a_kill_was_cancelled(
    daemon: FakeDaemon, observed: Observed
) -> None:
    daemon.on_exec(("cat",)).never()
    async with AgentsSandboxClient(daemon.socket_path) as client:
        async with client.start_exec(observed.id, ("cat",), input=NEW) as process:
            with daemon.faults.delaying(3600.0, method="ListActiveExecs"):
                kill = asyncio.ensure_future(process.kill())
                await asyncio.to_thread(daemon.wait_for_call, "ListActiveExecs")
                kill.cancel()
                await asyncio.wait((kill,))
            assert process.handle is not None
            assert process.handle.state is ExecState.FAILED
            before = len(daemon.calls)
        assert "ListActiveExecs" in [call.method for call in daemon.calls[before:]]


def test_the_end_of_a_block_removes_the_input_if_a_kill_was_interrupted(
    daemon: FakeDaemon, observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    daemon.on_exec(("cat",)).never()
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        with client.start_exec(observed.id, ("cat",), input=NEW) as process:
            with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
                patched.setattr(FileCommands, "drop", interrupt)
                process.kill()
            before = len(daemon.calls)
        assert "ListActiveExecs" in [call.method for call in daemon.calls[before:]]


def test_the_removal_of_an_input_has_a_bound(daemon: FakeDaemon, observed: Observed) -> None:
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        given = Input(client, NewExec(observed.id, ("cat",)), NEW)
        with daemon.faults.delaying(3600.0, method="ListActiveExecs"):
            given.drop(Deadline(0.05))
    assert "ListActiveExecs" in [call.method for call in daemon.calls]


def start_and_wait(sandbox: SyncSandbox) -> None:
    with sandbox.start(("cat",), input=NEW) as process:
        process.wait()


CALLS: dict[str, Callable[[SyncSandbox], object]] = {
    "write": lambda sandbox: sandbox.files.write_bytes("data", NEW),
    "input": lambda sandbox: sandbox.run(("cat",), input=NEW),
    "input of a start": start_and_wait,
}
each_call = pytest.mark.parametrize("call", CALLS)

# All lines take minutes.
STRIDE = 499


@pytest.mark.slow
@each_call
def test_ctrl_c_at_any_line(daemon: FakeDaemon, observed: Observed, call: str) -> None:
    lines, k = Lines(1), 1
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        sandbox = client.attach(observed.id)
        while k == 1 or lines.reached:
            lines = Lines(k)
            lines.run(partial(CALLS[call], sandbox))
            observed.check()
            k += STRIDE
    assert k > 2 * STRIDE


@pytest.mark.slow
@each_call
def test_ctrl_c_at_any_line_after_a_failure(
    daemon: FakeDaemon, observed: Observed, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The temporary file is removed all the same."""
    lines, k = Lines(1), PART
    run_all: Callable[..., None] = FileCommands._run_all

    def run_one_and_fail(*args: Any) -> None:
        *most, commands, mark, deadline = args
        run_all(*most, [next(iter(commands))], mark, deadline)
        lines.interrupt_after(k)
        raise OperationTimeoutError("too late")

    monkeypatch.setattr(FileCommands, "_run_all", run_one_and_fail)
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        while k == PART or lines.reached:
            lines = Lines(sys.maxsize)
            with pytest.raises((OperationTimeoutError, KeyboardInterrupt)), lines.counted():
                CALLS[call](client.attach(observed.id))
            observed.check()
            k += PARTS
    assert k > 10
