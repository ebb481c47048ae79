"""Killing execs: the scripted ones of the fake daemon, and commands that really run."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    ExecAlreadyTerminalError,
    ExecHandle,
    ExecNotFoundError,
    ExecNotKilledError,
    ExecResult,
    ExecState,
    MountSpec,
    OperationTimeoutError,
    SandboxHandle,
    SandboxLeftoverWarning,
    SandboxNotReadyError,
    _deadline,
)
from agents_sandbox._scripts.kill import kill_command
from agents_sandbox._shared.helpers import KILL, KillExit
from agents_sandbox.testing import ExecContext, FakeDaemon
from agents_sandbox.testing._commands.isolation.probe import obstacle_to_isolation

from .._aio import Background, off_loop
from ..testing.fifo import Fifo
from ..testing.raw import TIMEOUT
from .conftest import IMAGE

SLEEP = ("sleep", "1000")
HAS_NOTES = sys.version_info >= (3, 11)


def notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])


def assert_killed(handle: ExecHandle) -> None:
    assert (handle.state, handle.exit_code) == (ExecState.FAILED, 137)
    assert handle.error == "docker exec failed: exit code 137"


def is_kill(argv: Any) -> bool:
    return KILL in argv


# Scripted commands


async def test_cancel_can_kill(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(SLEEP).stdout("begun").never()
    await client.create_exec(sandbox.sandbox_id, SLEEP, exec_id="my-exec")
    other = await client.create_exec(sandbox.sandbox_id, SLEEP)
    killed = await client.cancel_exec("my-exec", kill=True)
    assert killed.exec_id == "my-exec"
    assert_killed(killed)
    assert (await client.get_exec(other.exec_id)).state is ExecState.RUNNING
    daemon.assert_all_scripted()
    with pytest.raises(ExecAlreadyTerminalError, match="exec my-exec has already ended") as caught:
        await client.cancel_exec("my-exec", kill=True)
    assert caught.value.sandbox_id == sandbox.sandbox_id
    with pytest.raises(ExecNotFoundError):
        await client.cancel_exec("no-exec", kill=True)
    await client.cancel_exec(other.exec_id)
    with pytest.raises(ExecAlreadyTerminalError, match="was cancelled, and its process may run on"):
        await client.cancel_exec(other.exec_id, kill=True)


async def test_kill_needs_no_wait(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(SLEEP).after(1000).exit(0)
    await client.create_exec(sandbox.sandbox_id, SLEEP, exec_id="my-exec")
    assert_killed(await client.cancel_exec("my-exec", kill=True, wait=False))


async def test_handlers_are_killed() -> None:
    end = threading.Event()

    def serve(context: ExecContext) -> None:
        end.wait(TIMEOUT)

    with FakeDaemon(unscripted="fail") as daemon:
        daemon.on_exec(("serve",)).call(serve)
        async with AgentsSandboxClient(daemon.socket_path) as client:
            sandbox = await client.create_sandbox(image=IMAGE)
            await client.create_exec(sandbox.sandbox_id, ("serve",), exec_id="my-exec")
            assert_killed(await client.cancel_exec("my-exec", kill=True))
        end.set()


async def test_timeout_can_kill(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(SLEEP).stdout("begun").never()
    with pytest.raises(
        OperationTimeoutError, match=r"^exec my-exec did not end within 0\.5 s, and was killed$"
    ) as caught:
        await client.attach(sandbox.sandbox_id).run(
            SLEEP, exec_id="my-exec", kill_on_timeout=True, timeout_seconds=0.5
        )
    error = caught.value
    assert (error.timeout_seconds, error.sandbox_id) == (0.5, sandbox.sandbox_id)
    assert error.exec_id == "my-exec"
    assert error.__cause__ is None
    result = error.last_handle
    assert isinstance(result, ExecResult)
    assert_killed(result)
    assert result.stdout == "begun"


async def test_exec_may_end_before_it_is_killed(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(SLEEP).never()
    daemon.on_exec(is_kill).never()
    running = Background(
        client.run, sandbox.sandbox_id, SLEEP, kill_on_timeout=True, timeout_seconds=0.5
    )
    await off_loop(daemon.wait_for_call, "CreateExec", count=2)
    await client.stop_sandbox(sandbox.sandbox_id)
    with pytest.raises(
        OperationTimeoutError, match=r"be killed any more: .* already ended"
    ) as caught:
        await running.result()
    assert isinstance(caught.value.last_handle, ExecResult)
    assert_killed(caught.value.last_handle)


async def test_sandbox_may_not_be_ready_for_the_kill(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(SLEEP).never()
    await client.create_exec(sandbox.sandbox_id, SLEEP, exec_id="my-exec")
    daemon.faults.fail_next("CreateExec", code="FAILED_PRECONDITION", reason="SANDBOX_NOT_READY")
    with pytest.raises(SandboxNotReadyError):
        await client.cancel_exec("my-exec", kill=True)


PROBLEMS = {
    KillExit.NOT_PERMITTED: ("not_permitted", "belong to another user"),
    KillExit.NO_PROC: ("no_proc", "no /proc"),
    127: ("no_shell", "sh was not found"),
    1: ("failed", "docker exec failed: exit code 1"),
}


@pytest.mark.parametrize("code", PROBLEMS)
async def test_what_prevents_a_kill_is_named(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, code: int
) -> None:
    problem, text = PROBLEMS[code]
    daemon.on_exec(SLEEP).never()
    daemon.on_exec(is_kill).exit(code)
    created = await client.create_exec(sandbox.sandbox_id, SLEEP)
    with pytest.raises(ExecNotKilledError, match=text) as caught:
        await client.cancel_exec(created.exec_id, kill=True)
    assert (caught.value.problem, caught.value.exec_id) == (problem, created.exec_id)
    assert (await client.get_exec(created.exec_id)).state is ExecState.RUNNING


async def test_timeout_says_why_the_command_still_runs(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(SLEEP).never()
    daemon.on_exec(is_kill).fail("no room")
    with pytest.raises(OperationTimeoutError, match=r"may still be running: .*no room") as caught:
        await client.run(sandbox.sandbox_id, SLEEP, kill_on_timeout=True, timeout_seconds=0.2)
    cause = caught.value.__cause__
    assert isinstance(cause, ExecNotKilledError)
    assert cause.problem == "failed"
    assert isinstance(caught.value.last_handle, ExecHandle)
    assert caught.value.last_handle.state is ExecState.RUNNING


async def test_process_that_is_not_there_yet_is_looked_for(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    pauses: list[float],
) -> None:
    daemon.on_exec(SLEEP).never()
    looks = daemon.on_exec(is_kill).exit(KillExit.NOT_FOUND).times(2)
    looks.then().exit(KillExit.NOT_FOUND)
    await client.create_exec(sandbox.sandbox_id, SLEEP, exec_id="my-exec")
    with pytest.raises(ExecNotKilledError, match="cannot be recognised") as caught:
        await client.cancel_exec("my-exec", kill=True)
    assert caught.value.problem == "not_found"
    assert 2 < sum(pauses) < 4


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("problem", ["not_found", "late"])
async def test_a_block_says_what_it_could_not_kill(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    problem: str,
) -> None:
    daemon.on_exec(SLEEP).never()
    daemon.on_exec(is_kill).exit(KillExit.NOT_FOUND if problem == "not_found" else KillExit.KILLED)
    start = partial(
        client.start_exec,
        sandbox.sandbox_id,
        SLEEP,
        cleanup_timeout_seconds=20 if problem == "not_found" else 1,
    )
    why = "exec .* cannot be recognised" if problem == "not_found" else "there was not enough time"
    text = rf"^exec \S+ was cancelled, but may still be running: {why}"
    with pytest.warns(SandboxLeftoverWarning, match=text) as warned:
        async with start() as process:
            pass
    assert warned[0].filename == __file__
    assert process.handle is not None
    assert process.handle.state is ExecState.CANCELLED
    with pytest.warns(SandboxLeftoverWarning, match=text), pytest.raises(KeyError) as caught:
        async with start():
            raise KeyError
    assert len(notes(caught.value)) == HAS_NOTES
    with warnings.catch_warnings(), pytest.raises(KeyError):
        warnings.simplefilter("error")  # then the note has to do
        async with start():
            raise KeyError


async def test_a_timeout_in_a_block_says_that_the_block_has_ended_the_command(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(SLEEP).never()
    note = ["the end of the block has ended the command since"]
    for own in (True, False):
        with pytest.raises(OperationTimeoutError) as caught:
            async with client.start_exec(sandbox.sandbox_id, SLEEP) as process:
                if own:
                    await process.wait(timeout_seconds=0.1)
                else:
                    await client.run(sandbox.sandbox_id, SLEEP, timeout_seconds=0.1)
        assert notes(caught.value) == (note if own and HAS_NOTES else [])


async def test_kill_has_a_bound_of_its_own(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_deadline, "KILL_SECONDS", 0.2)
    daemon.on_exec(SLEEP).never()
    daemon.on_exec(is_kill).never()
    await client.create_exec(sandbox.sandbox_id, SLEEP, exec_id="my-exec")
    with pytest.raises(ExecNotKilledError, match=r"kill did not end within 0\.2 s") as caught:
        await client.cancel_exec("my-exec", kill=True)
    assert caught.value.problem == "timeout"
    monkeypatch.setattr(_deadline, "KILL_SECONDS", 60.0)
    with pytest.raises(OperationTimeoutError, match=r"my-exec was not killed within 0\.5 s"):
        await client.cancel_exec("my-exec", kill=True, timeout_seconds=0.5)


async def test_killed_exec_must_end_soon(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    daemon.on_exec(SLEEP).never()
    daemon.on_exec(is_kill).exit(KillExit.KILLED)
    await client.create_exec(sandbox.sandbox_id, SLEEP, exec_id="my-exec")
    with pytest.raises(OperationTimeoutError, match=r"did not end within 0\.5 s"):
        await client.cancel_exec("my-exec", kill=True, timeout_seconds=0.5)
    monkeypatch.setattr(_deadline, "KILL_SECONDS", 0.2)
    with pytest.raises(ExecNotKilledError, match="were killed, and it did not end") as caught:
        await client.cancel_exec("my-exec", kill=True)
    assert (caught.value.problem, caught.value.sandbox_id) == ("timeout", sandbox.sandbox_id)


async def test_timeout_of_another_call_kills_nothing(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    """Only that of the wait for the command itself does, with functions to call as without."""
    daemon.on_exec(("victim",)).never()
    daemon.on_exec(SLEEP).stdout("begun").never()
    await client.create_exec(sandbox.sandbox_id, ("victim",), exec_id="victim-exec")

    async def wait_for_victim(_: str) -> None:
        await client.wait_for_exec("victim-exec", timeout_seconds=0.01)

    async def run(on_stdout: Any, **options: Any) -> OperationTimeoutError:
        with pytest.raises(OperationTimeoutError) as caught:
            await client.run(sandbox.sandbox_id, SLEEP, on_stdout=on_stdout, **options)
        return caught.value

    error = await run(wait_for_victim, exec_id="my-exec", kill_on_timeout=True)
    assert error.exec_id == "victim-exec"
    for exec_id in ("victim-exec", "my-exec"):
        assert (await client.get_exec(exec_id)).state is ExecState.RUNNING
    error = await run(str, timeout_seconds=0.1)
    assert (await client.get_exec(str(error.exec_id))).state is ExecState.RUNNING
    error = await run(str, kill_on_timeout=True, timeout_seconds=0.5)
    assert isinstance(error.last_handle, ExecResult)
    assert_killed(error.last_handle)


async def test_nothing_is_killed_if_nothing_was_started(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next("CreateExec", code="DEADLINE_EXCEEDED")
    with pytest.raises(OperationTimeoutError) as caught:
        await client.run(sandbox.sandbox_id, SLEEP, kill_on_timeout=True)
    assert caught.value.last_handle is None
    # An id of the caller may be that of another exec.
    daemon.on_exec(SLEEP).never()
    await client.create_exec(sandbox.sandbox_id, SLEEP, exec_id="my-exec")
    for functions in ({}, {"on_stdout": str}):
        daemon.faults.fail_next("CreateExec", code="DEADLINE_EXCEEDED")
        options: Any = {"exec_id": "my-exec", "kill_on_timeout": True, **functions}
        with pytest.raises(OperationTimeoutError):
            await client.run(sandbox.sandbox_id, SLEEP, **options)
    assert (await client.get_exec("my-exec")).state is ExecState.RUNNING


async def test_kill_of_an_unknown_exec_finds_nothing(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    # As a client does that is late: the exec has ended, or is in another sandbox.
    daemon.on_exec(SLEEP).never()
    await client.create_exec(sandbox.sandbox_id, SLEEP, exec_id="my-exec")
    other = await client.create_sandbox(image=IMAGE)
    for name in ("my-exec", "no-exec"):
        late = await client.run(other.sandbox_id, kill_command(name, "x"))
        assert late.exit_code == KillExit.NOT_FOUND
    # The script itself can also kill what was cancelled.
    await client.cancel_exec("my-exec")
    for code in (KillExit.KILLED, KillExit.NOT_FOUND):
        again = await client.run(sandbox.sandbox_id, kill_command("my-exec", "x"))
        assert again.exit_code == code
    assert (await client.get_exec("my-exec")).state is ExecState.CANCELLED


# Commands that really run

ODD = "a b) S 1 (c"

# Each tells that all its processes run by one "up" for each of them that it starts on purpose.
PROGRAMS: dict[str, tuple[int, str]] = {
    "generations": (
        4,
        """sh -c 'sh -c "echo up >&3; sleep 1000; :" & setsid sh -c "echo up >&3; sleep 1000; :" &
        (setsid sh -c "echo up >&3; sleep 1000; :" &) ; wait' & echo up >&3; wait""",
    ),
    "stubborn": (1, "trap '' TERM INT HUP QUIT; echo up >&3; while :; do sleep 0.05; done"),
    "redirected": (1, "exec >/dev/null; echo up >&3; sleep 1000 & sleep 1000 2>&1; :"),
    "forking": (
        1,
        """(echo up >&3); i=0
        while [ $((i += 1)) -lt 200 ]; do (sleep 9 & setsid sleep 9 &); done; sleep 1000; :""",
    ),
}


