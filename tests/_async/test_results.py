"""Results with their output."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from pathlib import Path

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    ExecFailedError,
    ExecHandle,
    ExecResult,
    ExecState,
    InvalidArgumentError,
    OutputUnavailableError,
    SandboxHandle,
)
from agents_sandbox._output import log_file
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop
from ..releases import any_release, each_dialect
from .life import ID, restart

pytestmark = any_release


def problem_of(result: ExecResult, stream: str = "stdout") -> str | None:
    """Why a stream of a result cannot be read; its text and its bytes must agree."""
    problems = set()
    for name in (stream, f"{stream}_bytes"):
        with pytest.raises(OutputUnavailableError) as caught:
            getattr(result, name)
        error = caught.value
        assert (error.exec_id, error.sandbox_id) == (result.exec_id, result.sandbox_id)
        problems.add(error.problem)
    assert getattr(result, f"{stream}_truncated") is False
    return problems.pop()


@each_dialect
async def test_a_result_has_the_output(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("greet",)).stdout("grüße\n").stderr(b"\xff!").exit(3)
    results = [
        await client.run(ID, ("greet",)),
        await client.create_exec(ID, ("greet",), wait=True),
        await client.wait_for_exec(await client.create_exec(ID, ("greet",))),
    ]
    for result in results:
        assert isinstance(result, ExecResult)
        assert isinstance(result, ExecHandle)
        assert (result.stdout, result.stdout_bytes) == ("grüße\n", "grüße\n".encode())
        assert (result.stderr, result.stderr_bytes) == ("\ufffd!", b"\xff!")
        assert (result.stdout_truncated, result.stderr_truncated) == (False, False)
        assert (result.state, result.exit_code) == (ExecState.FAILED, 3)
        assert result.stdout_log_path == f"{daemon.exec_log_root}/{ID}/{result.exec_id}.stdout.log"


async def test_a_command_that_prints_nothing_has_empty_output(
    client: AgentsSandboxClient, sandbox: SandboxHandle
) -> None:
    result = await client.run(ID, ("true",))
    assert (result.stdout, result.stderr_bytes) == ("", b"")
    assert result.check() is result


@pytest.mark.parametrize(
    ("limit", "text"),
    [(0, ""), (1, ""), (2, ""), (3, "€"), (4, "€"), (6, "€€"), (7, "b€€"), (8, "ab€€")],
)
async def test_the_end_of_long_output_is_kept(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, limit: int, text: str
) -> None:
    daemon.on_exec(("euros",)).stdout("ab€€")
    result = await client.run(ID, ("euros",), max_output_bytes=limit)
    # A character that was cut is left out of the text.
    assert (result.stdout, result.stdout_truncated) == (text, limit < 8)
    assert (len(result.stdout_bytes), result.stderr_truncated) == (limit, False)


async def test_text_of_wrong_bytes_never_loses_any(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("noise",)).stdout(b"x" + b"\x80" * 9)
    assert (await client.run(ID, ("noise",), max_output_bytes=8)).stdout == "\ufffd" * 5
    assert (await client.run(ID, ("noise",))).stdout == "x" + "\ufffd" * 9


async def test_long_output_is_read_in_pieces(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_file, "_PIECE_BYTES", 3)
    daemon.on_exec(("count",)).stdout("0123456789").stderr("abc")
    result = await client.run(ID, ("count",))
    assert (result.stdout, result.stderr) == ("0123456789", "abc")


async def test_check_raises_the_result_of_a_failure(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    assert (await client.run(ID, ("true",), check=True)).exit_code == 0
    daemon.on_exec(("make",)).stderr("no rule").exit(2)
    with pytest.raises(ExecFailedError, match="ended with exit code 2") as caught:
        await client.run(ID, ("make",), check=True, exec_id="my-exec")
    assert (caught.value.sandbox_id, caught.value.exec_id) == (ID, "my-exec")
    again = pickle.loads(pickle.dumps(caught.value))
    for result in (caught.value.result, again.result):
        assert result is not None
        assert (result.exit_code, result.stderr) == (2, "no rule")
    daemon.on_exec(("typo",)).fail("chdir: no such folder")
    with pytest.raises(ExecFailedError, match="ended with FAILED: chdir: no such folder"):
        await client.run(ID, ("typo",), check=True)
    for wrong in ({"check": 1}, {"max_output_bytes": -1}, {"max_output_bytes": 1.5}):
        with pytest.raises(InvalidArgumentError):
            await client.run(ID, ("true",), **wrong)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        ("Error response from daemon: OCI runtime exec failed: exec failed: chdir to cwd", None),
        ("exec was running when daemon restarted", "missing"),
        ("Error response from daemon: No such container: agbox-primary-box-1", "missing"),
        ("", "missing"),
    ],
)
async def test_only_what_could_not_be_started_has_empty_output_without_logs(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    error: str,
    problem: str | None,
) -> None:
    daemon.on_exec(("sleep",)).never()
    failed = pb.ExecStatus(
        exec_id="my-exec", sandbox_id=ID, state=pb.EXEC_STATE_FAILED, command=["sleep"], error=error
    )
    with daemon.paused():  # the files are not there yet
        await client.create_exec(ID, ("sleep",), exec_id="my-exec")
        daemon.faults.answer_next("GetExec", pb.GetExecResponse(exec=failed))
        result = await client.wait_for_exec("my-exec")
    assert (result.exit_code, result.error or "") == (None, error)
    if problem is None:
        assert (result.stdout, result.stderr) == ("", "")
    else:
        assert problem_of(result) == problem


async def test_logs_that_never_came_are_not_taken_for_empty(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    # The daemon says that it ended with 1; nothing says that it was never started.
    result = await client.run(ID, ("echo", "x" * 131_072))
    assert result.exit_code == 1
    assert problem_of(result) == "missing"
    daemon.on_exec(("sleep",)).never()
    with daemon.paused():  # the process is not started
        started = await client.create_exec(ID, ("sleep",))
        await client.cancel_exec(started)
        cancelled = await client.wait_for_exec(started)
    assert cancelled.state is ExecState.CANCELLED
    assert problem_of(cancelled, "stderr") == "missing"


async def test_what_a_cancelled_command_has_written_is_there(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("train",)).stdout("step 1\n").never()
    run = Background(client.run, ID, ("train",), exec_id="my-exec")
    await off_loop(wait_for_file, daemon.exec_log_root / ID / "my-exec.stdout.log", b"step 1\n")
    await client.cancel_exec("my-exec")
    assert (await run.result()).stdout == "step 1\n"


def wait_for_file(path: Path, content: bytes) -> None:
    """Wait until a command has written its output."""
    while not path.exists() or path.read_bytes() != content:
        pass


async def test_output_survives_a_restart_and_the_delete(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("greet",)).stdout("hello")
    daemon.on_exec(("train",)).stdout("step 1\n").never()
    greeted = await client.run(ID, ("greet",))
    train = await client.create_exec(ID, ("train",))
    path = Path(train.stdout_log_path or "")
    await off_loop(wait_for_file, path, b"step 1\n")
    await restart(daemon)
    lost = await client.wait_for_exec(train)
    assert (lost.error, lost.stdout) == ("exec was running when daemon restarted", "step 1\n")
    path.unlink()
    assert problem_of(await client.wait_for_exec(train)) == "missing"
    await client.delete_sandbox(ID)
    assert (await client.wait_for_exec(greeted)).stdout == "hello"


async def test_logs_that_a_delete_removed_are_not_taken_for_empty(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("train",)).stdout("step 1\n").never()
    train = await client.create_exec(ID, ("train",))
    await off_loop(wait_for_file, Path(train.stdout_log_path or ""), b"step 1\n")
    await client.delete_sandbox(ID)
    result = await client.wait_for_exec(train)
    assert problem_of(result) == "missing"


async def test_a_hostile_log_is_an_error_of_its_stream_alone(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("greet",)).stdout("hello").stderr("oops")
    result = await client.run(ID, ("greet",))
    Path(result.stdout_log_path or "").unlink()
    Path(result.stdout_log_path or "").symlink_to(__file__)
    again = await client.wait_for_exec(result)
    assert problem_of(again) == "unsafe"
    assert again.stderr == "oops"


@pytest.mark.parametrize(
    ("path", "problem"), [("", "no_log_root"), ("/no/such/root/{}/{}.log", "other_host")]
)
async def test_output_that_is_not_on_this_host_is_an_error(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    path: str,
    problem: str,
) -> None:
    there = path.format(ID, "my-exec")
    answer = pb.CreateExecResponse(exec_id="my-exec", stdout_log_path=there, stderr_log_path=there)
    daemon.faults.answer_next("CreateExec", answer)
    ended = pb.ExecStatus(
        exec_id="my-exec", sandbox_id=ID, state=pb.EXEC_STATE_FINISHED, command=["ls"]
    )
    daemon.faults.answer_next("GetExec", pb.GetExecResponse(exec=ended))
    result = await client.run(ID, ("ls",), exec_id="my-exec", check=True)
    assert problem_of(result) == problem
    assert result.stdout_log_path == (there or None)


async def test_log_paths_are_remembered(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    with daemon.paused():  # the files are not there yet
        started = await client.create_exec(ID, ("sleep",))
        handles = [
            await client.get_exec(started),
            *await client.list_active_execs(),
            await client.cancel_exec(started),
        ]
    for handle in (started, *handles):
        root = f"{daemon.exec_log_root}/{ID}/{started.exec_id}"
        assert handle.stdout_log_path == f"{root}.stdout.log"
        assert handle.stderr_log_path == f"{root}.stderr.log"


async def test_log_paths_of_others_follow_from_one_of_ours(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("greet",)).stdout("hello")
    async with AgentsSandboxClient(daemon.socket_path) as other:
        greeted = await other.run(ID, ("greet",))
    assert (await client.get_exec(greeted)).stdout_log_path is None
    assert problem_of(await client.wait_for_exec(greeted)) == "unknown_path"
    await client.run(ID, ("true",))
    assert (await client.get_exec(greeted)).stdout_log_path == greeted.stdout_log_path
    assert (await client.wait_for_exec(greeted)).stdout == "hello"


async def test_an_exec_whose_answer_was_lost_has_its_output(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("greet",)).stdout("hello")
    for output in (None, "hello"):
        with daemon.faults.losing_answers(method="CreateExec", times=1):
            result = await client.run(ID, ("greet",))
        if output is None:
            assert problem_of(result) == "unknown_path"
            await client.run(ID, ("true",))
        else:
            assert result.stdout == output


async def test_a_result_can_be_copied_compared_and_pickled(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("greet",)).stdout("hello\xff").stderr("x" * 9)
    result = await client.run(ID, ("greet",), max_output_bytes=8)
    unread = ExecResult(**dataclasses.asdict(result))
    for one in (result, unread):
        for same in (
            copy.copy(one),
            copy.deepcopy(one),
            *(pickle.loads(pickle.dumps(one, level)) for level in range(2, 6)),
        ):
            assert (same, hash(same), repr(same)) == (one, hash(one), repr(one))
            assert type(same) is ExecResult
            assert same.stderr_truncated is one.stderr_truncated
    assert result != unread
    assert result != await client.get_exec(result)
    assert problem_of(copy.copy(unread)) == "not_captured"
    assert problem_of(dataclasses.replace(result, exit_code=1)) == "not_captured"
    assert "hello" not in repr(result)
    assert not hasattr(result, "__dict__")
