"""What messages show of values and texts, whatever these are."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import grpc
import pytest

from agents_sandbox import (
    CompanionContainerSpec,
    DaemonUnavailableError,
    HealthcheckConfig,
    MountSpec,
    PortMapping,
    SandboxClientError,
    SandboxEvent,
    SandboxEventType,
    SandboxHandle,
    SandboxPhaseDetails,
    SandboxState,
    ServiceEventDetails,
)
from agents_sandbox._arguments import checks
from agents_sandbox._arguments.creates import NewExec, NewSandbox
from agents_sandbox._arguments.durations import to_timedelta
from agents_sandbox._connection.address import DaemonAddress
from agents_sandbox._connection.rpc import FAILURES, raise_explained
from agents_sandbox._deadline import Deadline
from agents_sandbox._goals import (
    BECOME_READY,
    BecomeDeleted,
    BecomeStopped,
    ExecEnd,
    ReadyWithCompanions,
)
from agents_sandbox._sequence import EventSequence
from agents_sandbox._shared.shown import escaped, shortened, shown, shown_id
from agents_sandbox._wire import methods, releases
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import ContainerBehavior, DockerHost, FakeDaemon

LONG = "x" * 10_000_000
# An explanation of the daemon may have 1,000 characters, and a message several ids.
SANE = 2_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a b", "'a b'"),
        ("x" * 60, repr("x" * 60)),
        ("x" * 61, f"'{'x' * 60}'... (61 characters)"),
        ("\n" * 61, f"'{chr(92) + 'n'}" + "\\n" * 59 + "'... (61 characters)"),
        (5, "5"),
        (None, "None"),
        (b"\xff", r"b'\xff'"),
        ([1] * 30, f"{str([1] * 30)[:60]}... (90 characters)"),
    ],
)
def test_a_value_is_quoted_and_shortened(value: object, expected: str) -> None:
    assert shown(value) == expected


class Odd:
    """An object of a user's."""

    def __init__(self, text: str | None) -> None:
        self._text = text

    def __repr__(self) -> str:
        if self._text is None:
            raise RuntimeError("no repr")
        return self._text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (10**5000, "<int>"),  # too many digits
        (Odd(None), "<Odd>"),
        (Odd("a\n  b"), "a b"),
        ({"TOKEN": "s3cret"}, "<dict>"),  # perhaps of variables
    ],
    ids=["int", "without", "lines", "mapping"],
)
def test_a_value_with_an_odd_repr_is_shown_too(value: object, expected: str) -> None:
    assert shown(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("demo-sandbox", "demo-sandbox"),
        ("any/text", "any/text"),
        ("x" * 200, "x" * 200),
        ("x" * 201, f"'{'x' * 60}'... (201 characters)"),
        ("two\nlines", r"'two\nlines'"),
        ("", "''"),
        (None, "None"),
    ],
)
def test_an_id_is_shown_as_it_is_if_it_can_be_one(value: str | None, expected: str) -> None:
    assert shown_id(value) == expected


def test_a_text_is_shortened_only() -> None:
    assert shortened("it's\nfine") == "it's\nfine"
    assert shortened("x" * 1001) == f"{'x' * 1000}... (1001 characters)"


def event(state: SandboxState = SandboxState.UNSPECIFIED, **details: Any) -> SandboxEvent:
    now = datetime.now(timezone.utc)
    kind = details.pop("event_type", SandboxEventType.UNSPECIFIED)
    return SandboxEvent(
        "e", details.pop("sequence", 1), LONG, kind, now, True, False, state, **details
    )


FAILED = event(SandboxState.FAILED, sandbox_phase=SandboxPhaseDetails(None, LONG, LONG))


def handle(state: SandboxState) -> SandboxHandle:
    return SandboxHandle(LONG, state, 1, (), (), {}, None, LONG, LONG, LONG)


def raise_(error: BaseException | None) -> None:
    assert error is not None
    raise error


