"""The output of a running command, as it is written."""

from __future__ import annotations

import gc
import math
import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonError,
    DaemonUnavailableError,
    ExecAlreadyTerminalError,
    ExecConflictError,
    ExecNotFoundError,
    ExecOutput,
    ExecState,
    InvalidArgumentError,
    InvalidArgumentTypeError,
    OperationTimeoutError,
    OutputChunk,
    OutputUnavailableError,
    Sandbox,
    SandboxHandle,
    SandboxLeftoverWarning,
    SandboxNotFoundError,
    _deadline,
)
from agents_sandbox._deadline import Deadline
from agents_sandbox._output import tail
from agents_sandbox._shared.helpers import KILL, KillExit
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop, step
from ..commands import Told, open_logs
from ..releases import any_release
from .life import ID, restart

pytestmark = any_release

TOLD = ("train",)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_deadline, "SHORTEST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(_deadline, "LONGEST_PAUSE_SECONDS", 0.005)


@pytest.fixture
def told(daemon: FakeDaemon) -> Iterator[Told]:
    command = Told()
    daemon.on_exec(TOLD).call(command)
    yield command
    command.exit(0)


@pytest.fixture
def box(client: AgentsSandboxClient, sandbox: SandboxHandle) -> Sandbox:
    return client.attach(sandbox.sandbox_id)


def methods(daemon: FakeDaemon) -> list[str]:
    """The names of the recorded RPCs, after the four of the create."""
    return [call.method for call in daemon.calls][4:]


async def drain(output: ExecOutput) -> list[OutputChunk]:
    return [chunk async for chunk in output]


async def text(output: ExecOutput, stream: str = "stdout") -> str:
    return "".join([chunk.text for chunk in await drain(output) if chunk.stream == stream])


async def test_output_comes_while_the_command_runs(
    box: Sandbox, daemon: FakeDaemon, told: Told
) -> None:
    async with box.start(TOLD, cwd="/tmp", env_overrides={"A": "1"}) as process:
        output = process.output()
        told.stdout("one\n")
        assert await step(output) == OutputChunk("stdout", b"one\n", 0, "one\n")
        told.stderr("\u20ac".encode()[:2])
        assert await step(output) == OutputChunk("stderr", b"\xe2\x82", 0, "")
        told.stderr("\u20ac!".encode()[2:])
        assert await step(output) == OutputChunk("stderr", b"\xac!", 2, "\u20ac!")
        assert process.exit_code is None
        told.exit(3)
        assert await drain(output) == []
        assert process.exit_code == 3
        assert process.handle is not None
        assert (process.handle.state, process.handle.cwd) == (ExecState.FAILED, "/tmp")
        assert output.offsets == {"stdout": 4, "stderr": 4}
        await off_loop(daemon.wait_for_streams, 0)
    result = await process.wait()
    assert (result.stdout, result.stderr, result.exit_code) == ("one\n", "\u20ac!", 3)
    assert methods(daemon) == ["CreateExec", "GetExec", "SubscribeSandboxEvents", "GetExec"]


async def test_another_reader_continues_where_one_stopped(box: Sandbox, told: Told) -> None:
    process = await box.start(TOLD).begin()
    first = process.output()
    told.stdout(b"a\xc3")
    assert (await step(first)).text == "a"
    await first.aclose()
    assert await drain(first) == []
    told.stdout(b"\xa9b")
    told.exit(0)
    chunks = await drain(process.output(from_offsets=first.offsets))
    assert chunks == [OutputChunk("stdout", b"\xa9b", 2, "\u00e9b")]
    assert await text(process.output()) == "a\u00e9b"


async def test_a_slow_reader_loses_and_doubles_nothing(
    box: Sandbox, daemon: FakeDaemon, told: Told
) -> None:
    whole = random.Random(7).randbytes(2**23)
    told.stdout(whole)
    told.exit(0)
    read = bytearray()
    async for chunk in box.start(TOLD).output():
        assert (chunk.offset, chunk.stream) == (len(read), "stdout")
        assert 0 < len(chunk.data) <= 2**16
        read += chunk.data
    assert read == whole
    await off_loop(daemon.wait_for_streams, 0)


