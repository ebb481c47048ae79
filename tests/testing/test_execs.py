"""Execs: accepted, scripted, cancelled, killed; and their log files."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .raw import Raw, Refusal, connected, name


def outcome(status: pb.ExecStatus) -> tuple[str, int, str]:
    state = pb.ExecState.Name(status.state).removeprefix("EXEC_STATE_")
    return state, status.exit_code, status.error


def output(answer: Any) -> tuple[str, str]:
    return Path(answer.stdout_log_path).read_text(), Path(answer.stderr_log_path).read_text()


def logs_of(answer: Any) -> set[str]:
    """The names of all logs in the folder of an exec's."""
    return {path.name for path in Path(answer.stdout_log_path).parent.iterdir()}


def not_ready(raw: Raw) -> None:
    assert raw.refused(methods.CREATE_EXEC, sandbox_id="box-1", command=["true"]) == Refusal(
        "FAILED_PRECONDITION",
        "sandbox box-1 is not ready",
        "SANDBOX_NOT_READY",
        "agents-sandbox",
        {"sandbox_id": "box-1"},
    )


def test_unscripted_exec_prints_nothing_and_exits_with_0(raw: Raw) -> None:
    raw.ready()
    answer = raw.start("true", cwd="/x", env_overrides={"A": "1"})

    folder = raw.daemon.exec_log_root / "box-1"
    assert answer.exec_id == "exec-1"
    assert answer.stdout_log_path == str(folder / "exec-1.stdout.log")
    assert answer.stderr_log_path == str(folder / "exec-1.stderr.log")
    assert raw.finished() == pb.ExecStatus(
        exec_id="exec-1",
        sandbox_id="box-1",
        state=pb.EXEC_STATE_FINISHED,
        command=["true"],
        cwd="/x",
        env_overrides={"A": "1"},
        last_event_sequence=5,
    )
    assert output(answer) == ("", "")
    started, ended = raw.wait_for(pb.EXEC_FINISHED)[3:]
    assert started.exec == pb.ExecEventDetails(exec_id="exec-1", exec_state=pb.EXEC_STATE_RUNNING)
    assert ended.exec == pb.ExecEventDetails(exec_id="exec-1", exec_state=pb.EXEC_STATE_FINISHED)
    assert not started.sandbox_state
    assert not ended.sandbox_state


def test_script_determines_output_and_exit_code(raw: Raw) -> None:
    raw.ready()
    script = raw.daemon.on_exec(["make", "all"])
    chained = script.stdout("caf\u00e9 ").stdout(b"\xff").stderr("oops").after(0.001).exit(3)
    assert chained is script
    answer = raw.start("make", "all")

    assert outcome(raw.finished()) == ("FAILED", 3, "docker exec failed: exit code 3")
    assert Path(answer.stdout_log_path).read_bytes() == b"caf\xc3\xa9 \xff"
    assert Path(answer.stderr_log_path).read_text() == "oops"
    (event,) = raw.wait_for(pb.EXEC_FAILED)[4:]
    assert event.exec == pb.ExecEventDetails(
        exec_id="exec-1",
        exit_code=3,
        exec_state=pb.EXEC_STATE_FAILED,
        error_code="EXEC_RUN_FAILED",
        error_message="docker exec failed: exit code 3",
    )


def test_script_can_fail_the_start(raw: Raw) -> None:
    raw.ready()
    why = "Error response from daemon: unable to find user nobody2: no matching entries"
    raw.daemon.on_exec(["make"]).fail(why)
    answer = raw.start("make")
    assert outcome(raw.finished()) == ("FAILED", 0, why)
    assert not Path(answer.stdout_log_path).exists()
    assert not Path(answer.stderr_log_path).exists()
    (event,) = raw.wait_for(pb.EXEC_FAILED)[4:]
    assert (event.exec.error_code, event.exec.error_message) == ("EXEC_RUN_FAILED", why)


def test_last_matching_script_applies(raw: Raw) -> None:
    raw.ready()
    raw.daemon.on_exec(lambda argv: argv[0] == "ls").exit(1)
    raw.daemon.on_exec(["ls", "-l"]).exit(2)
    raw.daemon.on_exec(("true",)).exit(3)

    def exit_code(exec_id: str, *command: str) -> int:
        raw.start(*command, exec_id=exec_id)
        return int(raw.finished(exec_id).exit_code)

    assert exit_code("exec-1", "ls") == 1
    assert exit_code("exec-2", "ls", "-l") == 2
    assert exit_code("exec-3", "true") == 3
    assert exit_code("exec-4", "false") == 0


