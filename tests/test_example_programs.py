"""The programs of `examples/` do what they say, with a fake daemon at the default socket."""

from __future__ import annotations

import os
import re
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents_sandbox import AgentsSandboxClient, CopySpec
from agents_sandbox.testing import ExecContext, FakeDaemon

from .deletions import wait_until_deleted

pytestmark = [pytest.mark.once, pytest.mark.unmeasured]

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def exec_mode() -> str:
    return "scripted"


@pytest.fixture
def daemon(exec_mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    """A daemon at the default socket, on which nothing may be left."""
    (tmp_path / "agbox").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    socket_path = tmp_path / "agbox" / "agboxd.sock"
    with FakeDaemon(socket_path=socket_path, exec_mode=exec_mode) as running:  # type: ignore[arg-type]  # one of them
        yield running
        running.assert_all_scripted()
        running.assert_all_used()
        wait_until_deleted(running)
        running.assert_no_leaks(execs=True)


def start(program: str, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(EXAMPLES / program), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str], stdin: str = "") -> tuple[int, list[str], str]:
    with process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=60)
        finally:
            process.kill()  # unless it has ended
    return process.returncode, stdout.splitlines(), stderr


@pytest.mark.parametrize("exec_mode", ["passthrough"])
@pytest.mark.usefixtures("daemon")
def test_the_agent_reacts_to_what_it_sees() -> None:
    example = runpy.run_path(str(EXAMPLES / "agent_loop.py"))
    exit_code, lines, stderr = end(start("agent_loop.py"))
    assert (exit_code, stderr) == (0, "")
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    assert commands == [example["TEST"], example["FIX"], example["TEST"]]
    assert "AssertionError" in lines
    assert lines[-2:] == ["3", "3 steps, exit codes 1 0 0"]


async def test_the_agent_kills_a_command_whose_time_is_over(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    example = runpy.run_path(str(EXAMPLES / "agent_loop.py"))
    take_step = example["take_step"]
    take_step.__globals__["STEP_SECONDS"] = 1
    daemon.on_exec(("sh", "-c", "serve")).stdout("begin\n").never()
    async with AgentsSandboxClient() as client, client.sandbox(image="a:1") as sandbox:
        step = await take_step(sandbox, "serve")
    assert step == example["Step"]("serve", None, "begin\n")
    assert capsys.readouterr().out == "begin\n"
    assert [item.exit_code for item in daemon.execs] == [137]


def script_tests(daemon: FakeDaemon) -> None:
    """Two files, of which each ends only when the other one runs, and a third that fails."""
    both = threading.Barrier(2)

    def meet(context: ExecContext) -> None:
        context.write_stdout("1 ")
        both.wait(60)
        context.write_stdout("passed\n")

    daemon.on_exec(prefix=("pip", "install"))
    daemon.on_exec(prefix=("python", "-m", "pytest")).call(meet).times(2)
    daemon.on_exec(lambda argv: argv[-1] == "tests/test_c.py").stdout("1 failed").exit(1)


def project(folder: Path) -> Path:
    (folder / "project" / "tests").mkdir(parents=True)
    for letter in "abc":
        (folder / "project" / "tests" / f"test_{letter}.py").touch()
    return folder / "project"


def test_files_are_tested_in_parallel(daemon: FakeDaemon, tmp_path: Path) -> None:
    script_tests(daemon)
    exit_code, lines, stderr = end(start("parallel_tests.py", "-n", "2", project(tmp_path)))
    assert (exit_code, stderr) == (1, "")
    assert sorted(lines[:3]) == [
        "tests/test_a.py: 1 passed",
        "tests/test_b.py: 1 passed",
        "tests/test_c.py: 1 failed",
    ]
    assert lines[3:] == ["2 of 3 files passed", "failed: tests/test_c.py, exit code 1"]
    assert len(daemon.sandboxes) == 2
    for sandbox in daemon.sandboxes:
        (copy,) = sandbox.spec.copies
        assert isinstance(copy, CopySpec)
        assert (copy.source, copy.target) == (str(tmp_path / "project"), "/workspace")


def test_no_file_is_tested_where_the_installation_fails(daemon: FakeDaemon, tmp_path: Path) -> None:
    daemon.on_exec(prefix=("pip", "install")).stderr("no such file").exit(1)
    exit_code, lines, stderr = end(start("parallel_tests.py", "-n", "1", project(tmp_path)))
    assert (exit_code, lines) == (1, [])
    assert stderr.startswith("the installation failed: ")
    assert stderr.endswith("\nno such file\n")
    assert len(daemon.execs) == 1


def test_a_batch_runs_each_command_in_its_own_sandbox(daemon: FakeDaemon) -> None:
    daemon.on_exec(("sh", "-c", "make a")).stdout("a is made\n")
    daemon.on_exec(("sh", "-c", "make b")).exit(2)
    daemon.on_exec(("sh", "-c", "make c")).fail("no shell")
    exit_code, lines, stderr = end(start("blocking_batch.py"), "make a\nmake b\n\nmake c\n")
    assert (exit_code, stderr) == (1, "")
    assert sorted(lines) == [
        "make a: exit code 0: a is made",
        "make b: exit code 2: ",
        "make c: exit code None: ",
    ]
    assert len(daemon.sandboxes) == 3


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGINT, "interrupted\n"), (signal.SIGTERM, "")]
)
def test_a_signal_ends_a_batch_and_deletes(
    daemon: FakeDaemon, number: signal.Signals, said: str
) -> None:
    daemon.on_exec(("sh", "-c", "serve")).never()
    # A shell starts its background jobs with Ctrl-C disabled, and programs inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = start("blocking_batch.py", "-n", "2")
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdin is not None
    process.stdin.write("serve\n" * 5)
    process.stdin.close()
    process.stdin = None  # else communicate() would close it once more
    daemon.wait_for_call("CreateExec", count=2)
    process.send_signal(number)
    exit_code, lines, stderr = end(process)
    assert (exit_code, lines, stderr) == (128 + number, [], said)
    # The three others were never begun.
    assert len(daemon.sandboxes) == 2


def test_the_database_test_runs_with_both_dialects(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-m", "pytest", "-p", "no:cacheprovider", "-rs"),
            *("--agents-sandbox-versions=0.2.1,0.4.3", "--agents-sandbox-unscripted=fail"),
            *(f"--basetemp={tmp_path}", str(EXAMPLES / "test_with_postgres.py")),
        ],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b3 passed, 1 skipped\b", done.stdout)
    assert "companion_containers requires daemon 0.3.0 or newer" in done.stdout


def test_the_list_of_examples_is_complete() -> None:
    page = (EXAMPLES / "README.md").read_text("utf-8")
    listed = re.findall(r"^\| \[.*?\]\((.*?)\)", page, re.MULTILINE)
    there = [path.name for path in EXAMPLES.iterdir() if not path.name.startswith((".", "_"))]
    assert sorted([*listed, "README.md"]) == sorted(there)
