"""A peer that speaks gRPC like a daemon can still send nonsense, too much data, or lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonError,
    DaemonUnavailableError,
    OperationTimeoutError,
    ProtocolError,
    SandboxClientError,
    SandboxSequenceExpiredError,
)
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire import v04_pb2 as v04
from agents_sandbox._wire.methods import METHODS_V02
from agents_sandbox.testing import FakeDaemon

from ..impostor import (
    PENDING,
    PLAUSIBLE,
    Answer,
    always,
    an_event,
    counting,
    impostor,
    refusing,
    repeating,
    streaming,
)
from ..releases import any_release

EVENTS = "SubscribeSandboxEvents"


@contextmanager
def lying(folder: Path, lies: Mapping[str, Answer]) -> Iterator[Path]:
    """Run a peer that looks like a daemon except for these answers."""
    with impostor(folder / "peer", {**PLAUSIBLE, **lies}) as path:
        yield path


async def follow(client: AgentsSandboxClient, **options: Any) -> list[int]:
    async with client.subscribe_sandbox_events("box-1", **options) as events:
        return [event.sequence async for event in events]


async def error_of(
    path: Path, call: Callable[[AgentsSandboxClient], Any], **options: Any
) -> SandboxClientError:
    """The error of a call, which must leave its client usable."""
    async with AgentsSandboxClient(path, **options) as client:
        with pytest.raises(SandboxClientError) as caught:
            await call(client)
        assert (await client.ping()).daemon == "agboxd"
    return caught.value


# Keyed by the RPC whose answer they need.
CALLS: Mapping[str, Callable[[AgentsSandboxClient], Any]] = {
    "CreateSandbox": lambda client: client.create_sandbox(image="a:1", sandbox_id="box-1"),
    "GetSandbox": lambda client: client.get_sandbox("box-1"),
    "ListSandboxes": lambda client: client.list_sandboxes(),
    "ResumeSandbox": lambda client: client.resume_sandbox("box-1"),
    "StopSandbox": lambda client: client.stop_sandbox("box-1"),
    "DeleteSandbox": lambda client: client.delete_sandbox("box-1"),
    "DeleteSandboxes": lambda client: client.delete_sandboxes({"a": "b"}),
    "CreateExec": lambda client: client.run("box-1", ("true",), exec_id="exec-1"),
    "CancelExec": lambda client: client.cancel_exec("exec-1"),
    "GetExec": lambda client: client.get_exec("exec-1"),
    "ListActiveExecs": lambda client: client.list_active_execs(),
    EVENTS: follow,
}
OF_SANDBOXES = {"CreateSandbox", "GetSandbox", "ResumeSandbox", "StopSandbox", "DeleteSandbox"}
OF_EXECS = {"CreateExec", "CancelExec", "GetExec"}


def check_ids(rpc: str, error: SandboxClientError) -> None:
    of_sandbox = rpc in OF_SANDBOXES or rpc in {"CreateExec", EVENTS}
    assert error.sandbox_id == ("box-1" if of_sandbox else None)
    assert error.exec_id == ("exec-1" if rpc in OF_EXECS else None)


async def test_another_service_is_no_daemon(tmp_path: Path) -> None:
    with impostor(tmp_path / "peer", {}) as path:
        async with AgentsSandboxClient(path) as client:
            for rpc, call in {**CALLS, "Ping": AgentsSandboxClient.ping}.items():
                with pytest.raises(
                    SandboxClientError, match="is not an agents-sandbox d"
                ) as caught:
                    await call(client)
                assert isinstance(caught.value, DaemonError | ProtocolError)
                assert caught.value.code == "UNIMPLEMENTED"
                check_ids(rpc, caught.value)


def python_name(rpc: str) -> str:
    return next(method.call for method in METHODS_V02 if method.name == rpc)


def said(rpc: str, wire: bytes) -> Answer:
    return streaming(wire) if rpc == EVENTS else always(wire)


@pytest.mark.parametrize("rpc", CALLS)
async def test_an_answer_that_is_no_message_is_refused(tmp_path: Path, rpc: str) -> None:
    with lying(tmp_path, {rpc: said(rpc, b"\xff\xff")}) as path:
        error = await error_of(path, CALLS[rpc])
    assert type(error) is ProtocolError
    assert str(error).startswith(f"{python_name(rpc)}: the answer cannot be decoded: ")
    check_ids(rpc, error)


NO_TEXT = b"\x0a\x02\xff\xfe"  # field 1, with 2 bytes that are not valid UTF-8
IN_FIRST_FIELD = b"\x0a\x04" + NO_TEXT


@pytest.mark.parametrize(
    ("rpc", "wire"),
    [
        ("CreateSandbox", IN_FIRST_FIELD),
        ("GetSandbox", IN_FIRST_FIELD),
        ("ListSandboxes", IN_FIRST_FIELD),
        ("DeleteSandboxes", NO_TEXT),
        ("CreateExec", NO_TEXT),
        ("GetExec", IN_FIRST_FIELD),
        ("ListActiveExecs", IN_FIRST_FIELD),
        (EVENTS, NO_TEXT),
    ],
)
async def test_text_that_is_no_text_is_refused(tmp_path: Path, rpc: str, wire: bytes) -> None:
    with lying(tmp_path, {rpc: said(rpc, wire)}) as path:
        error = await error_of(path, CALLS[rpc])
    assert type(error) is ProtocolError
    assert "the answer cannot be decoded" in str(error)
    check_ids(rpc, error)


ANOTHER = v04.SandboxHandle(sandbox_id="other", state=pb.SANDBOX_STATE_READY, last_event_sequence=3)


@pytest.mark.parametrize(
    ("rpc", "answer", "about"),
    [
        ("CreateSandbox", b"", ""),
        ("CreateSandbox", v04.CreateSandboxResponse(sandbox=ANOTHER), "other"),
        ("GetSandbox", b"", ""),
        ("GetSandbox", v04.GetSandboxResponse(sandbox=ANOTHER), "other"),
        ("CreateExec", b"", ""),
        ("CreateExec", pb.CreateExecResponse(exec_id="other"), "other"),
        ("GetExec", b"", ""),
        ("GetExec", pb.GetExecResponse(exec=pb.ExecStatus(exec_id="other")), "other"),
    ],
)
async def test_an_answer_about_something_else_is_refused(
    tmp_path: Path, rpc: str, answer: Any, about: str
) -> None:
    with lying(tmp_path, {rpc: always(answer)}) as path:
        error = await error_of(path, CALLS[rpc])
    assert type(error) is ProtocolError
    assert f"{python_name(rpc)}: the answer names {about!r} instead of " in str(error)
    check_ids(rpc, error)


@pytest.mark.parametrize("rpc", ["GetSandbox", "ListSandboxes", "CreateExec", EVENTS])
async def test_an_answer_of_100_mb_is_refused(tmp_path: Path, rpc: str) -> None:
    with lying(tmp_path, {rpc: said(rpc, bytes(100_000_000))}) as path:
        error = await error_of(path, CALLS[rpc], timeout_seconds=30)
    assert type(error) is ProtocolError
    assert str(error).startswith(f"{python_name(rpc)}: the answer exceeds the limit of 64 MiB: ")
    assert ("label_selector" in str(error)) is (rpc == "ListSandboxes")
    assert (error.code, error.retryable) == ("RESOURCE_EXHAUSTED", False)
    check_ids(rpc, error)


async def test_a_list_of_10_000_sandboxes_passes(tmp_path: Path) -> None:
    box = v04.SandboxHandle()
    box.CopyFrom(PENDING)
    box.labels.update({f"label-{number}": "x" * 32 for number in range(10)})
    answer = v04.ListSandboxesResponse(sandboxes=[box] * 10_000)
    assert answer.ByteSize() > 4 * 1024 * 1024  # gRPC's own limit
    with lying(tmp_path, {"ListSandboxes": always(answer)}) as path:
        async with AgentsSandboxClient(path, timeout_seconds=30) as client:
            assert len(await client.list_sandboxes()) == 10_000


# A google.rpc.Status that starts correctly: one detail with the type of an ErrorInfo.
TYPE_URL = b"type.googleapis.com/google.rpc.ErrorInfo"


def details(error_info: bytes) -> bytes:
    detail = b"\x0a" + bytes((len(TYPE_URL),)) + TYPE_URL
    detail += b"\x12" + bytes((len(error_info),)) + error_info
    return b"\x1a" + bytes((len(detail),)) + detail


@any_release
@pytest.mark.parametrize(
    "trailer",
    [
        b"\x0a\x01x",  # the code is text
        b"\x18\x01",  # the details are a number
        b"\x1a\x02\x0a\x00",  # a detail without a type
        details(b"\x08\x01"),  # the reason is a number
        details(b"\x1a\x02\x08\x01"),  # a key of the metadata is a number
        details(b"\x1a\x04\x0a\x02\xff\xfe"),  # or is not valid UTF-8
        details(b""),
        bytes(4000),
    ],
)
async def test_details_of_wrong_types_leave_the_code(
    client: AgentsSandboxClient, daemon: FakeDaemon, trailer: bytes
) -> None:
    daemon.faults.fail_next("GetSandbox", code="NOT_FOUND", message="gone", details=trailer)
    with pytest.raises(DaemonError, match="get_sandbox: gone") as caught:
        await client.get_sandbox("box-1")
    assert (caught.value.code, caught.value.reason) == ("NOT_FOUND", None)
    assert caught.value.sandbox_id == "box-1"


@any_release
async def test_details_without_end_are_refused(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next("GetSandbox", code="NOT_FOUND", details=bytes(100_000))
    with pytest.raises(DaemonError) as caught:
        await client.get_sandbox("box-1")
    # More metadata than gRPC accepts.
    assert (caught.value.code, caught.value.sandbox_id) == ("RESOURCE_EXHAUSTED", "box-1")


# All calls that read the event stream.
READERS = {rpc: CALLS[rpc] for rpc in ("CreateSandbox", "CreateExec", EVENTS)}
LIES: Mapping[str, tuple[Answer, str]] = {
    "of another sandbox": (
        streaming(an_event(1), an_event(2, sandbox_id="other")),
        "sent an event of sandbox 'other'",
    ),
    "of no sandbox": (streaming(an_event(1, sandbox_id="")), "sent an event of sandbox ''"),
    "without a sequence": (streaming(an_event(1), an_event(0)), "sent event 0 after event 1"),
    "backwards": (
        streaming(an_event(1), an_event(2), an_event(3), an_event(2)),
        "sent event 2 after event 3",
    ),
    "one event": (repeating(an_event(1)), "sent event 1 over 1000 times"),
    "snapshots": (repeating(an_event(1, snapshot=True)), "sent a snapshot that was not requested"),
}


@pytest.mark.parametrize("rpc", READERS)
@pytest.mark.parametrize("lie", LIES)
async def test_events_that_cannot_be_are_refused(tmp_path: Path, lie: str, rpc: str) -> None:
    answer, reported = LIES[lie]
    with lying(tmp_path, {EVENTS: answer}) as path:
        error = await error_of(path, CALLS[rpc], timeout_seconds=30)
    assert type(error) is ProtocolError
    assert str(error) == (
        f"the daemon {reported} (events of sandbox 'box-1'). It is broken or not a daemon"
    )
    check_ids(rpc, error)


async def test_a_permanent_gap_is_an_error_of_the_stream(tmp_path: Path) -> None:
    with lying(tmp_path, {EVENTS: streaming(an_event(1), an_event(4))}) as path:
        error = await error_of(path, follow)
    assert isinstance(error, SandboxSequenceExpiredError)
    assert (error.from_sequence, error.oldest_sequence) == (1, 4)


async def test_events_without_end_are_followed_until_the_deadline(tmp_path: Path) -> None:
    ready = counting(event_type=pb.SANDBOX_READY, sandbox_state=pb.SANDBOX_STATE_READY)
    with lying(tmp_path, {EVENTS: ready}) as path:
        for call in (CALLS["CreateSandbox"], lambda client: follow(client, timeout_seconds=0.1)):
            error = await error_of(path, call, operation_timeout_seconds=0.1)
            assert isinstance(error, OperationTimeoutError)
            assert (error.timeout_seconds, error.sandbox_id) == (0.1, "box-1")


@pytest.mark.parametrize(
    "end", [streaming(), refusing("DEADLINE_EXCEEDED")], ids=["well", "too late"]
)
async def test_streams_that_end_immediately_are_given_up(tmp_path: Path, end: Answer) -> None:
    short = {
        "timeout_seconds": 5,
        "operation_timeout_seconds": 0.1,
        "exec_timeout_seconds": 0.1,
    }
    with lying(tmp_path, {EVENTS: end}) as path:
        error = await error_of(path, follow, **short)
        assert type(error) is ProtocolError
        assert "kept ending the stream without an event" in str(error)
        assert error.sandbox_id == "box-1"
        for rpc in ("CreateSandbox", "CreateExec"):
            late = await error_of(path, CALLS[rpc], **short)
            assert isinstance(late, OperationTimeoutError)
            assert late.timeout_seconds == 0.1
            check_ids(rpc, late)


async def test_streams_that_are_lost_immediately_are_given_up(tmp_path: Path) -> None:
    with lying(tmp_path, {EVENTS: refusing("UNAVAILABLE")}) as path:
        error = await error_of(path, follow, operation_timeout_seconds=0.1)
    assert isinstance(error, DaemonUnavailableError)
    assert error.sandbox_id == "box-1"


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("rpc", CALLS)
async def test_a_peer_that_cancels_may_be_shutting_down(tmp_path: Path, rpc: str) -> None:
    with lying(tmp_path, {rpc: refusing("CANCELLED")}) as path:
        error = await error_of(path, CALLS[rpc], timeout_seconds=1, operation_timeout_seconds=1)
    assert isinstance(error, DaemonUnavailableError)
    assert error.code == "CANCELLED"
    assert "The daemon may be shutting down" in str(error)
    check_ids(rpc, error)