@pytest.mark.parametrize("error", [ZeroDivisionError(), pytest.fail.Exception("no")])
def test_broken_match_function_matches_nothing_and_fails_the_test(error: BaseException) -> None:
    def broken(_: Sequence[str]) -> bool:
        raise error

    daemon = FakeDaemon()
    with pytest.raises(type(error)) as caught, daemon, connected(daemon) as raw:
        raw.ready()
        daemon.on_exec(["ls"]).exit(3)
        daemon.on_exec(broken).exit(4)
        raw.start("ls")
        assert outcome(raw.finished()) == ("FAILED", 3, "docker exec failed: exit code 3")
        raw.start("true", exec_id="exec-2")
        assert outcome(raw.finished("exec-2")) == ("FINISHED", 0, "")
    assert caught.value is error
    daemon.stop()  # does not raise it again


def test_log_folder_is_private_and_exists_before_the_files(raw: Raw) -> None:
    raw.ready()
    assert (raw.daemon.exec_log_root / "box-1").is_dir()
    raw.daemon.on_exec(["sleep"]).stdout("early").never()
    with raw.daemon.paused() as pause:
        answer = raw.start("sleep")
        stdout = Path(answer.stdout_log_path)
        assert stat.S_IMODE(stdout.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(stdout.parent.parent.stat().st_mode) == 0o700
        assert not stdout.exists()
        pause.step()
        assert output(answer) == ("early", "")
        assert stat.S_IMODE(stdout.stat().st_mode) == 0o644
        assert raw.exec().state == pb.EXEC_STATE_RUNNING
    raw(methods.CANCEL_EXEC, exec_id="exec-1")


def test_logs_are_in_exec_log_root_and_survive_the_daemon(tmp_path: Path) -> None:
    root = tmp_path / "some" / "logs"
    with FakeDaemon(exec_log_root=root) as daemon, connected(daemon) as raw:
        daemon.on_exec(["echo"]).stdout("kept")
        raw.ready()
        raw.start("echo")
        raw.finished()
        raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
        raw.wait_for(pb.SANDBOX_DELETED)
    assert (root / "box-1" / "exec-1.stdout.log").read_text() == "kept"


def test_log_folder_that_cannot_be_made_refuses_the_exec(tmp_path: Path) -> None:
    root = tmp_path / "logs"
    with FakeDaemon(exec_log_root=root) as daemon, connected(daemon) as raw:
        raw.ready()
        shutil.rmtree(root)
        root.touch()
        refused = raw.refused(methods.CREATE_EXEC, sandbox_id="box-1", command=["true"])
    assert refused.code == "FAILED_PRECONDITION"
    assert refused.message.startswith("prepare exec artifact output: ")
    assert refused.reason is None


def test_log_file_that_cannot_be_made_fails_the_exec(raw: Raw) -> None:
    raw.ready()
    with raw.daemon.paused():
        answer = raw.start()
        Path(answer.stdout_log_path).symlink_to("elsewhere")
    state, exit_code, error = outcome(raw.finished())
    assert (state, exit_code) == ("FAILED", 0)
    assert "exec-1.stdout.log" in error


def test_relative_cwd_fails_the_exec(raw: Raw) -> None:
    raw.ready()
    answer = raw.start(cwd="src")

    why = (
        "Error response from daemon: OCI runtime exec failed: exec failed: "
        "Cwd must be an absolute path: unknown"
    )
    assert outcome(raw.finished()) == ("FAILED", 0, why)
    assert not Path(answer.stdout_log_path).exists()


@pytest.mark.parametrize("mode", ["scripted", "passthrough"])
def test_longest_argument(mode: Literal["scripted", "passthrough"]) -> None:
    with FakeDaemon(exec_mode=mode) as daemon, connected(daemon) as raw:
        raw.ready()
        raw.start("true", "x" * 131_071)
        assert outcome(raw.finished()) == ("FINISHED", 0, "")
        answer = raw.start("true", "\u00e9" * 65_536, exec_id="exec-2")
        why = "docker exec failed: exit code 1"
        assert outcome(raw.finished("exec-2")) == ("FAILED", 1, why)
        assert logs_of(answer) == {"exec-1.stdout.log", "exec-1.stderr.log"}


def test_hook_that_is_too_long_fails_the_create() -> None:
    check = pb.HealthcheckConfig(test=["CMD", "true"])
    hooks = {"healthcheck": check, "post_start_on_primary": ["x" * 131_072]}
    with FakeDaemon(version="0.2.1", virtual_time=True) as daemon, connected(daemon) as raw:
        raw.create(required_services=[{"name": "db", "image": "redis:7", **hooks}])
        daemon.advance(60)  # longer than any wait for health
        assert raw.get().error_message == "docker exec failed: exit code 1"


@pytest.mark.parametrize("mode", ["scripted", "passthrough"])
def test_a_delete_removes_the_logs_of_running_execs_only(
    mode: Literal["scripted", "passthrough"],
) -> None:
    with FakeDaemon(exec_mode=mode) as daemon, connected(daemon) as raw:
        daemon.on_exec(["scripted"]).stdout("x").never()
        raw.ready()
        raw.start("true", exec_id="ended")
        raw.finished("ended")
        answer = raw.start("scripted")
        if mode == "passthrough":
            raw.start("sleep", "3600", exec_id="exec-2")
        raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
        raw.wait_for(pb.SANDBOX_DELETED)
        assert raw.exec().exit_code == 137
        assert logs_of(answer) == {"ended.stdout.log", "ended.stderr.log"}


def test_an_exec_that_has_not_started_at_a_delete_has_no_exit_code(raw: Raw) -> None:
    raw.ready()
    with raw.daemon.paused():
        answer = raw.start()
        raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED)
    assert raw.history()[3:] == [
        "EXEC_STARTED",
        "SANDBOX_DELETE_REQUESTED:DELETING",
        "EXEC_FAILED",
        "SANDBOX_DELETED:DELETED",
    ]
    why = "Error response from daemon: No such container: agbox-primary-box-1"
    assert outcome(raw.exec()) == ("FAILED", 0, why)
    assert logs_of(answer) == set()


