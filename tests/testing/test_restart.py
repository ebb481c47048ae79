"""A daemon that restarts: what it has stored, and how it recovers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import ContainerBehavior, FakeDaemon
from agents_sandbox.testing._sandboxes.watch import Watch
from agents_sandbox.testing._server.service import Service

from .raw import Raw, connected, not_found

pytestmark = pytest.mark.once

VERSIONS = ["0.2.1", "0.3.2", "0.4.0", "0.4.3"]
TOLERANT = ["0.4.0", "0.4.3"]
CREATE = 1.0


@contextmanager
def daemon_of(version: str) -> Iterator[FakeDaemon]:
    with FakeDaemon(version=version, virtual_time=True, ready_delay=CREATE) as daemon:
        yield daemon


def complete(raw: Raw, method: Any) -> None:
    """Make a call for `box-1` and complete its operation."""
    raw(method, sandbox_id="box-1")
    raw.daemon.advance(0)


def before_restart(raw: Raw, state: str) -> None:
    """Bring `box-1` to a state."""
    raw.create()
    raw.daemon.advance(0 if state == "PENDING" else CREATE)
    if state == "STOPPED":
        complete(raw, methods.STOP_SANDBOX)
    elif state == "FAILED":
        raw.daemon.remove_container("box-1")
        raw.daemon.advance(15)
    elif state == "DELETED":
        complete(raw, methods.DELETE_SANDBOX)


def after_restart(raw: Raw) -> tuple[str, str, str]:
    """Return the state of `box-1`, and the code and message of its newest event."""
    state = pb.SandboxState.Name(raw.get().state).removeprefix("SANDBOX_STATE_")
    head = raw.get().last_event_sequence
    with raw.stream(from_sequence=head - 1) as stream:
        phase = next(stream).sandbox_phase
    return state, phase.error_code or phase.reason, phase.error_message


PENDING = ("FAILED", "INTERRUPTED_PENDING", "sandbox was pending when daemon restarted")
NOT_RUNNING = "primary container not running after daemon restart"
MISSING = "primary container missing after daemon restart"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("state", "while_down", "expected"),
    [
        ("PENDING", None, PENDING),
        ("READY", None, ("READY", "", "")),
        ("READY", "removed", ("FAILED", "CONTAINER_NOT_RUNNING", NOT_RUNNING)),
        ("STOPPED", None, ("STOPPED", "stop_requested", "")),
        ("STOPPED", "removed", ("FAILED", "CONTAINER_NOT_RUNNING", MISSING)),
        ("DELETED", None, ("DELETED", "delete_requested", "")),
    ],
)
def test_how_each_state_recovers(
    version: str, state: str, while_down: str | None, expected: tuple[str, str, str]
) -> None:
    with daemon_of(version) as daemon:
        with connected(daemon) as raw:
            before_restart(raw, state)
        with daemon.down():
            if while_down:
                daemon.remove_container("box-1")
        with connected(daemon) as raw:
            assert after_restart(raw) == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_a_container_that_exited_while_the_daemon_was_down(version: str) -> None:
    with daemon_of(version) as daemon:
        with connected(daemon) as raw:
            before_restart(raw, "READY")
            daemon.advance(250)
        with daemon.down():
            daemon.kill_container("box-1")
            daemon.advance(100)
        with connected(daemon) as raw:
            if version not in TOLERANT:
                assert after_restart(raw) == ("FAILED", "CONTAINER_NOT_RUNNING", NOT_RUNNING)
                return
            daemon.advance(299)
            assert after_restart(raw)[0] == "READY"
            daemon.advance(20)
            assert after_restart(raw)[:2] == ("FAILED", "CONTAINER_CRASHLOOP")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_failed_sandbox_stays_failed(version: str) -> None:
    with daemon_of(version) as daemon:
        with connected(daemon) as raw:
            before_restart(raw, "FAILED")
            before = after_restart(raw)
        with daemon.down():
            pass
        with connected(daemon) as raw:
            assert after_restart(raw) == before
            assert before[0] == "FAILED"


@pytest.mark.parametrize("version", VERSIONS)
def test_an_interrupted_delete_is_completed(version: str) -> None:
    with daemon_of(version) as daemon:
        daemon.on_exec(("sleep",)).never()
        with connected(daemon) as raw:
            before_restart(raw, "READY")
            raw.start("sleep")
            daemon.advance(0)
            with daemon.paused():
                raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
                daemon.kill()
        daemon.start()
        with connected(daemon) as raw:
            assert raw.history()[-3:] == [
                "SANDBOX_DELETE_REQUESTED:DELETING",
                "SANDBOX_DELETED:DELETED",
                "EXEC_FAILED",
            ]
            with raw.stream(from_sequence=5) as stream:
                assert next(stream).sandbox_phase.reason == "daemon_restart_cleanup"
                interrupted = next(stream).exec
            assert interrupted.error_code == "DAEMON_RESTARTED"
            assert interrupted.error_message == "exec was running when daemon restarted"
            assert raw.exec().exit_code == 0


def test_an_interrupted_delete_leaves_no_files() -> None:
    with FakeDaemon(exec_mode="passthrough") as daemon:
        with connected(daemon) as raw:
            raw.ready()
            raw.start("sh", "-c", "pwd")
            raw.finished()
            logs = daemon.exec_log_root / "box-1"
            folder = Path((logs / "exec-1.stdout.log").read_text().rstrip())
            assert folder.is_dir()
            with daemon.paused():
                raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
                daemon.kill()
        daemon.start()
        assert not folder.exists()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("crashes", [1, 2])
def test_a_create_that_a_crash_interrupts_leaves_its_container_for_ever(
    version: str, crashes: int
) -> None:
    ports = [{"container_port": 80, "host_port": 8080}]
    spec: dict[str, Any] = {"ports": ports} if version in TOLERANT else {}
    # Before 0.4.3, the next sandbox has containers of the same name.
    why = "port is already allocated" if version == "0.4.3" else "agbox-net-box-1 already exists"
    with daemon_of(version) as daemon:
        with connected(daemon) as raw, daemon.paused() as pause:
            raw.create("box_1", **spec)
            pause.step()
            daemon.advance(CREATE)
            daemon.kill()
        daemon.start()
        with connected(daemon) as raw:
            assert raw.get("box_1").error_code == "INTERRUPTED_PENDING"
            with daemon.paused():
                raw(methods.DELETE_SANDBOX, sandbox_id="box_1")
                if crashes == 2:
                    daemon.kill()
        if crashes == 2:
            daemon.start()
        with connected(daemon) as raw:
            daemon.advance(0)
            assert raw.get("box_1").state == pb.SANDBOX_STATE_DELETED
            raw.create("box-1", **spec)
            daemon.advance(CREATE)
            assert raw.get("box-1").error_message.endswith(why)


@pytest.mark.parametrize("version", VERSIONS)
def test_older_daemons_leave_the_containers_of_failed_sandboxes(version: str) -> None:
    with daemon_of(version) as daemon:
        with connected(daemon) as raw:
            raw.create("box_1")
            daemon.advance(CREATE)
        with daemon.down():
            daemon.remove_container("box_1")
        with connected(daemon) as raw:
            assert raw.get("box_1").state == pb.SANDBOX_STATE_FAILED
            raw(methods.DELETE_SANDBOX, sandbox_id="box_1")
            raw.create("box-1")
            daemon.advance(CREATE)
            message = raw.get("box-1").error_message
        assert message.endswith("already exists") is (version not in TOLERANT)


def test_everything_else_is_stored() -> None:
    with daemon_of("0.2.1") as daemon:
        with connected(daemon) as raw:
            before_restart(raw, "READY")
            raw.start()
            daemon.advance(0)
            before, done = raw.get(), raw.exec()
        with daemon.down():
            pass
        with connected(daemon) as raw:
            after = raw.get()
            assert raw.exec() == done
            with raw.stream() as stream:
                accepted = next(stream)
            # The only value that a daemon does not store.
            assert after.created_at == accepted.occurred_at != before.created_at
            after.created_at.CopyFrom(before.created_at)
            assert after == before
            spec = {"image": "a"}
            refused = raw.refused(methods.CREATE_SANDBOX, sandbox_id="box-1", create_spec=spec)
            assert refused.reason == "SANDBOX_ID_ALREADY_EXISTS"
            again = raw.refused(
                methods.CREATE_EXEC, sandbox_id="box-1", command=["x"], exec_id="exec-1"
            )
            assert again.reason == "EXEC_ID_ALREADY_EXISTS"
            complete(raw, methods.STOP_SANDBOX)
            assert raw.get().last_event_sequence == before.last_event_sequence + 3


def test_kill_breaks_streams_and_connections(daemon: FakeDaemon) -> None:
    with connected(daemon) as raw:
        raw.ready()
        with raw.stream() as stream:
            for _ in range(3):
                next(stream)
            daemon.kill()
            assert not daemon.running
            assert stream.code() is grpc.StatusCode.UNAVAILABLE
        assert raw.refused(methods.PING).code == "UNAVAILABLE"
    daemon.start()
    with connected(daemon) as raw:
        assert raw(methods.PING).daemon == "agboxd"


def test_a_daemon_that_is_down_cannot_be_ended(daemon: FakeDaemon) -> None:
    daemon.kill()
    for end in (daemon.kill, daemon.terminate):
        with pytest.raises(RuntimeError, match="the fake daemon is not running"):
            end()
    daemon.start()
    with pytest.raises(RuntimeError, match="the fake daemon is already running"):
        daemon.start()


def test_down_restarts_after_an_exception(daemon: FakeDaemon) -> None:
    with pytest.raises(ZeroDivisionError), daemon.down():
        raise ZeroDivisionError
    assert daemon.running


def test_a_start_that_fails_leaves_no_socket(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.kill()
    with monkeypatch.context() as patch:
        patch.setattr(Service, "start", raise_zero_division)
        with pytest.raises(ZeroDivisionError):
            daemon.start()
    assert not Path(daemon.socket_path).exists()


async def raise_zero_division(_: Service) -> None:
    raise ZeroDivisionError


def test_the_host_continues_while_the_daemon_is_down() -> None:
    containers = {"box-1": ContainerBehavior(exits_after=100)}
    with FakeDaemon(version="0.2.1", virtual_time=True, containers=containers) as daemon:
        with connected(daemon) as raw:
            raw.create()
            daemon.advance(1)
        with daemon.down():
            daemon.advance(150)
        with connected(daemon) as raw:
            assert after_restart(raw) == ("FAILED", "CONTAINER_NOT_RUNNING", NOT_RUNNING)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("back_after", [6, 1])
def test_docker_completes_a_stop_whose_daemon_was_killed(version: str, back_after: int) -> None:
    with FakeDaemon(version=version, virtual_time=True, stop_delay=5) as daemon:
        daemon.on_exec(("serve",)).never()
        with connected(daemon) as raw:
            raw.create()
            daemon.advance(0)
            raw.start("serve")
            daemon.advance(0)
            raw(methods.STOP_SANDBOX, sandbox_id="box-1")
            daemon.advance(1)
        with daemon.down():
            daemon.advance(back_after)
        with connected(daemon) as raw:
            assert raw.exec().error == "exec was running when daemon restarted"
            daemon.advance(60)
            assert "SANDBOX_STOPPED:STOPPED" not in raw.history()
            if version in TOLERANT:
                assert raw.get().state == pb.SANDBOX_STATE_READY
                daemon.advance(300)
                assert after_restart(raw)[1] == "CONTAINER_CRASHLOOP"
                return
            code = "CONTAINER_NOT_RUNNING" if back_after == 6 else "CONTAINER_DIED"
            assert (raw.get().state, raw.get().error_code) == (pb.SANDBOX_STATE_FAILED, code)


def test_two_stops_whose_daemon_was_killed_end_once() -> None:
    with FakeDaemon(version="0.2.1", virtual_time=True, stop_delay=5) as daemon:
        with connected(daemon) as raw:
            raw.create()
            daemon.advance(0)
            for _ in range(2):
                raw(methods.STOP_SANDBOX, sandbox_id="box-1")
                daemon.advance(1)
        with daemon.down():
            pass
        with connected(daemon) as raw:
            daemon.advance(60)
            assert raw.history()[3:] == [*["SANDBOX_STOP_REQUESTED"] * 2, "SANDBOX_FAILED:FAILED"]


@pytest.mark.parametrize("version", ["0.2.1", "0.4.3"])
def test_an_exec_that_dies_while_the_daemon_is_down_counts_as_interrupted(version: str) -> None:
    with daemon_of(version) as daemon:
        daemon.on_exec(("serve",)).never()
        with connected(daemon) as raw:
            before_restart(raw, "READY")
            raw.start("serve")
            daemon.advance(0)
        with daemon.down():
            daemon.kill_container("box-1")
        with connected(daemon) as raw:
            ended = raw.exec()
            assert (ended.exit_code, ended.error) == (0, "exec was running when daemon restarted")


def test_a_companion_that_went_down_is_reported_after_the_restart() -> None:
    with FakeDaemon(version="0.4.3", virtual_time=True) as daemon:
        with connected(daemon) as raw:
            raw.create(companion_containers=[{"name": "side", "image": "redis:7"}])
            daemon.advance(1)
        with daemon.down():
            daemon.remove_container("box-1", "side")
        with connected(daemon) as raw:
            daemon.advance(15)
            assert raw.history()[4:] == ["SANDBOX_SERVICE_FAILED:READY"]


def test_a_delayed_call_has_no_effect_after_a_kill(
    daemon: FakeDaemon, elsewhere: ThreadPoolExecutor
) -> None:
    with connected(daemon) as raw:
        raw(methods.PING)
        with daemon.faults.half_open():
            refused = elsewhere.submit(
                raw.refused, methods.CREATE_SANDBOX, sandbox_id="box-1", create_spec={"image": "a"}
            )
            daemon.wait_for_call("CreateSandbox")
            daemon.kill()
            assert refused.result().code == "UNAVAILABLE"
    daemon.start()
    with connected(daemon) as raw:
        assert raw.refused(methods.GET_SANDBOX, sandbox_id="box-1") == not_found("box-1")


def test_a_failed_start_can_be_retried(daemon: FakeDaemon) -> None:
    with connected(daemon) as raw:
        raw.ready()
    daemon.kill(stale_socket=False)
    Path(daemon.socket_path).write_text("in the way")
    with pytest.raises(FileExistsError):
        daemon.start()
    Path(daemon.socket_path).unlink()
    daemon.start()
    with connected(daemon) as raw:
        assert raw.get().state == pb.SANDBOX_STATE_READY


def test_down_does_not_restart_a_stopped_daemon() -> None:
    with FakeDaemon() as daemon:
        with daemon.down():
            daemon.stop()
        with pytest.raises(RuntimeError, match=r"call assert_no_leaks\(\) before stop\(\)"):
            daemon.assert_no_leaks()


async def test_a_cancelled_async_with_leaves_nothing() -> None:
    daemon = FakeDaemon()
    entering = asyncio.ensure_future(daemon.__aenter__())
    await asyncio.sleep(0)  # a turn of the loop, not time
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert not daemon.running
    with pytest.raises(RuntimeError, match="was stopped"):
        daemon.start()


def test_a_handler_on_the_loop_must_not_wait_for_the_daemon() -> None:
    async def handler(_: object) -> None:
        daemon.kill()

    daemon = FakeDaemon()
    with pytest.raises(RuntimeError, match="must not wait for the daemon"), daemon:
        daemon.on_exec(("x",)).call(handler)
        with connected(daemon) as raw:
            raw.ready()
            raw.start("x")
            raw.finished()


def test_an_error_in_background_work_is_raised_by_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Watch, "handle_death", fail)
    containers = {"box-1": ContainerBehavior(exits_after=0)}
    with (
        pytest.raises(TypeError, match="positional"),
        FakeDaemon(version="0.2.1", virtual_time=True, containers=containers) as daemon,
        connected(daemon) as raw,
    ):
        raw.create()
        daemon.advance(1)