def companion_fails() -> None:
    goal = ReadyWithCompanions({LONG})
    failed = SandboxEventType.COMPANION_CONTAINER_FAILED
    goal.see(event(event_type=failed, service=ServiceEventDetails(LONG, LONG, LONG)))
    raise_(goal.failure)


def companions_are_late() -> None:
    goal = ReadyWithCompanions({f"{LONG[:9_999]}{number}" for number in range(50)})
    goal.ready = True
    raise_(goal.timeout_error(LONG, None, 5))


def resumed() -> None:
    goal = BecomeStopped()
    goal.overtaken = True
    goal.judge(handle(SandboxState.READY))


def lost_with(ended: SandboxEvent) -> None:
    goal = ExecEnd(LONG)
    goal.see(ended)
    raise_(goal.lost_sandbox)


def delete_failed() -> None:
    goal = BecomeDeleted()
    goal.see(
        event(
            SandboxState.FAILED,
            sandbox_phase=SandboxPhaseDetails(None, "SANDBOX_DELETE_FAILED", LONG),
        )
    )
    raise_(goal.failure)


def event_gap() -> None:
    EventSequence(LONG, 0).deliver(event(sequence=5))


def foreign_event() -> None:
    EventSequence(f"{LONG}y", 0).accept(event())


class Failure(grpc.RpcError):
    """A failed call whose message is long."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__()
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return LONG

    def trailing_metadata(self) -> Any:
        return None

    def debug_error_string(self) -> str:
        return LONG


def call_fails(code: grpc.StatusCode, socket_path: str = "/nowhere") -> None:
    request = pb.GetSandboxRequest(sandbox_id=LONG)
    try:
        raise Failure(code)
    except FAILURES as failure:
        address, deadline = DaemonAddress(socket_path), Deadline(5.0)
        raise_explained(failure, methods.GET_SANDBOX, request, address, deadline)


def too_old(**arguments: Any) -> None:
    release = releases.Release(0, 3, 0, reported=LONG)
    releases.require(NewSandbox(image="a:1", **arguments).newer_fields(), release)


def long_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    # The limit of the system for one variable is 128 KiB.
    monkeypatch.setenv("XDG_RUNTIME_DIR", f"/{LONG[:100_000]}")
    DaemonAddress(None).resolve()


REFUSED: dict[str, Callable[[], object]] = {
    "id": lambda: checks.new_id("sandbox_id", LONG),
    "text": lambda: checks.text("image", f"{LONG}\udc80"),
    "path": lambda: checks.path("cwd", f"/{LONG}\0"),
    "value of a mapping": lambda: checks.text_mapping("labels", {"a": f"{LONG}\udc80"}),
    "key of a mapping": lambda: checks.text_mapping("labels", {LONG: 5}),
    "integer": lambda: checks.integer("retries", LONG, maximum=5),
    "socket": lambda: DaemonAddress(f"/{LONG}"),
    "release": lambda: releases.chosen_release(LONG),
    "protocol": lambda: PortMapping(1, 1, LONG),
    "mount": lambda: MountSpec(f"/{LONG}\0", "/x"),
    "duration": lambda: to_timedelta("idle_ttl", LONG),
    "duration of digits": lambda: to_timedelta("idle_ttl", "9" * 10_000),
    "health check": lambda: HealthcheckConfig(("CMD",), LONG),
    "new sandbox": lambda: NewSandbox(image="a:1", sandbox_id=LONG),
    "new exec": lambda: NewExec("box-1", ("true",), exec_id=LONG),
    "field of a companion": lambda: too_old(
        companion_containers=(CompanionContainerSpec(LONG, "a:1", cpu_limit="1"),)
    ),
    "unsupported release": lambda: raise_(releases.unsupported(LONG)),
    "gap": event_gap,
    "foreign event": foreign_event,
    "not ready": lambda: raise_(BECOME_READY.timeout_error(LONG, None, 5)),
    "failed": lambda: BECOME_READY.see(FAILED),
    "failed handle": lambda: BECOME_READY.judge(handle(SandboxState.FAILED)),
    "dead end": lambda: BECOME_READY.judge(handle(SandboxState.DELETED)),
    "companion fails": companion_fails,
    "companions are late": companions_are_late,
    "not stopped": lambda: raise_(BecomeStopped().timeout_error(LONG, None, 5)),
    "resumed": resumed,
    "not deleted": lambda: raise_(BecomeDeleted().timeout_error(LONG, None, 5)),
    "delete failed": delete_failed,
    "exec is late": lambda: raise_(ExecEnd(LONG).timeout_error(LONG, None, 5)),
    "exec is lost": lambda: lost_with(event(SandboxState.STOPPED)),
    "exec is lost to a failure": lambda: lost_with(FAILED),
    "call fails": lambda: call_fails(grpc.StatusCode.INTERNAL),
    "call is refused": lambda: call_fails(grpc.StatusCode.INVALID_ARGUMENT),
    # Of the fake daemon:
    "fake: version": lambda: FakeDaemon(version=LONG),
    "fake: mode": lambda: FakeDaemon(exec_mode=LONG),  # type: ignore[arg-type]  # wrong on purpose
    "fake: socket": lambda: FakeDaemon(socket_path=f"/{LONG}"),
    "fake: images": lambda: FakeDaemon(known_images=LONG),
    "fake: containers": lambda: FakeDaemon(containers={LONG: LONG}),  # type: ignore[dict-item]  # wrong on purpose
    "fake: behavior": lambda: ContainerBehavior(healthy=LONG),  # type: ignore[arg-type]  # wrong on purpose
    "fake: docker": lambda: DockerHost(api_version=LONG),  # type: ignore[arg-type]  # wrong on purpose
}


def check_sane(error: BaseException) -> None:
    text = "".join(traceback.format_exception_only(type(error), error))
    assert LONG[:40] in text or "9999" in text or "is not valid Unicode" in text
    assert len(text) < SANE
    # With its causes and the lines of code.
    assert len("".join(traceback.format_exception(error))) < 5 * SANE


@pytest.mark.parametrize("name", REFUSED)
def test_no_message_grows_with_what_it_shows(name: str) -> None:
    with pytest.raises((SandboxClientError, TypeError, ValueError)) as caught:
        REFUSED[name]()
    check_sane(caught.value)


def test_no_message_grows_with_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DaemonUnavailableError) as caught:
        long_environment(monkeypatch)
    check_sane(caught.value)


def test_no_message_grows_with_what_a_peer_says(daemon: FakeDaemon) -> None:
    with pytest.raises(DaemonUnavailableError, match="accepts connections") as caught:
        call_fails(grpc.StatusCode.UNAVAILABLE, daemon.socket_path)
    check_sane(caught.value)


def test_no_message_of_the_fake_daemon_grows(daemon: FakeDaemon, tmp_path: Path) -> None:
    calls: list[Callable[[], object]] = [
        lambda: daemon.emit(LONG, b""),
        lambda: daemon.emit("box-1", LONG),  # type: ignore[arg-type]  # wrong on purpose
        lambda: daemon.purge(LONG),
        lambda: daemon.kill_container(LONG),
        lambda: daemon.wait_for_call(LONG),
        lambda: daemon.on_exec(LONG),
        lambda: daemon.on_exec(("x",)).exit(LONG),  # type: ignore[arg-type]  # wrong on purpose
        lambda: daemon.on_exec(("x",)).call(LONG),  # type: ignore[arg-type]  # wrong on purpose
        lambda: daemon.faults.fail_next(LONG, code="INTERNAL"),
        lambda: daemon.faults.fail_next("Ping", code=LONG),
        lambda: daemon.faults.malformed_details(LONG).__enter__(),  # type: ignore[arg-type]  # wrong on purpose
    ]
    for call in calls:
        with pytest.raises((ValueError, TypeError, LookupError)) as caught:
            call()
        check_sane(caught.value)


def test_a_text_for_a_log_has_one_line() -> None:
    assert escaped("Zo\u00eb is\nnot \x1b[31m") == "Zo\u00eb is\\nnot \\x1b[31m"
    assert escaped("x" * 2000) == f"{'x' * 1000}... (2000 characters)"
