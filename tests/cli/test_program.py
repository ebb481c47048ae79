"""The program: its errors, exit codes, signals, completion, and what it needs."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import agents_sandbox
from agents_sandbox import (
    DaemonError,
    SandboxLeftoverWarning,
    SyncAgentsSandboxClient,
)
from agents_sandbox import __main__ as entry
from agents_sandbox._cli.program import program
from agents_sandbox._cli.settings import Settings
from agents_sandbox._cli.streams import drop_unwritten
from agents_sandbox.testing import FakeDaemon

from ..commands import Told
from ..deletions import wait_until_deleted
from .conftest import Run, objects


def test_the_program_works_with_this_interpreter(run: Run, daemon: FakeDaemon) -> None:
    daemon.on_exec(("make",)).stdout("done\n").exit(3)
    assert run("create", "a:1", "--id", "box-1").stdout == "box-1\n"
    assert run("ls").stdout.startswith("box-1\tREADY\t")
    result = run("run", "box-1", "make")
    assert (result.exit_code, result.stdout) == (3, "done\n")
    assert run("doctor").exit_code == 0


@pytest.mark.once
def test_an_error_is_one_line(run: Run) -> None:
    result = run("show", "box-1")
    assert (result.exit_code, result.stdout) == (125, "")
    assert result.stderr == "agents-sandbox: sandbox box-1 was not found\n"


@pytest.mark.once
def test_an_error_in_json_has_its_facts(run: Run) -> None:
    (error,) = objects(run("show", "box-1", "--json").stderr)
    assert error == {
        "error": "SandboxNotFoundError",
        "message": "sandbox box-1 was not found",
        "notes": [],
        "sandbox_id": "box-1",
        "exec_id": None,
        "retryable": False,
    }


@pytest.mark.once
@pytest.mark.parametrize("arguments", [("--what",), ("ls", "--what"), ("what",), ("run", "a:1")])
def test_a_wrong_use_is_no_code_of_a_command(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 125
    assert "Usage: " in result.stderr


@pytest.mark.once
@pytest.mark.parametrize("written", ["90", "1m30s"])
def test_time_limits_reach_the_client(run: Run, daemon: FakeDaemon, written: str) -> None:
    run("ls", "--timeout", written)
    left = daemon.calls[-1].time_remaining
    assert left is not None
    assert left > 5  # the default


@pytest.mark.once
@pytest.mark.parametrize("command", ["ls", "doctor"])
@pytest.mark.parametrize("wrong", ["0", "-1", "soon"])
def test_wrong_time_limits_are_refused(run: Run, wrong: str, command: str) -> None:
    result = run("--timeout", wrong, command)
    assert result.exit_code == 125
    assert result.stderr.startswith("agents-sandbox: --timeout")
    assert "timeout_seconds" not in result.stderr


@pytest.mark.once
def test_version_and_help() -> None:
    version = CliRunner().invoke(program, ["--version"])
    assert version.stdout == f"agents-sandbox {agents_sandbox.__version__}\n"
    help_text = CliRunner().invoke(program, ["-h"]).stdout
    for name in program.commands:
        assert f"  {name} " in help_text


@pytest.mark.once
@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["re"], ["resume"]),
        (["run", ""], []),
        (["run", "--c"], ["--cwd"]),
        (["run", "a:1", "--ke"], ["--keep"]),
        (["run", "a:1", "--", ""], []),
        (["run", "--env", "A=1", "--", "make", "--"], []),
        (["--socket", "x", "run", "--ti"], ["--timeout"]),
    ],
)
def test_the_shell_completes_commands_and_options(words: list[str], completed: list[str]) -> None:
    variables = {
        "_AGENTS_SANDBOX_COMPLETE": "bash_complete",
        "COMP_WORDS": shlex.join(["agents-sandbox", *words]),
        "COMP_CWORD": str(len(words)),
    }
    result = CliRunner(env=variables).invoke(program, prog_name="agents-sandbox")
    assert result.exception is None
    assert result.stdout.split() == [f"plain,{word}" for word in completed]


@pytest.mark.once
def test_warnings_are_lines_of_the_program(
    run: Run, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warn(client: SyncAgentsSandboxClient, **options: object) -> list[object]:
        warnings.warn("sandbox box-1 may exist", SandboxLeftoverWarning, stacklevel=1)
        return []

    monkeypatch.setattr(SyncAgentsSandboxClient, "list_sandboxes", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result, in_json = run("ls"), run("ls", "--json")
    assert (result.exit_code, in_json.exit_code) == (0, 0)
    assert result.stderr == "agents-sandbox: warning: sandbox box-1 may exist\n"
    (warning,) = objects(in_json.stderr)
    assert warning["error"] == "SandboxLeftoverWarning"

    def fail(client: SyncAgentsSandboxClient, **options: object) -> list[object]:
        warn(client)
        raise ZeroDivisionError

    monkeypatch.setattr(SyncAgentsSandboxClient, "list_sandboxes", fail)
    result = run("ls")
    assert isinstance(result.exception, ZeroDivisionError)  # a fault of ours
    assert result.stderr == "agents-sandbox: warning: sandbox box-1 may exist\n"
    assert warning["message"] == "sandbox box-1 may exist"


@pytest.mark.once
@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (KeyboardInterrupt(), 130, "\nagents-sandbox: box-1 may exist\n"),
        (SystemExit(143), 143, "agents-sandbox: box-1 may exist\n"),
        (DaemonError("no"), 125, "agents-sandbox: no\nagents-sandbox: box-1 may exist\n"),
        (BrokenPipeError(errno.EPIPE, ""), 1, "agents-sandbox: warning: box-1 may exist\n"),
    ],
)
def test_what_is_left_is_shown_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, expected: str
) -> None:
    def fail(client: SyncAgentsSandboxClient, **options: object) -> None:
        warnings.warn("box-1 may exist", SandboxLeftoverWarning, stacklevel=1)
        raise error

    vars(error)["__notes__"] = ["box-1 may exist"]  # Python 3.10 has no `add_note`
    monkeypatch.setattr(SyncAgentsSandboxClient, "list_sandboxes", fail)
    result = run("ls")
    assert (result.exit_code, result.stderr) == (code, expected)


@pytest.mark.once
@pytest.mark.parametrize(
    ("error", "message"),
    [(KeyboardInterrupt(), "interrupted by Ctrl-C"), (SystemExit(143), "ended by SIGTERM")],
)
def test_interruptions_in_json_are_objects(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, message: str
) -> None:
    def fail(client: SyncAgentsSandboxClient, **options: object) -> None:
        warnings.warn("box-1 may exist", SandboxLeftoverWarning, stacklevel=1)
        raise error

    monkeypatch.setattr(SyncAgentsSandboxClient, "list_sandboxes", fail)
    (told,) = objects(run("--json", "ls").stderr)
    assert (told["message"], told["notes"]) == (message, ["box-1 may exist"])


@pytest.mark.once
def test_ctrl_c_outside_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "make_context", interrupt)
    assert CliRunner().invoke(program, ["ls"]).exit_code == 130


@pytest.mark.once
@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_there_is_a_hint(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(entry, "find_spec", lambda name: None if name == missing else name)
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 125
    assert capsys.readouterr().err == entry.HINT


def start(daemon: FakeDaemon, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    """Start the program with the test's daemon."""
    return subprocess.Popen(
        [sys.executable, "-m", "agents_sandbox", "--socket", daemon.socket_path, *arguments],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.once
def test_sigterm_leaves_nothing(daemon: FakeDaemon) -> None:
    daemon.on_exec(("server",)).stdout("listening\n").never()
    with start(daemon, "run", "a:1", "server") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"listening\n"
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    assert daemon.execs[0].exit_code == 137
    wait_until_deleted(daemon)


@pytest.mark.once
def test_sigterm_tells_what_is_left(daemon: FakeDaemon) -> None:
    daemon.on_exec(("server",)).stdout("listening\n").never()
    with (
        daemon.faults.failing("PERMISSION_DENIED", method="DeleteSandbox"),
        start(daemon, "run", "a:1", "server", PYTHONWARNINGS="error") as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
        told = process.stderr.read().decode()
    left = f"sandbox {daemon.sandboxes[0].sandbox_id} may exist, because its delete failed"
    assert told.startswith(f"agents-sandbox: {left}: delete it later: ")
    assert told.count("\n") == 1


@pytest.mark.once
def test_a_reader_that_goes_away_ends_the_command(daemon: FakeDaemon) -> None:
    told = Told()
    daemon.on_exec(("server",)).call(told)
    told.stdout("listening\n")
    with start(daemon, "run", "a:1", "server") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        told.stdout("more\n")
        assert process.wait(60) == 1
    told.exit(0)
    wait_until_deleted(daemon)


def shell(daemon: FakeDaemon, line: str, **variables: str) -> tuple[int, str]:
    """Run a line of the shell, in which $A is the program; return its code and its output."""
    program_line = f"{sys.executable} -m agents_sandbox --socket {daemon.socket_path}"
    done = subprocess.run(
        ["sh", "-c", line],
        env={**os.environ, "A": program_line, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.once
def test_streams_can_be_closed(daemon: FakeDaemon) -> None:
    seen: list[bytes] = []
    daemon.on_exec(("cat",)).call(lambda context: seen.append(context.stdin))
    assert shell(daemon, "$A create a:1 --id box-1 2>&- && $A ls >&-") == (0, "box-1\n")
    assert shell(daemon, "$A run -i box-1 cat <&-") == (0, "")
    assert seen == [b""]


@pytest.mark.once
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has it")
def test_streams_can_be_full(daemon: FakeDaemon) -> None:
    message = "input or output failed: No space left on device"
    daemon.on_exec(("make",)).stdout("done\n")
    assert shell(daemon, "$A run a:1 make >/dev/full") == (125, f"agents-sandbox: {message}\n")
    wait_until_deleted(daemon)
    code, printed = shell(daemon, "$A --json ls --all >/dev/full")
    assert (code, objects(printed)[0]["message"]) == (125, message)
    assert shell(daemon, "$A --version >/dev/full") == (125, f"agents-sandbox: {message}\n")
    assert shell(daemon, "$A show box-9 2>/dev/full") == (125, "")


@pytest.mark.once
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has it")
def test_what_cannot_be_written_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        full.write("lost")
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", full)
            drop_unwritten()


@pytest.mark.once
def test_a_stream_of_few_characters_escapes_the_others(
    daemon: FakeDaemon, client: SyncAgentsSandboxClient
) -> None:
    client.create_sandbox(image="a:1", sandbox_id="box-1", labels={"name": "日本"})
    code, printed = shell(daemon, "$A ls", PYTHONIOENCODING="latin-1")
    assert (code, printed.split("\t")[-1]) == (0, "name=\\u65e5\\u672c\n")


@pytest.fixture
def signals() -> Iterator[None]:
    """The handlers of signals are as before."""
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.once
@pytest.mark.usefixtures("signals")
def test_signals_that_were_ignored_stay_so(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def look(**_: object) -> None:
        seen.extend(map(signal.getsignal, (signal.SIGINT, signal.SIGHUP)))

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the background of a script
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    monkeypatch.setattr(program, "main", look)
    entry.main()
    assert seen == [signal.SIG_IGN, signal.SIG_IGN]


@pytest.mark.once
@pytest.mark.usefixtures("signals")
def test_one_more_ctrl_c_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "main", lambda **_: signal.raise_signal(signal.SIGINT))
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 130
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.once
@pytest.mark.usefixtures("signals")
def test_the_cursor_is_there_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(obj: Settings, **_: object) -> None:
        obj.hid_cursor = True
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "main", interrupt)
    with pytest.raises(SystemExit):
        entry.main()
    assert capsys.readouterr().err == "\x1b[?25h"
