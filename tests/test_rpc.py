"""The failures of an RPC and the errors that they become."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st

from agents_sandbox import (
    ClientClosedError,
    DaemonError,
    DaemonUnavailableError,
    ExecAlreadyTerminalError,
    ExecConflictError,
    ExecNotFoundError,
    ExecNotRunningError,
    InvalidArgumentError,
    OperationTimeoutError,
    ProtocolError,
    SandboxClientError,
    SandboxConflictError,
    SandboxInvalidStateError,
    SandboxNotFoundError,
    SandboxNotReadyError,
    SandboxSequenceExpiredError,
)
from agents_sandbox._connection.address import DaemonAddress
from agents_sandbox._connection.rpc import CHANNEL_OPTIONS, FAILURES, raise_explained
from agents_sandbox._deadline import Deadline
from agents_sandbox._wire import methods, status_pb2
from agents_sandbox._wire import v02_pb2 as pb

TRAILER = "grpc-status-details-bin"


def trailer(reason: str, metadata: dict[str, str], domain: str = "agents-sandbox") -> bytes:
    info = status_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)
    url = "type.googleapis.com/google.rpc.ErrorInfo"
    detail = {"type_url": url, "value": info.SerializeToString()}
    return status_pb2.Status(code=5, message="said", details=[detail]).SerializeToString()


class Failure(grpc.RpcError):
    """An imitation of what gRPC raises: an error that is also a call."""

    def __init__(
        self,
        code: grpc.StatusCode = grpc.StatusCode.INTERNAL,
        details: str | None = "said",
        trailers: tuple[tuple[str, str | bytes], ...] | None = (),
    ) -> None:
        super().__init__()
        self._answer = (code, details, trailers)

    def code(self) -> grpc.StatusCode:
        return self._answer[0]

    def details(self) -> str | None:
        return self._answer[1]

    def trailing_metadata(self) -> Any:
        return self._answer[2]

    def debug_error_string(self) -> str:
        return "debug"


def failure(code: str, reason: str, metadata: dict[str, str], said: str = "said") -> Failure:
    trailers = (("other", "x"), (TRAILER, trailer(reason, metadata)))
    return Failure(grpc.StatusCode[code], said, trailers)


@contextmanager
def explained(
    method: methods.Method[Any, Any], request: Message, address: DaemonAddress, deadline: Deadline
) -> Iterator[None]:
    """Do as the transport does with what an RPC raises."""
    try:
        yield
    except FAILURES as failed:
        raise_explained(failed, method, request, address, deadline)


def raised(
    failed: Exception,
    method: methods.Method[Any, Any] = methods.GET_SANDBOX,
    request: Message | None = None,
    seconds: float = 5.0,
    socket_path: str = "/nowhere/agboxd.sock",
) -> SandboxClientError:
    """Return the error that the caller of a failed RPC gets."""
    asked = pb.GetSandboxRequest(sandbox_id="box-1") if request is None else request
    with (
        pytest.raises(SandboxClientError) as caught,
        explained(method, asked, DaemonAddress(socket_path), Deadline(seconds)),
    ):
        raise failed
    # The errors of gRPC have reprs of many lines, which a traceback would begin with.
    assert caught.value.__suppress_context__
    assert not isinstance(caught.value.__cause__, grpc.RpcError)
    return caught.value


# Source: the daemon's table of reasons.
REASONS: list[tuple[str, str, tuple[str, ...], type[SandboxClientError]]] = [
    ("SANDBOX_NOT_FOUND", "NOT_FOUND", ("sandbox_id",), SandboxNotFoundError),
    ("SANDBOX_ID_ALREADY_EXISTS", "ALREADY_EXISTS", ("sandbox_id",), SandboxConflictError),
    ("SANDBOX_NOT_READY", "FAILED_PRECONDITION", ("sandbox_id",), SandboxNotReadyError),
    ("SANDBOX_INVALID_STATE", "FAILED_PRECONDITION", ("sandbox_id",), SandboxInvalidStateError),
    ("EXEC_ID_ALREADY_EXISTS", "ALREADY_EXISTS", ("exec_id",), ExecConflictError),
    ("EXEC_NOT_FOUND", "NOT_FOUND", ("exec_id",), ExecNotFoundError),
    ("EXEC_ALREADY_TERMINAL", "FAILED_PRECONDITION", ("exec_id",), ExecAlreadyTerminalError),
    (
        "SANDBOX_EVENT_SEQUENCE_EXPIRED",
        "OUT_OF_RANGE",
        ("sandbox_id", "from_sequence"),
        SandboxSequenceExpiredError,
    ),
    ("SANDBOX_CONFLICT", "ALREADY_EXISTS", (), SandboxConflictError),
    ("EXEC_NOT_RUNNING", "FAILED_PRECONDITION", (), ExecNotRunningError),
]


@pytest.mark.parametrize(("reason", "code", "keys", "kind"), REASONS)
def test_each_reason_has_its_class(
    reason: str, code: str, keys: tuple[str, ...], kind: type[SandboxClientError]
) -> None:
    values = {"sandbox_id": "box-9", "exec_id": "exec-9", "from_sequence": "17"}
    metadata = {key: values[key] for key in keys}
    error = raised(failure(code, reason, metadata), request=pb.PingRequest())
    assert type(error) is kind
    assert (error.code, error.reason, error.metadata) == (code, reason, metadata)
    assert error.sandbox_id == metadata.get("sandbox_id")
    assert error.exec_id == metadata.get("exec_id")
    assert not error.retryable
    assert str(error).startswith("get_sandbox: said")


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("SANDBOX_ID_ALREADY_EXISTS", "choose another"),
        ("EXEC_ID_ALREADY_EXISTS", "choose another"),
        ("SANDBOX_NOT_READY", "an exec requires READY: check the state with get_sandbox"),
        ("SANDBOX_INVALID_STATE", "a stop requires READY, a resume requires STOPPED"),
        ("SANDBOX_EVENT_SEQUENCE_EXPIRED", "subscribe from 0"),
    ],
)
def test_messages_name_the_next_step(reason: str, hint: str) -> None:
    assert hint in str(raised(failure("UNKNOWN", reason, {})))


@pytest.mark.parametrize("code", [code.name for code in grpc.StatusCode])
def test_without_a_reason_the_code_speaks(code: str) -> None:
    expected = {
        "INVALID_ARGUMENT": InvalidArgumentError,
        "UNAVAILABLE": DaemonUnavailableError,
        "CANCELLED": DaemonUnavailableError,
        "DEADLINE_EXCEEDED": OperationTimeoutError,
    }
    for failed in (Failure(grpc.StatusCode[code]), failure(code, "A_NEW_REASON", {"new": "fact"})):
        error = raised(failed)
        assert type(error) is expected.get(code, DaemonError)
        assert error.code == code
        assert (error.sandbox_id, error.exec_id) == ("box-1", None)
    assert (error.reason, error.metadata) == ("A_NEW_REASON", {"new": "fact"})


@pytest.mark.parametrize(
    "trailers",
    [
        None,
        (),
        (("other", "x"),),
        ((TRAILER, b"\xff"),),
        ((TRAILER, "not bytes"),),
        ((TRAILER, trailer("SANDBOX_NOT_FOUND", {}, domain="example.com")),),
    ],
)
def test_without_usable_details_the_code_speaks(
    trailers: tuple[tuple[str, str | bytes], ...] | None,
) -> None:
    error = raised(Failure(grpc.StatusCode.NOT_FOUND, "said", trailers))
    assert type(error) is DaemonError
    assert (error.code, error.reason, error.metadata) == ("NOT_FOUND", None, {})


@given(st.binary())
def test_garbage_in_the_trailer_never_hides_the_error(garbage: bytes) -> None:
    assert raised(Failure(trailers=((TRAILER, garbage),))).code == "INTERNAL"


@pytest.mark.parametrize("details", ["", None])
def test_without_a_message_the_error_names_the_code(details: str | None) -> None:
    assert str(raised(Failure(grpc.StatusCode.DATA_LOSS, details))) == "get_sandbox: DATA_LOSS"


def test_what_grpc_says_is_kept_as_data() -> None:
    said = "line\n" * 1000
    error = raised(Failure(grpc.StatusCode.INTERNAL, said))
    assert (error.code, error.details, error.debug_string) == ("INTERNAL", said, "debug")
    assert len(str(error)) < 1100
    for clone in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (clone.details, clone.debug_string) == (said, "debug")
    not_from_an_rpc = raised(DecodeError("wrong wire type"))
    assert (not_from_an_rpc.details, not_from_an_rpc.debug_string) == (None, None)


def test_ids_come_from_the_details_or_else_from_the_request() -> None:
    request = pb.CreateExecRequest(sandbox_id="box-1", exec_id="exec-1")
    error = raised(
        failure("NOT_FOUND", "SANDBOX_NOT_FOUND", {"sandbox_id": "box-2"}), request=request
    )
    assert (error.sandbox_id, error.exec_id) == ("box-2", "exec-1")
    error = raised(failure("NOT_FOUND", "SANDBOX_NOT_FOUND", {"sandbox_id": ""}), request=request)
    assert (error.sandbox_id, error.exec_id) == ("box-1", "exec-1")
    error = raised(Failure(), request=pb.ListActiveExecsRequest(sandbox_id=""))
    assert (error.sandbox_id, error.exec_id) == (None, None)


@pytest.mark.parametrize(
    ("metadata", "from_sequence", "oldest_sequence"),
    [
        ({"from_sequence": "17", "oldest_sequence": "3"}, 17, 3),
        ({"from_sequence": "17"}, 17, None),
        ({}, 9, None),
        ({"from_sequence": "-1", "oldest_sequence": "soon"}, 9, None),
        ({"from_sequence": "\u0661\u00b2", "oldest_sequence": ""}, 9, None),
        ({"from_sequence": str(2**64 - 1), "oldest_sequence": "9" * 21}, 2**64 - 1, None),
        ({"from_sequence": "9" * 5000}, 9, None),
    ],
)
def test_an_expired_sequence_comes_from_the_details_or_else_from_the_request(
    metadata: dict[str, str], from_sequence: int, oldest_sequence: int | None
) -> None:
    error = raised(
        failure("OUT_OF_RANGE", "SANDBOX_EVENT_SEQUENCE_EXPIRED", metadata),
        request=pb.SubscribeSandboxEventsRequest(sandbox_id="box-1", from_sequence=9),
    )
    assert isinstance(error, SandboxSequenceExpiredError)
    assert (error.from_sequence, error.oldest_sequence) == (from_sequence, oldest_sequence)


def test_an_expired_sequence_may_stay_unknown() -> None:
    error = raised(failure("OUT_OF_RANGE", "SANDBOX_EVENT_SEQUENCE_EXPIRED", {}))
    assert isinstance(error, SandboxSequenceExpiredError)
    assert (error.from_sequence, error.oldest_sequence) == (None, None)


def test_a_timeout_names_its_bound_and_how_to_increase_it() -> None:
    error = raised(Failure(grpc.StatusCode.DEADLINE_EXCEEDED), methods.PING, seconds=0.25)
    assert isinstance(error, OperationTimeoutError)
    assert (error.timeout_seconds, error.last_handle) == (0.25, None)
    assert str(error) == "ping did not end within 0.25 s: increase timeout_seconds"


@pytest.mark.parametrize("seconds", [math.inf, 1e9])
def test_a_timeout_of_the_daemons_own_names_no_bound(seconds: float) -> None:
    error = raised(Failure(grpc.StatusCode.DEADLINE_EXCEEDED), seconds=seconds)
    assert isinstance(error, OperationTimeoutError)
    assert error.timeout_seconds is None
    assert str(error) == "get_sandbox: said"


def test_a_peer_that_does_not_know_a_call_is_no_daemon() -> None:
    error = raised(Failure(grpc.StatusCode.UNIMPLEMENTED, "Method not found!"))
    assert str(error) == (
        "get_sandbox: Method not found! "
        "(the peer does not know this call: it is not an agents-sandbox daemon)"
    )


# grpcio 1.62 and 1.85.
@pytest.mark.parametrize("said", ["{}", "Stream removed (CLIENT: {})"])
@pytest.mark.parametrize(
    ("method", "hint"),
    [(methods.LIST_SANDBOXES, "with label_selector"), (methods.GET_EXEC, "not an agents-sandbox")],
)
def test_an_answer_that_is_too_large_is_no_fault_of_the_caller(
    said: str, method: methods.Method[Any, Any], hint: str
) -> None:
    text = said.format("Received message larger than max (100000000 vs. 67108864)")
    error = raised(Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, text), method)
    assert type(error) is ProtocolError
    assert (error.code, error.sandbox_id) == ("RESOURCE_EXHAUSTED", "box-1")
    assert str(error).startswith(f"{method.call}: the answer exceeds the limit of 64 MiB: ")
    assert hint in str(error)


def test_a_request_that_is_too_large_is_another_matter() -> None:
    text = "grpc: received message larger than max (67108865 vs. 4194304)"
    error = raised(Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, text))
    assert (type(error), str(error)) == (DaemonError, f"get_sandbox: {text}")
    assert not error.retryable


@pytest.mark.parametrize("reason", ["", "A_NEW_REASON"])
def test_an_overloaded_daemon_is_worth_a_retry(reason: str) -> None:
    for said in ("too many execs", "", "Too many pending requests for this connection"):
        error = raised(failure("RESOURCE_EXHAUSTED", reason, {}, said))
        assert (type(error), error.retryable) == (DaemonError, True)


@pytest.mark.parametrize(
    "said",
    [
        "Received message larger than max (100000000 vs. 67108864)",
        "received trailing metadata size exceeds hard limit (17000 vs. 16384)",
    ],
)
def test_what_is_too_large_stays_too_large(said: str) -> None:
    assert not raised(Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, said)).retryable


def test_an_absent_daemon_is_looked_for(tmp_path: Path) -> None:
    path = str(tmp_path / "agboxd.sock")
    error = raised(Failure(grpc.StatusCode.UNAVAILABLE, "connect failed"), socket_path=path)
    assert isinstance(error, DaemonUnavailableError)
    assert (error.retryable, error.socket_path, error.sandbox_id) == (True, path, "box-1")
    assert "the socket does not exist" in str(error)


def test_an_absent_daemon_is_looked_for_whatever_it_gave_as_a_reason() -> None:
    error = raised(failure("UNAVAILABLE", "SANDBOX_NOT_FOUND", {"sandbox_id": "box-2"}))
    assert isinstance(error, DaemonUnavailableError)
    assert (error.reason, error.sandbox_id) == ("SANDBOX_NOT_FOUND", "box-2")


@pytest.mark.parametrize("method", methods.METHODS_V02, ids=lambda method: method.name)
def test_an_answer_that_is_no_message_is_a_protocol_error(
    method: methods.Method[Any, Any],
) -> None:
    error = raised(DecodeError("wrong wire type"), method)
    assert type(error) is ProtocolError
    assert str(error).startswith(f"{method.call}: the answer cannot be decoded: ")
    assert (error.code, error.sandbox_id, error.metadata) == (None, "box-1", {})


def test_an_answer_with_a_broken_string_is_a_protocol_error_on_every_protobuf() -> None:
    error = raised(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"))
    assert type(error) is ProtocolError


def test_an_error_of_ours_passes_and_gets_the_ids() -> None:
    ours = ClientClosedError("mine")
    request = pb.CreateExecRequest(sandbox_id="box-1", exec_id="exec-1")
    with (
        pytest.raises(ClientClosedError) as caught,
        explained(methods.CREATE_EXEC, request, DaemonAddress("/x"), Deadline(1.0)),
    ):
        raise ours
    assert caught.value is ours
    assert (str(ours), ours.__cause__, ours.code, ours.metadata) == ("mine", None, None, {})
    assert (ours.sandbox_id, ours.exec_id) == ("box-1", "exec-1")


def test_the_error_of_an_unknown_address_has_the_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    address, request = DaemonAddress(None), pb.GetSandboxRequest(sandbox_id="box-1")
    with (
        pytest.raises(DaemonUnavailableError, match="XDG_RUNTIME_DIR is not set") as caught,
        explained(methods.GET_SANDBOX, request, address, Deadline(1.0)),
    ):
        address.target()
    assert (caught.value.sandbox_id, caught.value.exec_id) == ("box-1", None)
    assert (caught.value.socket_path, caught.value.code) == (None, "UNAVAILABLE")


@pytest.mark.parametrize("bug", [RuntimeError("bug"), KeyboardInterrupt()])
def test_other_exceptions_pass_unchanged(bug: BaseException) -> None:
    with (
        pytest.raises(type(bug)) as caught,
        explained(methods.PING, pb.PingRequest(), DaemonAddress("/x"), Deadline(1.0)),
    ):
        raise bug
    assert caught.value is bug


def test_the_details_of_an_error_cannot_be_changed() -> None:
    error = raised(failure("NOT_FOUND", "SANDBOX_NOT_FOUND", {"sandbox_id": "box-1"}))
    with pytest.raises(TypeError):
        # Type checkers refuse it too, as intended.
        error.metadata["sandbox_id"] = "box-2"  # type: ignore[index]  # wrong on purpose


def test_the_channel_suits_a_local_socket_and_never_pings() -> None:
    assert dict(CHANNEL_OPTIONS) == {
        "grpc.default_authority": "localhost",
        "grpc.enable_http_proxy": 0,
        "grpc.initial_reconnect_backoff_ms": 50,
        "grpc.max_reconnect_backoff_ms": 1000,
        "grpc.max_receive_message_length": 64 * 1024 * 1024,
    }
