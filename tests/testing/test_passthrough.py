"""Pass-through execs: real processes in one folder for each sandbox."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._commands import passthrough, real, strays

from .fifo import Fifo
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


def run(raw: Raw, *command: str, **fields: Any) -> tuple[pb.ExecStatus, str, str]:
    exec_id = raw.start(*command, **{"exec_id": "", **fields}).exec_id
    status = raw.finished(exec_id)
    logs = raw.daemon.exec_log_root / "box-1"
    return (
        status,
        (logs / f"{exec_id}.stdout.log").read_text(),
        (logs / f"{exec_id}.stderr.log").read_text(),
    )


def hello_then(fifo: Fifo, then: str) -> tuple[str, ...]:
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
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    assert "TMPDIR=/var/tmp" in run(raw, "env")[1].splitlines()
    monkeypatch.delenv("TMPDIR")
    assert "TMPDIR" not in run(raw, "env")[1]


def test_an_equals_sign_ends_the_name_of_a_variable(raw: Raw) -> None:
    raw.ready("box-2", envs={"A=B": "C"})
    answer = raw.start("env", sandbox_id="box-2", exec_id="", env_overrides={"D=E": "F=G"})
    raw.finished(answer.exec_id, "box-2")
    seen = Path(answer.stdout_log_path).read_text().splitlines()
    assert {"A=B=C", "D=E=F=G"} <= set(seen)


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


MISSING = "no such file or directory: unknown"
NO_FOLDER = (
    "not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? "
    "Check if the specified host path exists and is the expected type"
)


@pytest.mark.parametrize(
    ("cwd", "why"),
    [
        ("/workspace/none", MISSING),
        ("/no/such", MISSING),
        ("/workspacex", MISSING),
        ("/workspace/file", NO_FOLDER),
        ("/workspace/file/x", NO_FOLDER),
    ],
)
def test_cwd_that_cannot_be_entered(raw: Raw, cwd: str, why: str) -> None:
    run(raw, "touch", "file")
    answer = raw.start("true", cwd=cwd)
    status = raw.finished()
    assert (status.state, status.exit_code) == (pb.EXEC_STATE_FAILED, 0)
    assert status.error == (
        "Error response from daemon: OCI runtime exec failed: exec failed: unable to start "
        f'container process: chdir to cwd ("{cwd}") set in config.json failed: {why}'
    )
    assert not Path(answer.stdout_log_path).exists()


def test_a_command_leads_a_group_that_another_one_can_kill(raw: Raw, fifo: Fifo) -> None:
    raw.start(*hello_then(fifo, "echo $$ $(ps -o pgid=,sid= $$) >&3; sleep 3600 & wait"))
    written = fifo.read()
    while written.count(b"\n") < 2:
        written += fifo.read()
    pid, pgid, sid = map(int, written.split()[1:])
    assert pid == pgid == sid
    status, _, _ = run(raw, "sh", "-c", f"kill -KILL -{pid}")
    assert status.exit_code == 0
    killed = raw.finished()
    assert (killed.state, killed.exit_code) == (pb.EXEC_STATE_FAILED, 137)
    assert killed.error == "docker exec failed: exit code 137"
    assert fifo.read() == b""


@pytest.mark.parametrize(
    "fields",
    [{"command": ["a\0b"]}, {"command": ["true", *["x" * 100_000] * 30]}],
    ids=["nul", "long"],
)
def test_command_that_the_system_refuses_to_start(raw: Raw, fields: dict[str, Any]) -> None:
    answer = raw.start(**fields)
    status = raw.finished()
    assert (status.state, status.exit_code) == (pb.EXEC_STATE_FAILED, 0)
    assert status.error
    assert list(Path(answer.stdout_log_path).parent.iterdir()) == []


def test_workspace_survives_a_stop_but_not_a_delete(raw: Raw) -> None:
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
    raw.start(*hello_then(fifo, 'while [ ! -e go ]; do sleep 0.01; done; echo "still here" >&3'))
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
    raw.start(*hello_then(fifo, "sleep 3600 & sleep 3600"))
    assert fifo.read() == b"hello\n"
    raw(method, sandbox_id="box-1")
    raw.wait_for(last)
    assert fifo.read() == b""
    assert raw.exec().exit_code == 137


def test_process_left_behind_is_killed(raw: Raw, fifo: Fifo) -> None:
    # Only its process group shows whose it is: `env -i` removes the mark.
    job = 'env -i sh -c "echo \\$$ >&3; exec sleep 3600"'
    raw.start("sh", "-c", f"{job} 3>{fifo.path} &")
    assert raw.finished().state == pb.EXEC_STATE_FINISHED
    assert int(fifo.read()) > 0
    raw(methods.STOP_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_STOPPED)
    assert fifo.read() == b""


@pytest.mark.parametrize("cancelled", [False, True])
def test_stop_of_the_daemon_kills_everything(fifo: Fifo, cancelled: bool) -> None:
    with FakeDaemon(exec_mode="passthrough") as daemon, connected(daemon) as raw:
        raw.ready()
        raw.start(*hello_then(fifo, "sleep 3600 & sleep 3600"))
        assert fifo.read() == b"hello\n"
        if cancelled:
            raw(methods.CANCEL_EXEC, exec_id="exec-1")
    assert fifo.read() == b""


def test_process_of_another_user_does_not_block_a_delete(
    fifo: Fifo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_ours(*_: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "killpg", not_ours)
        patch.setattr(os, "kill", not_ours)
        patch.setattr(real, "_KILL_TIMEOUT", 0)
        with FakeDaemon(exec_mode="passthrough") as daemon, connected(daemon) as raw:
            raw.ready()
            raw.start(*hello_then(fifo, "echo $$ >&3; exec sleep 3600"))
            written = fifo.read()
            while written.count(b"\n") < 2:
                written += fifo.read()
            raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
            raw.wait_for(pb.SANDBOX_DELETED)
    pid = int(written.split()[1])
    (watcher,) = (t for t in threading.enumerate() if t.name == f"fake-agboxd-exec-{pid}")
    os.kill(pid, signal.SIGKILL)
    assert fifo.read() == b""
    # It cannot deliver its result; an error in its thread would fail the test.
    watcher.join(TIMEOUT)
    assert not watcher.is_alive()


@pytest.mark.parametrize("error", [None, PermissionError])
def test_reused_process_number_is_left_alone(
    raw: Raw, fifo: Fifo, monkeypatch: pytest.MonkeyPatch, error: type[OSError] | None
) -> None:
    raw.start(*hello_then(fifo, "sleep 3600 &"))
    raw.finished()
    assert fifo.read() == b"hello\n"
    killed: list[int] = []

    def exists(_: int, number: int) -> None:
        if number == 0 and error:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", exists)
        patch.setattr(os, "killpg", lambda group, _: killed.append(group))
        raw(methods.STOP_SANDBOX, sandbox_id="box-1")
        raw.wait_for(pb.SANDBOX_STOPPED)
    assert killed == []


def test_process_that_left_its_group_is_found_and_killed(raw: Raw, fifo: Fifo) -> None:
    raw.start("sh", "-c", f"setsid sh -c 'echo $0 >&3; exec sleep 3600' 3>{fifo.path} & exit 0")
    assert raw.finished().exit_code == 0
    assert fifo.read() == b"sh\n"
    (left,) = raw.daemon._runner.running()
    assert left.startswith("exec exec-1 in sandbox box-1: (")
    raw.ready("box-2")
    raw.start("true", sandbox_id="box-2", exec_id="other")
    raw.finished("other", "box-2")
    raw(methods.DELETE_SANDBOX, sandbox_id="box-2")
    raw.wait_for(pb.SANDBOX_DELETED, "box-2")
    assert len(raw.daemon._runner.running()) == 1
    raw(methods.STOP_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_STOPPED)
    assert fifo.read() == b""
    assert raw.daemon._runner.running() == []


def test_running_lists_processes_of_cancelled_execs(raw: Raw, fifo: Fifo) -> None:
    assert raw.daemon._runner.running() == []
    command = hello_then(fifo, "sleep 3600")
    raw.start(*command)
    assert fifo.read() == b"hello\n"
    raw(methods.CANCEL_EXEC, exec_id="exec-1")
    run(raw, "true")
    assert raw.daemon._runner.running() == [f"exec exec-1 in sandbox box-1: {command!r}"]
    raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED)
    assert raw.daemon._runner.running() == []
    assert fifo.read() == b""


def fixtures(folder: Path) -> Path:
    """Files like those of the recordings."""
    for name, text in {
        "dir/hello.txt": "hello-from-mount\n",
        "tree/a.txt": "a",
        "tree/sub/b.log": "b",
        "tree/node_modules/x.js": "x",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_mounts_and_copies_as_recorded(raw: Raw, tmp_path: Path) -> None:
    source = fixtures(tmp_path)
    raw.ready(
        "full",
        mounts=[
            pb.MountSpec(source=f"{source}/dir", target="/mnt/ro"),
            pb.MountSpec(source=f"{source}/dir", target="/mnt/rw", writable=True),
        ],
        copies=[
            pb.CopySpec(
                source=f"{source}/tree",
                target="/workspace",
                exclude_patterns=["node_modules", "*.log"],
            )
        ],
        envs={"FOO": "bar", "EMPTY": "", "WHERE": "/mnt/ro:/usr"},
    )
    script = (
        "env | grep -E '^(FOO|EMPTY)=' | sort; cd /workspace; find . | sort; "
        "cat /mnt/ro/hello.txt; touch /mnt/rw/x && rm /mnt/rw/x && echo rw-ok; "
        "touch /mnt/ro/x; touch ~/x; ls ${WHERE%:*}/hello.txt > /dev/null && echo env-ok"
    )
    answer = raw.start("sh", "-c", script, sandbox_id="full")
    assert raw.finished("exec-1", "full").exit_code == 0
    assert Path(answer.stdout_log_path).read_text() == (
        "EMPTY=\nFOO=bar\n.\n./a.txt\n./sub\nhello-from-mount\nrw-ok\nenv-ok\n"
    )
    assert sorted(path.name for path in (source / "dir").iterdir()) == ["hello.txt"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("cat", "/home/agbox/data/hello.txt"), "hello-from-mount\n"),
        (
            ("sh", "-c", "ls -A /workspace; cat /mnt/y/hello.txt"),
            "a.txt\nsub\nhello-from-mount\n",
        ),
        (("sh", "-c", 'cat "$MNT"/hello.txt'), "hello-from-mount\n"),
        (("sh", "-c", "cat ~/data/hello.txt"), "hello-from-mount\n"),
    ],
)
def test_absolute_paths_as_recorded(
    raw: Raw, tmp_path: Path, command: tuple[str, ...], expected: str
) -> None:
    source = fixtures(tmp_path)
    raw.ready(
        "paths",
        mounts=[
            pb.MountSpec(source=f"{source}/dir", target="/mnt/y"),
            pb.MountSpec(source=f"{source}/dir", target="/home/agbox/data"),
        ],
        copies=[
            pb.CopySpec(
                source=f"{source}/tree", target="/workspace", exclude_patterns=["node_modules"]
            )
        ],
    )
    answer = raw.start(*command, sandbox_id="paths", env_overrides={"MNT": "/mnt/y"})
    assert raw.finished("exec-1", "paths").exit_code == 0
    assert Path(answer.stdout_log_path).read_text() == expected


def test_files_survive_a_stop_and_the_hosts_survive_a_delete(raw: Raw, tmp_path: Path) -> None:
    source = fixtures(tmp_path) / "dir"
    mounts = [
        pb.MountSpec(source=str(source), target="/mnt/rw", writable=True),
        pb.MountSpec(source=str(source), target="/mnt/ro"),
    ]
    raw.ready("cycle", mounts=mounts)

    def output(exec_id: str, *command: str) -> str:
        answer = raw.start(*command, sandbox_id="cycle", exec_id=exec_id)
        raw.finished(exec_id, "cycle")
        return Path(answer.stdout_log_path).read_text()

    output("exec-1", "sh", "-c", "echo kept > /workspace/f; ln -s /mnt/rw /workspace/link")
    raw(methods.STOP_SANDBOX, sandbox_id="cycle")
    raw.wait_for(pb.SANDBOX_STOPPED, "cycle")
    raw(methods.RESUME_SANDBOX, sandbox_id="cycle")
    raw.wait_for(pb.SANDBOX_READY, "cycle", count=2)
    assert output("exec-2", "cat", "/workspace/f") == "kept\n"
    folder = Path(output("exec-3", "sh", "-c", "echo /workspace").strip()).parent
    assert folder.is_dir()
    raw(methods.DELETE_SANDBOX, sandbox_id="cycle")
    raw.wait_for(pb.SANDBOX_DELETED, "cycle")
    assert not folder.exists()
    assert (source / "hello.txt").read_text() == "hello-from-mount\n"


def test_mount_inside_a_writable_mount_fails_the_create(raw: Raw, tmp_path: Path) -> None:
    outer = fixtures(tmp_path)
    mounts = [
        pb.MountSpec(source=f"{outer}/tree", target="/mnt", writable=True),
        pb.MountSpec(source=f"{outer}/dir", target="/mnt/inner"),
    ]
    raw.create("bad-box", mounts=mounts)
    raw.wait_for(pb.SANDBOX_FAILED, "bad-box")
    failed = raw.get("bad-box")
    assert failed.error_code == "SANDBOX_CREATE_FAILED"
    assert failed.error_message.startswith("target '/mnt/inner' is in a writable mount")
    assert not (outer / "tree" / "inner").exists()


def test_source_that_counts_as_existing_is_an_empty_folder() -> None:
    with (
        FakeDaemon(exec_mode="passthrough", host_paths=["/srv/data"]) as daemon,
        connected(daemon) as raw,
    ):
        raw.ready(
            mounts=[pb.MountSpec(source="/srv/data", target="/data", writable=True)],
            copies=[pb.CopySpec(source="/srv/data", target="/opt")],
        )
        _, stdout, _ = run(raw, "sh", "-c", "touch /data/x; ls -A /data /opt | wc -l")
        assert stdout.split() == ["4"]


def test_child_forked_during_a_kill_is_killed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stray(pid: int) -> strays.Stray:
        return strays.Stray(pid, "box-1", "exec-1", ())

    # A killed process is visible until it is reaped.
    sightings = iter([[stray(1001)], [stray(1001), stray(1002)], [stray(1001), stray(1002)]])
    killed: list[int] = []
    monkeypatch.setattr(strays, "find_strays", lambda _: next(sightings))
    monkeypatch.setattr(os, "kill", lambda pid, _: killed.append(pid))
    strays.kill_strays(tmp_path)
    assert killed == [1001, 1002]


def test_command_that_cannot_be_waited_for_is_killed(
    raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(passthrough, "in_thread", refuse)
    status, _, _ = run(raw, "sleep", "60")
    assert status.state == pb.EXEC_STATE_FAILED
    assert "can't create new thread" in status.error
    raw.daemon.assert_no_leaks()


def test_command_that_is_about_to_start_is_left_behind(
    raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    async def never(*_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(passthrough.PassThroughRunner, "start", never)
    raw.start("true")
    assert begun.wait(TIMEOUT)
    with pytest.raises(AssertionError, match=r"left behind:\n  exec exec-1 in sandbox box-1"):
        raw.daemon.assert_no_leaks()
    raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED)
    raw.daemon.assert_no_leaks()