async def test_a_command_that_cannot_be_started_has_no_output(
    box: Sandbox, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("nothing",)).fail("no such folder")
    async with box.start(("nothing",)) as process:
        assert await drain(process.output()) == []
    assert process.exit_code is None
    result = await process.wait()
    assert (result.error, result.stdout) == ("no such folder", "")


async def test_output_that_cannot_be_read(box: Sandbox, told: Told, tmp_path: Path) -> None:
    process = await box.start(TOLD).begin()
    told.stdout("x")
    await step(process.output())
    assert process.handle is not None
    log = Path(str(process.handle.stdout_log_path))
    log.unlink()
    log.symlink_to(tmp_path)
    output = process.output()
    with pytest.raises(OutputUnavailableError) as caught:
        await step(output)
    assert (caught.value.problem, caught.value.exec_id) == ("unsafe", process.exec_id)
    assert await drain(output) == []
    told.exit(4)
    assert (await process.wait()).exit_code == 4


async def test_a_log_that_was_removed(box: Sandbox, told: Told) -> None:
    told.exit(0)
    process = box.start(TOLD)
    result = await process.wait()
    Path(str(result.stdout_log_path)).unlink()
    with pytest.raises(OutputUnavailableError) as caught:
        await drain(process.output())
    assert caught.value.problem == "missing"
    assert process.exit_code == 0


async def test_a_block_ends_what_still_runs(box: Sandbox, daemon: FakeDaemon, told: Told) -> None:
    async with box.start(TOLD) as process:
        told.stdout("x")
        await step(process.output())
    assert process.handle is not None
    assert (process.handle.state, process.exit_code) == (ExecState.FAILED, 137)
    assert "CancelExec" not in methods(daemon)


@pytest.mark.filterwarnings("ignore:exec .* may still be running")
async def test_a_block_cancels_what_it_cannot_kill(box: Sandbox, daemon: FakeDaemon) -> None:
    daemon.on_exec(("sleep",)).never()
    daemon.on_exec(lambda argv: KILL in argv).exit(KillExit.NO_PROC)
    async with box.start(("sleep",)) as process:
        pass
    assert process.handle is not None
    assert process.handle.state is ExecState.CANCELLED
    # A kill that is refused or hangs leaves time for the cancel.
    async with box.start(("sleep",)) as process:
        daemon.faults.fail_next(
            "CreateExec", code="FAILED_PRECONDITION", reason="SANDBOX_NOT_READY"
        )
    assert process.handle is not None
    assert process.handle.state is ExecState.CANCELLED
    daemon.on_exec(lambda argv: KILL in argv).never()
    async with box.start(("sleep",), cleanup_timeout_seconds=2) as process:
        pass
    assert process.handle is not None
    assert process.handle.state is ExecState.CANCELLED
    endless: Any = math.inf
    daemon.on_exec(lambda argv: KILL in argv).exit(KillExit.NO_PROC)
    async with box.start(("sleep",), cleanup_timeout_seconds=endless) as process:
        pass
    late = box.start(("sleep",), cleanup_timeout_seconds=1e-9, exec_id="late-exec")
    with pytest.raises(OperationTimeoutError, match="increase cleanup_timeout_seconds") as caught:
        async with late:
            pass
    assert (caught.value.exec_id, caught.value.last_handle) == ("late-exec", late.handle)


async def test_a_block_ends_what_runs_after_its_client_was_closed(
    daemon: FakeDaemon, told: Told
) -> None:
    async with AgentsSandboxClient(daemon.socket_path) as client:
        sandbox = await client.create_sandbox(image="x")
        async with client.start_exec(sandbox.sandbox_id, TOLD) as process:
            await client.aclose()
    assert process.handle is not None
    assert (process.handle.state, process.exit_code) == (ExecState.FAILED, 137)
    assert process.handle.stdout_log_path is not None


async def test_output_after_a_lost_answer(
    client: AgentsSandboxClient, box: Sandbox, daemon: FakeDaemon, told: Told
) -> None:
    """Where the logs are follows from any other command."""
    told.stdout("x")
    told.exit(0)
    with daemon.faults.losing_answers(method="CreateExec", times=1):
        process = await box.start(TOLD).begin()
    with pytest.raises(OutputUnavailableError) as caught:
        await drain(process.output())
    assert caught.value.problem == "unknown_path"
    await box.run(("true",))
    assert await text(process.output()) == "x"


