"""Pass-through execs: real processes in a folder per sandbox."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon, _passthrough

from .raw import TIMEOUT, Raw, connected


@pytest.fixture
def raw() -> Iterator[Raw]:
    with FakeDaemon(exec_mode="passthrough") as daemon, connected(daemon) as client:
        client.ready(envs={"BOX": "box", "BOTH": "box"})
        yield client


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Fifo]:
    with closing(Fifo(tmp_path / "fifo")) as opened:
        yield opened


class Fifo:
    """Tells when a process speaks, and when the last one that could is dead."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def close(self) -> None:
        os.close(self._fd)

    def read(self) -> bytes:
        """Wait for bytes; none are the end."""
        readable, _, _ = select.select([self._fd], [], [], TIMEOUT)
        assert readable, "nothing was heard of the process"
        return os.read(self._fd, 100)


def run(raw: Raw, *command: str, **fields: Any) -> tuple[pb.ExecStatus, str, str]:
    exec_id = raw.start(*command, **{"exec_id": "", **fields}).exec_id
    status = raw.finished(exec_id)
    logs = raw.daemon.exec_log_root / "box-1"
    return (
        status,
        (logs / f"{exec_id}.stdout.log").read_text(),
        (logs / f"{exec_id}.stderr.log").read_text(),
    )


def speak(fifo: Fifo, then: str) -> tuple[str, ...]:
    return "sh", "-c", f'exec 3>"$0"; echo hello >&3; {then}', fifo.path


def test_command_really_runs(raw: Raw) -> None:
    status, stdout, stderr = run(raw, "sh", "-c", 'echo "$0:$1"; echo err >&2', "a b", "$(c) 'd'")
    assert status.state == pb.EXEC_STATE_FINISHED
    assert (stdout, stderr) == ("a b:$(c) 'd'\n", "err\n")


@pytest.mark.parametrize(
    ("command", "exit_code"),
    [(("sh", "-c", "exit 3"), 3), (("sh", "-c", "kill -9 $$"), 137), (("no-such-program",), 127)],
)
def test_exit_codes(raw: Raw, command: tuple[str, ...], exit_code: int) -> None:
    status, _, stderr = run(raw, *command)
    assert status.state == pb.EXEC_STATE_FAILED
    assert status.exit_code == exit_code
    assert status.error == f"docker exec failed: exit code {exit_code}"
    assert ("not found" in stderr) == (exit_code == 127)


def test_environment_is_small_and_overridden_key_by_key(
    raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_SECRET", "1")
    _, stdout, _ = run(raw, "env", env_overrides={"BOTH": "exec", "EXEC": ""})
    seen = set(stdout.splitlines())
    assert {"BOX=box", "BOTH=exec", "EXEC=", f"HOST_UID={os.getuid()}"} <= seen
    assert f"PATH={os.environ['PATH']}" in seen
    assert "HOST_SECRET=1" not in seen


@pytest.mark.parametrize("cwd", ["", "/workspace", "/workspace/", "/workspace/../workspace"])
def test_workspace_is_a_folder_of_the_sandbox(raw: Raw, cwd: str) -> None:
    _, workspace, _ = run(raw, "pwd", "-P")
    _, stdout, _ = run(raw, "pwd", "-P", cwd=cwd)
    assert stdout == workspace
    raw.ready("box-2")
    raw.start("sh", "-c", "pwd -P >&2", sandbox_id="box-2", exec_id="other")
    raw.finished("other", "box-2")
    other = raw.daemon.exec_log_root / "box-2" / "other.stderr.log"
    assert other.read_text() not in ("", workspace)


def test_cwd_inside_and_outside_of_the_workspace(raw: Raw, tmp_path: Path) -> None:
    run(raw, "mkdir", "sub")
    _, stdout, _ = run(raw, "pwd", "-P", cwd="/workspace/sub")
    assert stdout.endswith("/sub\n")
    _, stdout, _ = run(raw, "pwd", "-P", cwd=str(tmp_path))
    assert stdout == f"{tmp_path.resolve()}\n"


@pytest.mark.parametrize("cwd", ["/workspace/none", "/no/such", "/workspacex"])
def test_missing_cwd(raw: Raw, cwd: str) -> None:
    answer = raw.start("true", cwd=cwd)
    status = raw.finished()
    assert (status.state, status.exit_code) == (pb.EXEC_STATE_FAILED, 0)
    assert f'chdir to cwd ("{cwd}")' in status.error
    assert not Path(answer.stdout_log_path).exists()


@pytest.mark.parametrize(
    "fields", [{"command": ["a\0b"]}, {"command": ["true", "x" * 1_000_000]}], ids=["nul", "long"]
)
def test_what_the_system_refuses_to_start(raw: Raw, fields: dict[str, Any]) -> None:
    raw.start(**fields)
    status = raw.finished()
    assert (status.state, status.exit_code) == (pb.EXEC_STATE_FAILED, 0)
    assert status.error


def test_workspace_survives_a_stop_but_no_delete(raw: Raw) -> None:
    run(raw, "sh", "-c", "echo kept > file")
    _, workspace, _ = run(raw, "pwd", "-P")
    raw(methods.STOP_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_STOPPED)
    raw(methods.RESUME_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_READY, count=2)
    assert run(raw, "cat", "file")[1] == "kept\n"
    raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED)
    assert not Path(workspace.strip()).exists()


