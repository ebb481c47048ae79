"""A reset: what a daemon forgets between two tests that share it."""

from __future__ import annotations

import threading
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .raw import Raw, connected, not_found, refusal

pytestmark = pytest.mark.once


def test_everything_is_forgotten_and_the_socket_stays(raw: Raw) -> None:
    daemon = raw.daemon
    raw.ready(envs={"A": "1"})
    daemon.on_exec(["make"]).exit(1)
    daemon.faults.fail_next("GetExec", code="INTERNAL")
    log = Path(raw.start("ls").stdout_log_path)
    assert raw.refused(methods.GET_EXEC, exec_id="exec-1").code == "INTERNAL"
    raw.finished()
    daemon.faults.fail_next("GetExec", code="INTERNAL")
    daemon.reset()
    assert (daemon.calls, daemon.execs, daemon.sandboxes) == ((), (), ())
    daemon.assert_all_used()
    daemon.assert_all_scripted()
    assert not log.exists()
    with pytest.raises(TimeoutError):
        daemon.wait_for_call("GetExec", timeout=0)
    assert raw.refused(methods.GET_SANDBOX, sandbox_id="box-1") == not_found("box-1")
    raw.ready()  # the same id
    raw.start("make")
    assert raw.finished().exit_code == 0


def test_burnt_ids_are_free_again(raw: Raw) -> None:
    with raw.daemon.faults.burning_ids():
        raw.refused(methods.CREATE_SANDBOX, sandbox_id="box-1", create_spec={"image": "a:1"})
    raw.daemon.reset()
    raw.ready("box-1")


def test_ports_are_free_again() -> None:
    with FakeDaemon() as daemon, connected(daemon) as raw:
        ports = [{"container_port": 80, "host_port": 8080}]
        for _ in range(2):
            raw.ready(ports=ports)
            daemon.reset()


def test_streams_end_and_work_in_progress_is_dropped() -> None:
    with FakeDaemon(ready_delay=3600) as daemon, connected(daemon) as raw:
        raw.create()
        with raw.stream() as stream:
            next(stream)
            daemon.reset()
            with pytest.raises(grpc.RpcError) as caught:
                list(stream)
        assert refusal(caught.value) == not_found("box-1")
        daemon.assert_no_leaks(sandboxes=True)


def test_commands_that_really_run_are_killed_and_their_files_removed() -> None:
    with FakeDaemon(exec_mode="passthrough") as daemon, connected(daemon) as raw:
        raw.ready()
        raw.start("sh", "-c", "echo $PWD; exec sleep 60")
        folder = wait_for_output(daemon)
        assert folder.is_dir()
        daemon.reset()
        daemon.assert_no_leaks()
        assert not folder.exists()
        raw.ready()
        raw.start("true")
        assert raw.finished().exit_code == 0


def wait_for_output(daemon: FakeDaemon) -> Path:
    while True:
        (item,) = daemon.execs
        if item.stdout.endswith("\n"):
            return Path(item.stdout.strip())


def test_logs_in_a_folder_of_the_test_stay(tmp_path: Path) -> None:
    with FakeDaemon(exec_log_root=tmp_path) as daemon, connected(daemon) as raw:
        raw.ready()
        log = Path(raw.start("ls").stdout_log_path)
        raw.finished()
        daemon.reset()
        assert log.exists()


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_a_daemon_that_is_down_starts_again(end: str) -> None:
    with FakeDaemon() as daemon:
        with connected(daemon) as raw:
            raw.ready()
            with raw.stream() as stream:
                next(stream)
                getattr(daemon, end)()
                daemon.reset()
        with connected(daemon) as raw:
            assert raw.refused(methods.GET_SANDBOX, sandbox_id="box-1") == not_found("box-1")
            raw.ready()


def test_the_virtual_clock_goes_on() -> None:
    with FakeDaemon(virtual_time=True, idle_ttl=60) as daemon, connected(daemon) as raw:
        daemon.advance(1000)
        daemon.reset()
        raw.create()
        daemon.advance(120)
        assert raw.get().state == pb.SANDBOX_STATE_STOPPED


@pytest.mark.parametrize("again", [False, True])
def test_errors_of_the_test_before_are_raised_once(again: bool) -> None:
    def broken(_: Any) -> None:
        raise KeyError("mine")

    with FakeDaemon() as daemon, connected(daemon) as raw:
        raw.ready()
        daemon.on_exec(["make"]).call(broken)
        raw.start("make")
        raw.finished()
        with pytest.raises(KeyError, match="mine"):
            daemon.reset()
        assert daemon.sandboxes == ()
        if again:
            daemon.reset()


def test_open_faults_stay(raw: Raw) -> None:
    with raw.daemon.faults.failing("INTERNAL", method="Ping"):
        raw.daemon.reset()
        assert raw.refused(methods.PING).code == "INTERNAL"
    raw(methods.PING)


def test_only_a_daemon_that_was_started_can_be_reset() -> None:
    daemon = FakeDaemon()
    with pytest.raises(RuntimeError, match="was not started"):
        daemon.reset()
    daemon.stop()
    with pytest.raises(RuntimeError, match="was stopped"):
        daemon.reset()


def test_a_reset_forgets_every_error_and_raises_the_first() -> None:
    with FakeDaemon(unscripted="fail") as daemon, connected(daemon) as raw:
        raw.ready()
        raw.start("make")
        raw.finished()
        daemon.paused()
        with pytest.raises(AssertionError, match="unscripted command"):
            daemon.reset()
        daemon.reset()


def test_a_reset_bears_calls_that_arrive_during_it() -> None:
    with FakeDaemon() as daemon, connected(daemon) as raw:
        stop = threading.Event()

        def create() -> None:
            for number in count():
                if stop.is_set():
                    return
                with suppress(grpc.RpcError):
                    raw.create(f"box-{number}")

        creating = threading.Thread(target=create)
        creating.start()
        try:
            for _ in range(10):
                daemon.reset()
        finally:
            stop.set()
            creating.join()