@pytest.fixture(
    params=[
        pytest.param(
            "isolated",
            marks=pytest.mark.skipif(bool(obstacle_to_isolation()), reason=obstacle_to_isolation()),
        ),
        pytest.param(
            "passthrough",
            marks=pytest.mark.skipif(
                not sys.platform.startswith("linux"), reason="there is no /proc"
            ),
        ),
    ]
)
def real(request: pytest.FixtureRequest) -> Iterator[FakeDaemon]:
    """A fake daemon whose commands really run."""
    with FakeDaemon(exec_mode=request.param) as daemon:
        yield daemon
        daemon.assert_no_leaks()


def read_up(fifo: Fifo, count: int) -> None:
    """Wait until so many processes have told that they run."""
    read = b""
    while read.count(b"up") < count:
        read += fifo.read()


async def test_all_processes_of_a_command_are_killed(
    real: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / ODD
    odd.symlink_to("/bin/sh")
    async with AgentsSandboxClient(real.socket_path) as client:
        shared = MountSpec(source=str(tmp_path), target=str(tmp_path), writable=True)
        sandbox = client.attach(
            (await client.create_sandbox(image=IMAGE, mounts=(shared,))).sandbox_id
        )
        commands = {
            f"{name}-{number}": (shell, count, body)
            for number, shell in enumerate(("sh", str(odd)))
            for name, (count, body) in PROGRAMS.items()
        }
        with closing(Fifo(tmp_path / "other")) as other:
            argv = ("sh", "-c", 'exec 3>"$0"; echo up >&3; sleep 1000; :', other.path)
            bystander = await client.create_exec(sandbox.id, argv, exec_id="bystander")
            await off_loop(read_up, other, 1)
            for exec_id, (shell, count, body) in commands.items():
                with closing(Fifo(tmp_path / exec_id)) as fifo:
                    script = f'exec 3>"$0"; {body}'
                    command = (shell, "-c", script, fifo.path, "$(false) `'\"*\n", " x ")
                    await client.create_exec(sandbox.id, command, exec_id=exec_id)
                    await off_loop(read_up, fifo, count)
                    assert_killed(await client.cancel_exec(exec_id, kill=True))
                    while await off_loop(fifo.read):
                        pass  # empty: all have ended
            # Of two execs with equal argv, only one dies.
            twin = await client.create_exec(sandbox.id, bystander.command, exec_id="twin-exec")
            await off_loop(read_up, other, 1)
            assert_killed(await client.cancel_exec(twin.exec_id, kill=True))
            assert (await client.get_exec(bystander.exec_id)).state is ExecState.RUNNING
            assert_killed(await client.cancel_exec(bystander.exec_id, kill=True))
        # One that writes to no log cannot be told from a cancelled one that still runs.
        with closing(Fifo(tmp_path / "silent")) as fifo:
            silent = ("sh", "-c", 'exec 3>"$0" >&3 2>&1; echo up; sleep 1000; :', fifo.path)
            await client.create_exec(sandbox.id, silent, exec_id="silent")
            await off_loop(read_up, fifo, 1)
            monkeypatch.setattr(_deadline, "APPEARING_SECONDS", 0.0)  # it has appeared
            with pytest.raises(ExecNotKilledError) as caught:
                await client.cancel_exec("silent", kill=True)
            assert caught.value.problem == "not_found"
        await client.delete_sandbox(sandbox.id)