def test_checks_are_made_in_order(raw: Raw) -> None:
    def refused(**fields: Any) -> str:
        request = {"sandbox_id": "box-1", **fields}
        return raw.refused(methods.CREATE_EXEC, **request).message

    with raw.daemon.paused():
        raw.create()
        assert refused(sandbox_id="ghost", exec_id="x") == "sandbox ghost was not found"
        assert refused(exec_id="x") == "sandbox box-1 is not ready"
    raw.wait_for(pb.SANDBOX_READY)
    raw.start(exec_id="taken")
    assert refused(exec_id="x") == "command must not be empty"
    assert refused(command=["true"], exec_id="x") == "exec_id must be at least 4 characters"
    assert refused(command=["true"], exec_id="a.bc").startswith("exec_id must be 4-200 characters")
    taken = raw.refused(methods.CREATE_EXEC, sandbox_id="box-1", command=["true"], exec_id="taken")
    assert taken == Refusal(
        "ALREADY_EXISTS",
        "exec_id taken already exists",
        "EXEC_ID_ALREADY_EXISTS",
        "agents-sandbox",
        {"exec_id": "taken"},
    )
    assert len(raw.start(exec_id="").exec_id) == 36


def test_exec_id_can_equal_a_sandbox_id_and_a_refusal_does_not_take_it(raw: Raw) -> None:
    with raw.daemon.paused():
        raw.create()
        not_ready(raw)
    raw.wait_for(pb.SANDBOX_READY)
    assert raw.start(exec_id="box-1").exec_id == "box-1"


def test_only_a_ready_sandbox_accepts_execs(raw: Raw) -> None:
    raw.ready()
    raw(methods.STOP_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_STOPPED)
    not_ready(raw)
    with raw.daemon.paused():
        raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
        not_ready(raw)
    raw.wait_for(pb.SANDBOX_DELETED)
    not_ready(raw)


