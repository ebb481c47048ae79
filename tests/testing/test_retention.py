"""The sweep: it stops idle sandboxes, deletes stopped ones and purges deleted ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf.duration_pb2 import Duration

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .raw import Raw, connected, not_found

pytestmark = pytest.mark.once

SWEEP = 120.0


@pytest.fixture
def raw() -> Iterator[Raw]:
    options = {"virtual_time": True, "idle_ttl": 5, "cleanup_ttl": 20}
    with FakeDaemon(version="0.2.1", **options) as daemon, connected(daemon) as client:  # type: ignore[arg-type]  # any options
        yield client


def state(raw: Raw, sandbox_id: str = "box-1") -> str:
    return pb.SandboxState.Name(raw.get(sandbox_id).state).removeprefix("SANDBOX_STATE_")


def test_an_idle_sandbox_is_stopped_deleted_and_purged(raw: Raw) -> None:
    raw.create()
    with raw.stream() as stream:
        raw.daemon.advance(SWEEP - 1)
        assert state(raw) == "READY"
        raw.daemon.advance(1)
        assert state(raw) == "STOPPED"
        raw.daemon.advance(SWEEP)
        assert state(raw) == "DELETED"
        raw.daemon.advance(SWEEP)
        assert raw.refused(methods.GET_SANDBOX, sandbox_id="box-1") == not_found("box-1")
        reasons = [next(stream).sandbox_phase.reason for _ in range(8)]
    assert reasons[3:] == ["idle_ttl", "", "idle_ttl", "cleanup_ttl", "cleanup_ttl"]
    assert raw.refused(
        methods.CREATE_SANDBOX, sandbox_id="box-1", create_spec={"image": "a"}
    ).code == ("ALREADY_EXISTS")


def test_the_time_until_cleanup_begins_with_the_stop_and_with_the_delete(raw: Raw) -> None:
    raw.create(idle_ttl=Duration())
    raw.daemon.advance(SWEEP - 1)
    raw(methods.STOP_SANDBOX, sandbox_id="box-1")
    raw.daemon.advance(1)
    assert state(raw) == "STOPPED"
    raw.daemon.advance(SWEEP - 1)
    raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.daemon.advance(1)
    assert state(raw) == "DELETED"


def test_a_resume_does_not_reset_the_idle_clock(raw: Raw) -> None:
    raw.create()
    raw.daemon.advance(SWEEP)
    raw.daemon.advance(SWEEP - 4)
    raw(methods.RESUME_SANDBOX, sandbox_id="box-1")
    raw.daemon.advance(4)
    assert state(raw) == "STOPPED"


@pytest.mark.parametrize(
    ("idle_ttl", "expected"),
    [
        (Duration(), "READY"),
        (Duration(seconds=3600), "READY"),
        (Duration(seconds=120), "STOPPED"),
        (Duration(seconds=1), "STOPPED"),
    ],
)
def test_a_sandbox_can_have_its_own_idle_ttl(raw: Raw, idle_ttl: Duration, expected: str) -> None:
    raw.create(idle_ttl=idle_ttl)
    raw.daemon.advance(SWEEP)
    assert state(raw) == expected


def test_a_running_exec_keeps_its_sandbox(raw: Raw) -> None:
    raw.daemon.on_exec(("sleep", "400")).never()
    raw.create()
    raw.daemon.advance(1)
    raw.start("sleep", "400")
    raw.daemon.advance(2 * SWEEP)
    assert state(raw) == "READY"
    raw.daemon.advance(SWEEP - 3)
    raw(methods.CANCEL_EXEC, exec_id="exec-1")
    raw.daemon.advance(3)
    assert state(raw) == "READY", "a cancelled exec counts as use"
    raw.daemon.advance(SWEEP)
    assert state(raw) == "STOPPED"


@pytest.mark.parametrize(("exit_code", "expected"), [(0, "READY"), (1, "STOPPED")])
def test_only_execs_that_did_not_fail_count_as_use(raw: Raw, exit_code: int, expected: str) -> None:
    raw.daemon.on_exec(("job",)).exit(exit_code)
    raw.create()
    raw.daemon.advance(SWEEP - 4)
    raw.start("job")
    raw.finished()
    raw.daemon.advance(4)
    assert state(raw) == expected


def test_failed_sandboxes_are_not_swept(raw: Raw) -> None:
    raw.create()
    raw.daemon.advance(1)
    raw.daemon.kill_container("box-1")
    raw.daemon.advance(4 * SWEEP)
    assert state(raw) == "FAILED"


def test_zero_idle_ttl_is_never_and_zero_cleanup_ttl_is_the_default() -> None:
    with (
        FakeDaemon(virtual_time=True, idle_ttl=0, cleanup_ttl=0) as daemon,
        connected(daemon) as raw,
    ):
        raw.create()
        raw.create("box-2")
        daemon.advance(1)
        raw(methods.DELETE_SANDBOX, sandbox_id="box-2")
        daemon.advance(10 * SWEEP)
        assert (state(raw), state(raw, "box-2")) == ("READY", "DELETED")


@pytest.mark.parametrize(
    ("version", "ends"), [("0.2.1", "NOT_FOUND"), ("0.4.2", "NOT_FOUND"), ("0.4.3", "OK")]
)
def test_ends_of_the_streams_of_a_purged_sandbox(version: str, ends: str) -> None:
    options = {"virtual_time": True, "cleanup_ttl": 20}
    with FakeDaemon(version=version, **options) as daemon, connected(daemon) as raw:  # type: ignore[arg-type]  # any options
        raw(methods.CREATE_SANDBOX, sandbox_id="box-1", create_spec={"image": "a"})
        daemon.advance(1)
        raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
        daemon.advance(1)
        with raw.stream() as stream:
            for _ in range(5):
                next(stream)
            daemon.wait_for_streams(1)
            daemon.advance(2 * SWEEP)
            assert stream.code().name == ends
