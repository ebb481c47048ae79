"""`run`, `logs`, `events` and `timeline`."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import click
import pytest
from click.testing import CliRunner

from agents_sandbox import (
    HealthcheckConfig,
    OutputUnavailableError,
    SandboxState,
    ServiceSpec,
    SyncAgentsSandboxClient,
)
from agents_sandbox._cli import events, execs
from agents_sandbox._cli.program import program
from agents_sandbox._cli.settings import read_all
from agents_sandbox._scripts import files as scripts
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from ..commands import Told
from ..deletions import wait_until_deleted
from ..impostor import always, impostor
from .conftest import Run, objects

pytestmark = pytest.mark.once


def test_a_command_runs_in_a_new_sandbox(run: Run, daemon: FakeDaemon) -> None:
    daemon.on_exec(("make", "-k")).stdout(b"out\xff\n").stderr("err\n").exit(3)
    options = ("--label", "team=agents", "--env", "A=1", "--cwd", "/src")
    result = run("run", "a:1", *options, "--", "make", "-k")
    assert (result.exit_code, result.stdout_bytes, result.stderr) == (3, b"out\xff\n", "err\n")
    (record,) = daemon.sandboxes
    assert (record.spec.image, record.spec.labels["team"]) == ("a:1", "agents")
    wait_until_deleted(daemon)
    (ended,) = daemon.execs
    assert (ended.cwd, ended.env) == ("/src", {"A": "1"})


def test_a_command_runs_in_an_existing_sandbox(
    run: Run, client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    client.create_sandbox(image="a:1", sandbox_id="box-1")
    daemon.on_exec(("echo", "hello")).stdout("hello\n")
    assert run("run", "box-1", "echo", "hello").stdout == "hello\n"
    assert client.get_sandbox("box-1").state is SandboxState.READY
    for option in ("--keep", "--label=a=b"):
        refused = run("run", "box-1", option, "echo", "hello")
        assert refused.exit_code == 125
        assert "are for a new sandbox" in refused.stderr
    assert len(daemon.execs) == 1


def test_a_new_sandbox_can_be_kept(run: Run, daemon: FakeDaemon) -> None:
    result = run("run", "--keep", "a:1", "true")
    (record,) = daemon.sandboxes
    assert record.state is SandboxState.READY
    assert result.stderr == f"agents-sandbox: keeping sandbox {record.sandbox_id}\n"


def test_a_command_reads_standard_input_on_request(run: Run, daemon: FakeDaemon) -> None:
    seen: list[bytes] = []
    daemon.on_exec(("cat",)).call(lambda context: seen.append(context.stdin))
    assert run("run", "-i", "a:1", "cat", given="hello").exit_code == 0
    assert run("run", "a:1", "cat", given="hello").exit_code == 0
    assert seen == [b"hello", b""]


def test_more_input_than_a_command_can_get_is_refused(run: Run, daemon: FakeDaemon) -> None:
    result = run("run", "-i", "a:1", "cat", given="x" * (8 * 2**20 + 1))
    assert result.exit_code == 125
    assert result.stderr.endswith("Error: -i takes up to 8 MiB.\n")
    assert execs._LARGEST_INPUT == scripts.LARGEST
    assert daemon.sandboxes == ()


class Endless(io.RawIOBase):
    """A stream without an end, like /dev/zero."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return len(buffer)


