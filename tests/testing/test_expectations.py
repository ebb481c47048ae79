"""Plans that were never used, and leaks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon, _expectations

from .raw import Raw, connected

pytestmark = pytest.mark.once


def place() -> str:
    """The line before the caller's, as `file:line`."""
    frame = inspect.stack()[1]
    return f"{frame.filename}:{frame.lineno - 1}"


def failure(check: Callable[[], None]) -> list[str]:
    """Run a check that must fail; return the lines of its message."""
    with pytest.raises(AssertionError) as caught:
        check()
    return str(caught.value).split("\n  ")


def test_plan_that_is_used(raw: Raw) -> None:
    raw.daemon.faults.fail_next("Ping", code="INTERNAL", times=2)
    raw.daemon.faults.answer_next("Ping", b"")
    for _ in range(2):
        raw.refused(methods.PING)
    raw(methods.PING)
    raw.daemon.assert_all_used()


def test_plans_that_are_not_used_are_named_with_their_places(raw: Raw) -> None:
    faults = raw.daemon.faults
    faults.fail_next("Ping", code="INTERNAL", times=3)
    first = place()
    faults.answer_next("GetSandbox", b"")
    second = place()
    raw.refused(methods.PING)
    assert failure(raw.daemon.assert_all_used) == [
        "planned, but never used:",
        f"fail_next('Ping') at {first}: used 1 of 3 times",
        f"answer_next('GetSandbox') at {second}: used 0 of 1 times",
    ]


def test_optional_plans(raw: Raw) -> None:
    raw.daemon.faults.fail_next("Ping", code="INTERNAL", optional=True)
    raw.daemon.faults.answer_next("GetSandbox", b"", optional=True)
    raw.daemon.assert_all_used()
    assert raw.refused(methods.PING).code == "INTERNAL"


def test_plans_can_be_checked_after_stop() -> None:
    with FakeDaemon() as daemon, connected(daemon):
        daemon.faults.fail_next("Ping", code="INTERNAL")
        line = place()
    (_, unused) = failure(daemon.assert_all_used)
    assert unused == f"fail_next('Ping') at {line}: used 0 of 1 times"


def test_plans_of_all_sources_count() -> None:
    class Planned:
        def __init__(self, *lines: str) -> None:
            self._lines = list(lines)

        def unused(self) -> list[str]:
            return self._lines

    _expectations.assert_all_used(Planned())
    check = Planned("one"), Planned("two", "three")
    assert failure(lambda: _expectations.assert_all_used(*check))[1:] == ["one", "two", "three"]


def test_nothing_is_left(raw: Raw) -> None:
    raw.ready()
    raw.start()
    raw.finished()
    raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED)
    raw.daemon.assert_no_leaks(sandboxes=True, execs=True)


def test_what_is_left_is_named(raw: Raw) -> None:
    raw.ready("box-1")
    raw.daemon.on_exec(["sleep"]).never()
    raw.start("sleep")
    with raw.daemon.paused():
        raw.create("box-2")
        raw.create("box-3")
        raw(methods.DELETE_SANDBOX, sandbox_id="box-3")

        def check() -> None:
            raw.daemon.assert_no_leaks(sandboxes=True, execs=True, timeout=0.01)

        with raw.stream("box-2"), raw.stream("box-1"), raw.stream("box-2"):
            raw.daemon.wait_for_streams(3)
            assert failure(check) == [
                "left behind:",
                "event streams of sandbox box-1: 1",
                "event streams of sandbox box-2: 2",
                "sandbox box-1: READY",
                "sandbox box-2: PENDING",
                "sandbox box-3: DELETING",
                "exec exec-1 in sandbox box-1: ('sleep',): RUNNING",
            ]
            raw.daemon.assert_no_leaks(streams=False)
    raw.daemon.assert_no_leaks()


def test_stream_that_is_about_to_end_is_no_leak(raw: Raw) -> None:
    raw.ready()
    for _ in range(20):
        with raw.stream() as stream:
            next(stream)
        raw.daemon.assert_no_leaks()
        assert raw.daemon.open_streams == 0


def test_leftover_processes_are_found(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = daemon._runner
    monkeypatch.setattr(type(runner), "running", lambda _: ["process group 7"])
    assert failure(daemon.assert_no_leaks) == ["left behind:", "process group 7"]
    daemon.assert_no_leaks(processes=False)


def test_places_are_outside_the_package(daemon: FakeDaemon, tmp_path: Path) -> None:
    daemon.faults.fail_next("Ping", code="INTERNAL")
    (_, unused) = failure(daemon.assert_all_used)
    assert __file__ in unused