def test_sandbox_that_ran_nothing_is_deleted(raw: Raw) -> None:
    raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED)
    assert raw.get().state == pb.SANDBOX_STATE_DELETED


def test_cancel_leaves_the_process_running(raw: Raw, fifo: Fifo) -> None:
    raw.start(*speak(fifo, 'while [ ! -e go ]; do sleep 0.01; done; echo "still here" >&3'))
    assert fifo.read() == b"hello\n"
    raw(methods.CANCEL_EXEC, exec_id="exec-1")
    assert raw.exec().state == pb.EXEC_STATE_CANCELLED
    run(raw, "touch", "go")
    assert fifo.read() == b"still here\n"
    assert fifo.read() == b""
    assert raw.exec().state == pb.EXEC_STATE_CANCELLED


@pytest.mark.parametrize(
    ("method", "last"),
    [
        (methods.STOP_SANDBOX, pb.SANDBOX_STOPPED),
        (methods.DELETE_SANDBOX, pb.SANDBOX_DELETED),
    ],
    ids=["stop", "delete"],
)
def test_whole_process_group_is_killed(
    raw: Raw, fifo: Fifo, method: methods.Method[Any, Any], last: pb.EventType
) -> None:
    raw.start(*speak(fifo, "sleep 3600 & sleep 3600"))
    assert fifo.read() == b"hello\n"
    raw(method, sandbox_id="box-1")
    raw.wait_for(last)
    assert fifo.read() == b""
    assert raw.exec().exit_code == 137


def test_process_left_behind_is_killed(raw: Raw, fifo: Fifo) -> None:
    raw.start(*speak(fifo, "sleep 3600 &"))
    assert raw.finished().state == pb.EXEC_STATE_FINISHED
    assert fifo.read() == b"hello\n"
    raw(methods.STOP_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_STOPPED)
    assert fifo.read() == b""


@pytest.mark.parametrize("cancelled", [False, True])
def test_stop_of_the_daemon_kills_everything(fifo: Fifo, cancelled: bool) -> None:
    with FakeDaemon(exec_mode="passthrough") as daemon, connected(daemon) as raw:
        raw.ready()
        raw.start(*speak(fifo, "sleep 3600 & sleep 3600"))
        assert fifo.read() == b"hello\n"
        if cancelled:
            raw(methods.CANCEL_EXEC, exec_id="exec-1")
    assert fifo.read() == b""


def test_process_of_another_user_holds_up_nothing(
    fifo: Fifo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_ours(*_: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "killpg", not_ours)
        patch.setattr(_passthrough, "_PATIENCE", 0)
        with FakeDaemon(exec_mode="passthrough") as daemon, connected(daemon) as raw:
            raw.ready()
            raw.start(*speak(fifo, "echo $$ >&3; exec sleep 3600"))
            said = fifo.read()
            while said.count(b"\n") < 2:
                said += fifo.read()
            raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
            raw.wait_for(pb.SANDBOX_DELETED)
    pid = int(said.split()[1])
    (watcher,) = (t for t in threading.enumerate() if t.name == f"fake-agboxd-exec-{pid}")
    os.kill(pid, signal.SIGKILL)
    assert fifo.read() == b""
    # It finds nobody to tell any more; what it raises would fail the test.
    watcher.join(TIMEOUT)
    assert not watcher.is_alive()


def test_reused_process_number_is_left_alone(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    run(raw, "true")
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda *_: None)
    monkeypatch.setattr(os, "killpg", lambda group, _: killed.append(group))
    raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED)
    assert killed == []


def test_process_number_of_another_user_is_left_alone(
    raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_ours(*_: object) -> None:
        raise PermissionError

    run(raw, "true")
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", not_ours)
    monkeypatch.setattr(os, "killpg", lambda group, _: killed.append(group))
    raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED)
    assert killed == []


def test_scripts_are_refused(raw: Raw) -> None:
    with pytest.raises(RuntimeError, match="needs exec_mode='scripted'"):
        raw.daemon.on_exec(["true"])