async def test_a_step_that_is_interrupted_as_it_returns(
    box: Sandbox, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.stdout(b"\xe2\x82")
    output = box.start(TOLD).output()
    deliver = tail.Tails.deliver

    def interrupt(tails: tail.Tails, chunk: OutputChunk) -> None:
        deliver(tails, chunk)
        raise KeyError

    with monkeypatch.context() as patched:
        patched.setattr(tail.Tails, "deliver", interrupt)
        with pytest.raises(KeyError):
            await step(output)
    assert (await step(output)).data == b"\xe2\x82"
    told.stdout(b"\xac")
    assert (await step(output)).text == "\u20ac"
    await output.aclose()


async def test_a_block_leaves_what_it_is_told_to_keep(
    box: Sandbox, daemon: FakeDaemon, told: Told
) -> None:
    async with box.start(TOLD, keep=True, exec_id="my-exec") as process:
        assert process.exec_id == "my-exec"
    told.exit(0)
    assert (await process.wait()).exit_code == 0
    assert "CancelExec" not in methods(daemon)


async def test_a_command_that_ended_unnoticed(box: Sandbox, told: Told) -> None:
    async with box.start(TOLD) as process:
        told.exit(5)
        handle = await box.refresh()
        async for event in box.events(from_sequence=handle.last_event_sequence - 1):
            if event.exec is not None and event.exec.exec_state.is_terminal:
                break
        assert process.exit_code is None
    assert process.exit_code == 5
    with pytest.raises(ExecAlreadyTerminalError):
        await process.cancel()


async def test_a_sandbox_that_is_gone_has_no_command_left(
    client: AgentsSandboxClient, box: Sandbox, daemon: FakeDaemon, told: Told
) -> None:
    async with box.start(TOLD):
        await box.delete()
        await off_loop(daemon.purge, ID)


async def test_a_failure_to_end_it_does_not_mask_an_error(
    box: Sandbox, daemon: FakeDaemon, told: Told
) -> None:
    error = KeyError("mine")
    process = box.start(TOLD)

    async def raise_in_block() -> None:
        async with process:
            daemon.faults.fail_next("GetExec", code="INTERNAL")
            raise error

    expected = f"^exec {process.exec_id} may still be running: "
    with (
        pytest.warns(SandboxLeftoverWarning, match=expected),
        pytest.raises(KeyError) as caught,
    ):
        await raise_in_block()
    assert caught.value is error
    (note,) = getattr(error, "__notes__", [f"exec {process.exec_id}"])
    assert f"exec {process.exec_id}" in note
    with pytest.raises(DaemonError):
        async with box.start(TOLD):
            daemon.faults.fail_next("GetExec", code="INTERNAL")
    told.exit(0)


async def test_a_block_is_entered_again_after_a_start_that_failed(
    box: Sandbox, daemon: FakeDaemon, told: Told
) -> None:
    """Each of its blocks ends the command, whatever became of the one before."""
    process = box.start(TOLD)
    with pytest.raises(OperationTimeoutError):
        daemon.faults.fail_next("CreateExec", code="DEADLINE_EXCEEDED")
        async with process:
            pass
    with pytest.raises(DaemonError):
        async with process:
            daemon.faults.fail_next("GetExec", code="INTERNAL")
    async with process:
        pass
    assert (process.handle and process.handle.state, process.exit_code) == (ExecState.FAILED, 137)
    told.exit(0)


@pytest.mark.unshared
@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("fault", ["late", "unavailable"])
async def test_the_end_of_a_block_goes_on_after_a_lost_request(
    daemon: FakeDaemon, told: Told, fault: str
) -> None:
    async with (
        AgentsSandboxClient(daemon.socket_path, timeout_seconds=0.1) as client,
        client.sandbox(image="x", timeout_seconds=20) as sandbox,
    ):
        with ExitStack() as faults:
            async with sandbox.start(TOLD) as process:
                await client.ping()
                faults.enter_context(
                    daemon.faults.delaying(3600, method="GetExec", times=1)
                    if fault == "late"
                    else daemon.faults.failing(method="GetExec", times=20)
                )
        assert (process.handle and process.handle.state, process.exit_code) == (
            ExecState.FAILED,
            137,
        )
    assert "CancelExec" not in methods(daemon)


async def test_a_block_warns_although_the_answer_to_its_cancel_was_lost(
    daemon: FakeDaemon,
) -> None:
    daemon.on_exec(("sleep",)).never()
    daemon.on_exec(lambda argv: KILL in argv).exit(KillExit.NO_PROC)
    async with (
        AgentsSandboxClient(daemon.socket_path, timeout_seconds=0.2) as client,
        client.sandbox(image="x", timeout_seconds=20) as sandbox,
    ):
        process = sandbox.start(("sleep",))
        with (
            daemon.faults.delaying(3600, method="CancelExec", times=1),
            pytest.warns(SandboxLeftoverWarning, match="was cancelled, but may still be running"),
        ):
            async with process:
                pass
        assert process.handle is not None
        assert process.handle.state is ExecState.CANCELLED


async def test_a_block_does_not_wait_for_ever_for_a_daemon_that_is_gone(
    box: Sandbox, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    process = box.start(("sleep",), cleanup_timeout_seconds=0.2)
    with pytest.raises(DaemonUnavailableError):
        async with process:
            await off_loop(daemon.kill)
    assert process.handle is not None
    assert process.handle.state is ExecState.RUNNING


async def test_a_start_that_was_not_confirmed(box: Sandbox, daemon: FakeDaemon, told: Told) -> None:
    daemon.faults.fail_next("GetExec", code="INTERNAL")
    with pytest.raises(DaemonError):
        async with box.start(TOLD):
            pass
    # The command that has killed it is not among them.
    assert [(record.argv, record.state) for record in daemon.execs] == [(TOLD, ExecState.FAILED)]
    told.exit(0)
    daemon.on_exec(("other",)).exit(6)
    daemon.faults.fail_next("GetExec", code="INTERNAL")
    process = box.start(("other",))
    with pytest.raises(DaemonError):
        await process.begin()
    assert (await process.wait()).exit_code == 6
    assert len([record for record in daemon.execs if record.argv == ("other",)]) == 1


async def test_a_start_that_did_not_reach_the_daemon(box: Sandbox, daemon: FakeDaemon) -> None:
    daemon.faults.fail_next("CreateExec", code="DEADLINE_EXCEEDED")
    process = box.start(TOLD)
    with pytest.raises(OperationTimeoutError):
        async with process:
            pass
    assert methods(daemon) == ["CreateExec", "GetExec", "GetExec"]
    with pytest.raises(ExecNotFoundError):
        await process.kill()
    assert repr(process) == f"<{type(process).__name__} {process.exec_id} not started>"


@pytest.mark.parametrize("mine", [False, True])
async def test_a_start_that_is_refused_ends_nothing(
    client: AgentsSandboxClient, box: Sandbox, daemon: FakeDaemon, told: Told, mine: bool
) -> None:
    """With an id that is taken, it would end the exec of someone else."""
    await client.create_exec(ID, TOLD, exec_id="my-exec")
    refused = box.start(TOLD, exec_id="my-exec") if mine else client.attach("unknown").start(TOLD)
    with pytest.raises(ExecConflictError if mine else SandboxNotFoundError):
        async with refused:
            pass
    assert "CancelExec" not in methods(daemon)


async def test_the_time_of_a_command(box: Sandbox, daemon: FakeDaemon, told: Told) -> None:
    async with box.start(TOLD, timeout_seconds=60) as process:
        with pytest.raises(OperationTimeoutError):
            await process.wait(timeout_seconds=0.001)
        told.exit(0)
        await process.wait()
    daemon.on_exec(("sleep",)).never()
    late = box.start(("sleep",), timeout_seconds=0.2)
    with pytest.raises(OperationTimeoutError):
        async with late:
            await drain(late.output())
    assert late.exit_code == 137


async def test_a_cancelled_command_that_writes_on(
    box: Sandbox, daemon: FakeDaemon, told: Told
) -> None:
    """Its output ends with the cancel."""
    process = await box.start(TOLD).begin()
    output = process.output()
    told.stdout("before")
    assert (await step(output)).text == "before"
    assert (await process.cancel()).state is ExecState.CANCELLED
    assert await drain(output) == []
    assert process.exit_code is None
    assert (await process.wait()).stdout == "before"


@pytest.mark.usefixtures("no_pauses")
async def test_a_reader_survives_a_restart_of_the_daemon(
    box: Sandbox, daemon: FakeDaemon, told: Told
) -> None:
    process = await box.start(TOLD).begin()
    output = process.output()
    told.stdout("before")
    assert (await step(output)).text == "before"
    rest = Background(drain, output)
    await restart(daemon)
    assert await rest.result() == []
    assert process.handle is not None
    assert (process.handle.state, process.exit_code) == (ExecState.FAILED, None)


@pytest.mark.usefixtures("no_pauses")
async def test_a_reader_survives_lost_connections(
    box: Sandbox, daemon: FakeDaemon, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its output comes all the same."""
    monkeypatch.setattr(_deadline, "LONGEST_PAUSE_SECONDS", 0.0)
    process = await box.start(TOLD).begin()
    output = process.output()
    for number in range(3):
        first = Background(step, output)
        await off_loop(daemon.wait_for_streams, 1)
        daemon.faults.fail_next("GetExec", code="DEADLINE_EXCEEDED", times=2)
        await off_loop(daemon.faults.drop_streams)
        await off_loop(daemon.wait_for_call, "GetExec", count=2 + 2 * number)
        told.stdout(str(number))
        assert (await first.result()).text == str(number)
    told.exit(0)
    assert await drain(output) == []


@pytest.mark.parametrize("how", ["close", "drop", "leave"])
async def test_an_abandoned_reader_leaves_nothing_open(
    box: Sandbox, daemon: FakeDaemon, told: Told, how: str
) -> None:
    process = await box.start(TOLD).begin()
    output: Any = process.output()
    told.stdout("x")
    await step(output)
    await off_loop(daemon.wait_for_streams, 1)
    assert open_logs()
    if how == "close":
        await output.aclose()
    elif how == "drop":
        del output
        gc.collect()
    else:
        async with output:
            pass
    await off_loop(daemon.wait_for_streams, 0)
    assert open_logs() == []
    told.exit(0)
    assert (await process.wait()).stdout == "x"


async def test_a_close_ends_the_step_of_another(box: Sandbox, daemon: FakeDaemon) -> None:
    daemon.on_exec(("sleep",)).never()
    output = box.start(("sleep",)).output()
    rest = Background(drain, output)
    await off_loop(daemon.wait_for_streams, 1)
    await output.aclose()
    assert await rest.result() == []
    await box.start(TOLD).output().aclose()


async def test_two_readers_and_a_wait_share_one_stream(
    box: Sandbox, daemon: FakeDaemon, told: Told
) -> None:
    process = await (await box.start(TOLD).begin()).begin()
    calls = [Background(text, process.output()), Background(text, process.output())]
    calls.append(Background(process.wait))
    await off_loop(daemon.wait_for_streams, 1)
    told.stdout("all")
    told.exit(0)
    first, second, result = [await call.result() for call in calls]
    assert first == second == result.stdout == "all"
    assert methods(daemon).count("CreateExec") == 1


async def test_run_hands_output_to_functions(
    client: AgentsSandboxClient, box: Sandbox, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "CHUNK_BYTES", 2)
    told.stdout(b"\xe2\x82")
    told.stderr("oops")
    told.stdout(b"\xac")
    told.exit(3)
    out: list[str] = []
    err: list[str] = []
    result = await box.run(TOLD, on_stdout=out.append, on_stderr=err.append)
    assert ("".join(out), "".join(err)) == ("\u20ac", "oops")
    assert (result.stdout, result.stderr, result.exit_code) == ("\u20ac", "oops", 3)
    told.stdout("long")
    told.exit(0)
    result = await client.run(ID, TOLD, on_stdout=out.append, max_output_bytes=2)
    assert (out[-2:], result.stdout, result.stdout_truncated) == (["lo", "ng"], "ng", True)


async def test_an_error_of_a_function_ends_the_run(
    client: AgentsSandboxClient, box: Sandbox, daemon: FakeDaemon, told: Told
) -> None:
    told.stdout("x")
    error = KeyError("mine")

    def fail(_: str) -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        await box.run(TOLD, on_stdout=fail)
    assert caught.value is error
    (left,) = await client.list_active_execs()
    note = f"exec {left.exec_id} may still be running: end it with cancel_exec(kill=True)"
    assert getattr(error, "__notes__", [note]) == [note]
    await off_loop(daemon.wait_for_streams, 0)
    assert open_logs() == []


async def test_functions_that_are_called_after_the_end(
    box: Sandbox, daemon: FakeDaemon, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of the run may pass, although the command has ended in time; or one may raise."""
    monkeypatch.setattr(tail, "CHUNK_BYTES", 1)
    error = KeyError("mine")

    async def know_the_end() -> bool:
        command.exit(0)
        await off_loop(daemon.wait_for_call, "CreateExec")  # so that the event can arrive
        return methods(daemon).count("GetExec") % 2 == 0

    async def fail(_: str) -> None:
        if await know_the_end():
            raise error

    async def be_slow(_: str) -> None:
        if await know_the_end():
            monkeypatch.setattr(Deadline, "expired", lambda _: True)

    command = told
    command.stdout("x" * 2**14)
    with pytest.raises(KeyError):
        await box.run(TOLD, on_stdout=fail)
    assert getattr(error, "__notes__", []) == []
    command = Told()
    daemon.on_exec(TOLD).call(command)
    command.stdout("x" * 2**14)
    with pytest.raises(OperationTimeoutError, match="was not delivered within 20 s"):
        await box.run(TOLD, on_stdout=be_slow)


async def test_arguments_are_checked(client: AgentsSandboxClient, box: Sandbox) -> None:
    broken: Any = box
    for arguments in ({"keep": 1}, {"cleanup_timeout_seconds": "soon"}, {"timeout_seconds": -1}):
        with pytest.raises(InvalidArgumentError):
            broken.start(TOLD, **arguments)
    process: Any = box.start(TOLD)
    with pytest.raises(InvalidArgumentError, match="from_offsets"):
        process.output(from_offsets={"stdin": 0})
    with pytest.raises(InvalidArgumentError, match=r"from_offsets\['stderr'\]"):
        process.output(from_offsets={"stderr": -1})
    with pytest.raises(InvalidArgumentTypeError, match="on_stderr"):
        await broken.run(TOLD, on_stderr=1)
    for method in ("wait", "cancel", "kill"):
        with pytest.raises(InvalidArgumentError):
            await getattr(process, method)(timeout_seconds=-1)


def test_copies_are_refused(box: Sandbox) -> None:
    process = box.start(TOLD)
    for thing in (process, process.output()):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            thing.__reduce__()


async def test_the_command_of_another_client(
    client: AgentsSandboxClient, box: Sandbox, daemon: FakeDaemon, told: Told
) -> None:
    started = await client.create_exec(ID, TOLD, exec_id="theirs")
    async with AgentsSandboxClient(daemon.socket_path) as other:
        async with other.attach_exec("theirs") as process:
            with pytest.raises(OutputUnavailableError) as caught:
                await drain(process.output())
            assert caught.value.problem == "unknown_path"
            daemon.on_exec(("true",)).exit(0)
            await other.run(process.sandbox_id, ("true",))  # tells where logs are
            told.stdout("hello")
            assert (await step(process.output(from_offsets={"stdout": 1}))).text == "ello"
        assert process.handle is not None
        assert process.handle.state is ExecState.RUNNING
        again = other.attach_exec(started)
        assert (again.sandbox_id, again.handle) == (ID, None)
        told.exit(3)
        assert ((await again.wait()).stdout, again.exit_code) == ("hello", 3)
        with pytest.raises(ExecNotFoundError):
            await other.attach_exec("nobodys").wait()