def test_exec_cancelled_before_its_start_never_starts(raw: Raw) -> None:
    raw.ready()
    with raw.daemon.paused():
        answer = raw.start()
        assert raw(methods.CANCEL_EXEC, exec_id="exec-1").accepted
        assert outcome(raw.exec()) == ("CANCELLED", 0, "")
    raw.start(exec_id="later")
    raw.finished("later")

    assert not Path(answer.stdout_log_path).exists()
    cancelled = raw.wait_for(pb.EXEC_CANCELLED)[-1]
    assert cancelled.exec == pb.ExecEventDetails(
        exec_id="exec-1", exec_state=pb.EXEC_STATE_CANCELLED
    )


@pytest.mark.parametrize("cwd", ["", "relative"])
def test_cancelled_exec_does_not_end_again(raw: Raw, cwd: str) -> None:
    raw.ready()
    with raw.daemon.paused() as pause:
        raw.start(cwd=cwd)
        pause.step()
        raw(methods.CANCEL_EXEC, exec_id="exec-1")
    raw.start(exec_id="later")
    raw.finished("later")

    names = [name(event) for event in raw.wait_for(pb.EXEC_FINISHED)]
    assert names[3:] == ["EXEC_STARTED", "EXEC_CANCELLED", "EXEC_STARTED", "EXEC_FINISHED"]
    assert raw.refused(methods.CANCEL_EXEC, exec_id="exec-1") == Refusal(
        "FAILED_PRECONDITION",
        "exec exec-1 is already terminal",
        "EXEC_ALREADY_TERMINAL",
        "agents-sandbox",
        {"exec_id": "exec-1"},
    )


@pytest.mark.parametrize("method", [methods.GET_EXEC, methods.CANCEL_EXEC])
@pytest.mark.parametrize("exec_id", ["ghost", ""])
def test_unknown_exec(raw: Raw, method: methods.Method[Any, Any], exec_id: str) -> None:
    assert raw.refused(method, exec_id=exec_id) == Refusal(
        "NOT_FOUND",
        f"exec {exec_id} was not found",
        "EXEC_NOT_FOUND",
        "agents-sandbox",
        {"exec_id": exec_id},
    )


def test_active_execs_are_sorted_by_id_over_all_sandboxes(raw: Raw) -> None:
    raw.ready("box-1")
    raw.ready("box-2")
    raw.daemon.on_exec(["sleep"]).never()
    raw.start("sleep", sandbox_id="box-2", exec_id="exec-b")
    raw.start("sleep", exec_id="exec-c")
    raw.start("sleep", exec_id="exec-a")
    raw.start("true", exec_id="done")
    raw.finished("done")

    def active(**fields: Any) -> list[str]:
        return [item.exec_id for item in raw(methods.LIST_ACTIVE_EXECS, **fields).execs]

    assert active() == ["exec-a", "exec-b", "exec-c"]
    assert active(sandbox_id="box-1") == ["exec-a", "exec-c"]
    assert active(sandbox_id="ghost") == []
    assert active(sandbox_id="") == []


@pytest.mark.parametrize(
    ("method", "last", "expected"),
    [
        (
            methods.STOP_SANDBOX,
            pb.SANDBOX_STOPPED,
            [
                "SANDBOX_STOP_REQUESTED",
                "EXEC_FAILED",
                "SANDBOX_FAILED:FAILED",
                "SANDBOX_STOPPED:STOPPED",
            ],
        ),
        (
            methods.DELETE_SANDBOX,
            pb.SANDBOX_DELETED,
            ["SANDBOX_DELETE_REQUESTED:DELETING", "EXEC_FAILED", "SANDBOX_DELETED:DELETED"],
        ),
    ],
    ids=["stop", "delete"],
)
def test_running_exec_is_killed(
    raw: Raw, method: methods.Method[Any, Any], last: pb.EventType, expected: list[str]
) -> None:
    raw.ready()
    raw.daemon.on_exec(["sleep"]).never()
    raw.start("sleep")
    raw(method, sandbox_id="box-1")
    raw.wait_for(last)

    assert raw.history()[4:] == expected
    assert outcome(raw.exec()) == ("FAILED", 137, "docker exec failed: exit code 137")


def test_running_exec_is_killed_with_its_container(raw: Raw) -> None:
    raw.ready()
    raw.daemon.on_exec(["sleep"]).never()
    raw.start("sleep")
    raw.daemon.kill_container("box-1")

    assert raw.history()[4:] == ["EXEC_FAILED", "SANDBOX_FAILED:FAILED"]
    assert raw.exec().exit_code == 137