def test_input_without_an_end_is_not_read_for_ever() -> None:
    with pytest.raises(click.UsageError, match="takes up to 1 MiB"):
        read_all("-i", io.BufferedReader(Endless()), 2**20)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("a:1", "--", "git", "log"), ("git", "log")),
        (("a:1", "git", "checkout", "--", "file"), ("git", "checkout", "--", "file")),
        (("a:1", "--", "git", "checkout", "--", "file"), ("git", "checkout", "--", "file")),
        (("a:1", "--env=A=1", "git", "--", "-x", "--"), ("git", "--", "-x", "--")),
        (("--", "a:1", "git", "--", "x"), ("git", "--", "x")),
    ],
)
def test_a_separator_of_the_command_is_one_of_its_words(
    run: Run, daemon: FakeDaemon, arguments: tuple[str, ...], command: tuple[str, ...]
) -> None:
    result = run("run", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert daemon.execs[0].argv == command


@pytest.mark.parametrize("arguments", [("a:1", "--"), ("--", "a:1"), ("--",), ("a:1",), ()])
def test_a_command_without_words_is_refused(run: Run, arguments: tuple[str, ...]) -> None:
    result = run("run", *arguments)
    assert result.exit_code == 125
    assert "Missing argument" in result.stderr


def test_json_has_chunks_and_then_the_end(run: Run, daemon: FakeDaemon) -> None:
    daemon.on_exec(("make",)).stdout("out\n").stderr("err\n").exit(3)
    result = run("--json", "run", "a:1", "make")
    out, err, ended = objects(result.stdout)
    assert (out, err) == (
        {"stream": "stdout", "text": "out\n"},
        {"stream": "stderr", "text": "err\n"},
    )
    assert (ended["state"], ended["exit_code"], ended["command"]) == ("FAILED", 3, ["make"])
    assert result.exit_code == 3


def test_a_command_without_an_exit_code(run: Run, daemon: FakeDaemon) -> None:
    daemon.on_exec(("nothing",)).fail("executable file not found")
    result = run("run", "a:1", "nothing")
    assert result.exit_code == 126
    expected = "agents-sandbox: the command has no exit code: executable file not found\n"
    assert result.stderr == expected


def test_a_command_without_an_exit_code_is_an_error_in_json(run: Run, daemon: FakeDaemon) -> None:
    daemon.on_exec(("nothing",)).fail("no such folder")
    result = run("--json", "run", "a:1", "nothing")
    assert result.exit_code == 126
    (ended,), (error,) = objects(result.stdout), objects(result.stderr)
    assert (error["error"], error["exec_id"]) == ("ExecFailedError", ended["exec_id"])
    assert error["message"] == "the command has no exit code: no such folder"


def test_an_image_is_no_sandbox(tmp_path: Path) -> None:
    nowhere = f"--socket={tmp_path}/s"
    result = CliRunner().invoke(program, [nowhere, "--json", "run", "python:3.13", "true"])
    (error,) = objects(result.stderr)
    assert (error["error"], error["sandbox_id"]) == ("DaemonUnavailableError", None)
    assert error["message"].endswith("(path from --socket)")


def test_options_of_a_command_need_a_separator(run: Run) -> None:
    result = run("run", "demo", "sh", "-c", "true")
    assert result.exit_code == 125
    assert "Write -- before the command" in result.stderr


def test_a_time_limit_ends_the_command(run: Run, daemon: FakeDaemon) -> None:
    daemon.on_exec(("sleep", "60")).never()
    result = run("run", "--timeout", "200ms", "a:1", "sleep", "60")
    assert result.exit_code == 124
    assert "was ended after its time limit of 0.2 s" in result.stderr
    assert daemon.execs[0].exit_code == 137
    wait_until_deleted(daemon)


def test_a_start_that_takes_too_long_is_a_timeout_too(
    run: Run, client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    client.create_sandbox(image="a:1", sandbox_id="box-1")
    with daemon.faults.failing("DEADLINE_EXCEEDED", method="CreateExec"):
        result = run("run", "--timeout", "0.1", "box-1", "true")
    assert result.exit_code == 124
    assert "time limit of" not in result.stderr


def test_logs_are_those_of_a_command_of_somebody_else(
    run: Run, client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("make",)).stdout("out\n").stderr("err\n").exit(3)
    client.create_sandbox(image="a:1", sandbox_id="box-1")
    client.run("box-1", ("make",), exec_id="exec-1")
    for arguments in (("logs", "exec-1"), ("logs", "-f", "exec-1")):
        result = run(*arguments)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "out\n", "err\n")
    *chunks, ended = objects(run("--json", "logs", "exec-1").stdout)
    assert [chunk["text"] for chunk in chunks] == ["out\n", "err\n"]
    assert ended["exit_code"] == 3


def test_logs_of_a_running_command_are_those_so_far(
    run: Run, client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    told = Told()
    daemon.on_exec(("server",)).call(told)
    client.create_sandbox(image="a:1", sandbox_id="box-1")
    with client.start_exec("box-1", ("server",), exec_id="exec-1") as process:
        told.stdout("listening\n")
        assert next(process.output()).data == b"listening\n"
        assert run("logs", "exec-1").stdout == "listening\n"
        assert objects(run("--json", "logs", "exec-1").stdout)[-1]["state"] == "RUNNING"
        told.exit(0)
        assert objects(run("--json", "logs", "-f", "exec-1").stdout)[-1]["state"] == "FINISHED"


def test_logs_that_do_not_exist_are_an_error(
    run: Run, client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("server",)).never()
    client.create_sandbox(image="a:1", sandbox_id="box-1")
    handle = client.create_exec("box-1", ("server",), exec_id="exec-1")
    for path in (handle.stderr_log_path, handle.stdout_log_path):
        daemon.wait_for_call("CreateExec")
        Path(path or "").unlink()
        result = run("logs", "exec-1")
        assert (result.exit_code, result.stdout) == (125, "")
        assert "exec exec-1 do not exist: its command has not started yet, or" in result.stderr
    client.cancel_exec("exec-1")


def test_logs_that_shrink_are_an_error(
    client: SyncAgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    daemon.on_exec(("server",)).call(told)
    client.create_sandbox(image="a:1", sandbox_id="box-1")
    with client.start_exec("box-1", ("server",)) as process:
        told.stdout("listening\n" * 10_000)
        assert next(process.output()).data
        handle = client.get_exec(process.begin().exec_id)
        chunks = execs._what_is_there(process, handle)
        next(chunks)
        os.truncate(handle.stdout_log_path or "", 10)
        with pytest.raises(OutputUnavailableError, match="have shrunk"):
            next(chunks)
        told.exit(0)
        process.wait()
        # It shrinks after the look at its size.
        monkeypatch.setattr(execs, "_sizes", lambda _: {"stdout": 20, "stderr": 0})
        with pytest.raises(OutputUnavailableError, match="have shrunk"):
            list(execs._what_is_there(process, handle))


def test_logs_need_a_ready_sandbox(
    run: Run, client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    client.create_sandbox(image="a:1", sandbox_id="box-1")
    client.run("box-1", ("true",), exec_id="exec-1")
    client.stop_sandbox("box-1")
    result = run("--json", "logs", "exec-1")
    assert result.exit_code == 125
    (error,) = objects(result.stderr)
    assert (error["error"], error["exec_id"]) == ("OutputUnavailableError", "exec-1")
    assert "sandbox box-1 is not READY" in error["message"]


def test_events_are_those_so_far(
    run: Run, client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("make",)).exit(3)
    daemon.on_exec(("nothing",)).fail("not found")
    client.create_sandbox(image="a:1", sandbox_id="box-1")
    client.run("box-1", ("make",), exec_id="exec-1")
    client.run("box-1", ("nothing",), exec_id="exec-2")
    rows = [line.split("\t") for line in run("events", "box-1").stdout.splitlines()]
    assert [(row[0], *row[2:]) for row in rows] == [
        ("1", "SANDBOX_ACCEPTED", "-"),
        ("2", "SANDBOX_PREPARING", "materialize"),
        ("3", "SANDBOX_READY", "-"),
        ("4", "EXEC_STARTED", "exec-1"),
        ("5", "EXEC_FAILED", "exec-1 exit code 3"),
        ("6", "EXEC_STARTED", "exec-2"),
        ("7", "EXEC_FAILED", "exec-2 EXEC_RUN_FAILED not found"),
    ]
    *_, last = objects(run("--json", "events", "box-1").stdout)
    assert (last["sequence"], last["event_type"]) == (7, "EXEC_FAILED")
    assert (last["sandbox_state"], last["exec"]["exec_state"]) == (None, "FAILED")


def test_a_timeline_is_told_or_drawn(
    run: Run, client: SyncAgentsSandboxClient, daemon: FakeDaemon, tmp_path: Path
) -> None:
    daemon.on_exec(("make",)).exit(3)
    client.create_sandbox(image="a:1", sandbox_id="box-1")
    client.run("box-1", ("make",), exec_id="exec-1")
    words = run("timeline", "box-1").stdout.splitlines()
    assert any("exec-1" in line and "3" in line for line in words)
    picture = tmp_path / "life.svg"
    result = run("timeline", "box-1", "-o", str(picture))
    assert (result.exit_code, result.output) == (0, "")
    assert picture.read_text("utf-8").startswith("<svg")
    (told,) = objects(run("--json", "timeline", "box-1", "-o", str(picture)).stdout)
    assert told == {"sandbox_id": "box-1", "words": words, "file": str(picture)}
    result = run("timeline", "box-1", "-o", str(tmp_path / "missing" / "life.svg"))
    assert result.exit_code == 125
    what = f"{tmp_path}/missing/life.svg: No such file or directory"
    assert result.stderr == f"agents-sandbox: {what}\n"
    (error,) = objects(
        run("--json", "timeline", "box-1", "-o", f"{tmp_path}/missing/life.svg").stderr
    )
    assert (error["error"], error["message"]) == ("FileNotFoundError", what)


def test_events_are_followed_until_the_purge(
    run: Run, client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    client.create_sandbox(image="a:1", sandbox_id="box-1")
    client.delete_sandbox("box-1")
    daemon.wait_for_streams(0)

    def purge() -> None:
        daemon.wait_for_streams(1)
        daemon.purge("box-1")

    with ThreadPoolExecutor() as threads:
        purged = threads.submit(purge)
        result = run("events", "-f", "box-1")
        purged.result()
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].split("\t")[2] == "SANDBOX_DELETED"


def test_events_that_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = Event()

    def send(request: bytes, context: object) -> Iterator[bytes]:
        yield pb.SandboxEvent(
            sandbox_id="box-1", sequence=1, event_type=pb.SANDBOX_ACCEPTED
        ).SerializeToString()
        ended.wait()

    handle = pb.SandboxHandle(
        sandbox_id="box-1", state=pb.SANDBOX_STATE_READY, last_event_sequence=9
    )
    answers = {
        "Ping": always(pb.PingResponse(version="0.2.1", daemon="agboxd")),
        "GetSandbox": always(pb.GetSandboxResponse(sandbox=handle)),
        "SubscribeSandboxEvents": send,
    }
    monkeypatch.setattr(events, "_REPLAY_SECONDS", 1.0)
    with TemporaryDirectory(dir="/tmp") as folder, impostor(Path(folder) / "s", answers) as path:
        result = CliRunner().invoke(program, [f"--socket={path}", "events", "box-1"])
        ended.set()
    assert result.exit_code == 124
    assert result.stdout.startswith("1\t")
    assert result.stderr == (
        "agents-sandbox: the daemon sent the events of sandbox box-1 up to 1 of 9 within 1 s. "
        "Increase --timeout\n"
    )


def test_a_time_limit_ends_following(run: Run, client: SyncAgentsSandboxClient) -> None:
    client.create_sandbox(image="a:1", sandbox_id="box-1")
    result = run("events", "-f", "--timeout", "0.2", "box-1")
    assert result.exit_code == 124
    assert result.stderr.endswith("Increase --timeout\n")


@pytest.mark.releases("0.2.1")
def test_events_of_services_name_them(run: Run, client: SyncAgentsSandboxClient) -> None:
    check = HealthcheckConfig(test=("CMD", "true"), interval=5)
    service = ServiceSpec("postgres", "postgres:16", healthcheck=check)
    client.create_sandbox(image="a:1", sandbox_id="box-1", required_services=[service])
    assert "\tSANDBOX_SERVICE_READY\tpostgres\n" in run("events", "box-1").stdout
