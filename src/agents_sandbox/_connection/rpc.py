"""gRPC's options and errors, for both halves of the primitive pair."""

from __future__ import annotations

import re
from typing import Any, NoReturn, cast

import grpc
from google.protobuf.message import DecodeError, Message

from .._deadline import Deadline
from .._shared.facts import Reason
from .._shared.shown import shortened
from .._wire.methods import Method
from .._wire.status import TRAILER, ErrorInfo, decode_error_info
from ..errors import (
    CODES,
    REASONS,
    DaemonError,
    OperationTimeoutError,
    ProtocolError,
    SandboxClientError,
    SandboxSequenceExpiredError,
    _Facts,
)
from .address import DaemonAddress

# Neither of gRPC's own limits fits. The default of 4 MiB is too small for a list of some ten
# thousand sandboxes, which takes 1.2 MB at least and 5.4 MB with ten labels of 40 bytes each.
# Without a limit the peer would decide how much memory we use. gRPC 1.85 refuses an answer by its
# announced size; up to 1.80 it receives the answer first but does not deliver it.
MAX_ANSWER_BYTES = 64 * 1024 * 1024

# No keepalive: the daemon's server answers pings that come more often than every five minutes by
# closing the connection.
CHANNEL_OPTIONS: tuple[tuple[str, str | int], ...] = (
    # Otherwise the percent-encoded socket path is sent as the host name.
    ("grpc.default_authority", "localhost"),
    # A proxy from the environment must not be used for a local socket.
    ("grpc.enable_http_proxy", 0),
    # gRPC's own 1 s to 120 s would outlast a daemon's restart by far. Do not set
    # min_reconnect_backoff_ms: it limits how long a connection attempt may take, and a busy daemon
    # needs more than a few ms.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
)

# Only the text identifies gRPC's own refusal: in every release it ends in the size and the limit.
# The limit distinguishes it from the daemon's refusal of a request that is too large.
_OVER_LIMIT = f" vs. {MAX_ANSWER_BYTES})"
_OVER_ANY_LIMIT = re.compile(r" vs\. [0-9]+\)")

_UINT64 = re.compile("[0-9]{1,20}")

# What the reader of a message can do next, by the daemon's reason or else by the status code.
_HINTS = {
    Reason.SANDBOX_ID_ALREADY_EXISTS: "ids are never freed: choose another one or omit it",
    Reason.EXEC_ID_ALREADY_EXISTS: "ids are never freed: choose another one or omit it",
    Reason.SANDBOX_NOT_READY: "an exec requires READY: check the state with get_sandbox",
    Reason.SANDBOX_INVALID_STATE: "a stop requires READY, a resume requires STOPPED",
    Reason.SANDBOX_EVENT_SEQUENCE_EXPIRED: (
        "subscribe from 0 or from a handle's last_event_sequence"
    ),
    "UNIMPLEMENTED": "the peer does not know this call: it is not an agents-sandbox daemon",
}

# Our own cancels are handled elsewhere; these come from the peer. Servers built on gRPC's C core
# answer CANCELLED to calls that arrive while they shut down.
_LOST = ("UNAVAILABLE", "CANCELLED")


class CallError(grpc.RpcError):
    """Why a call failed, as data: gRPC's own error can be the call itself, with its locks."""

    def __init__(
        self,
        code: grpc.StatusCode,
        details: str | None,
        trailers: Any = None,
        debug_string: str | None = None,
    ) -> None:
        super().__init__(f"{code.name}: {details}")
        self._status = code, details, trailers, debug_string

    @classmethod
    def of(cls, error: grpc.RpcError) -> CallError:
        """Copy what gRPC raised."""
        # Otherwise a call that raised itself would stay alive until the next garbage collection.
        call: Any = error.with_traceback(None)
        return cls(call.code(), call.details(), call.trailing_metadata(), call.debug_error_string())

    def code(self) -> grpc.StatusCode:
        """Return the status code."""
        return self._status[0]

    def details(self) -> str | None:
        """Return the message, or None."""
        return self._status[1]

    def trailing_metadata(self) -> Any:
        """Return the trailing metadata, or None."""
        return self._status[2]

    def debug_error_string(self) -> str | None:
        """Return what gRPC says to its developers, or None."""
        return self._status[3]


FAILURES = (
    grpc.RpcError,
    SandboxClientError,
    DecodeError,
    # The Python implementation of protobuf raises this one where the C one raises DecodeError.
    UnicodeDecodeError,
)
"""What an RPC and the decoding of its answer raise."""


def raise_explained(
    failure: BaseException,
    method: Method[Any, Any],
    request: Message,
    address: DaemonAddress,
    deadline: Deadline,
) -> NoReturn:
    """Raise the error of this SDK that says what a failure means, while that is handled.

    Args:
        failure: One of `FAILURES`.
        method: The RPC.
        request: The request; errors take the ids from it that their details lack.
        address: Where it was sent.
        deadline: The deadline of the RPC.
    """
    with concerning(_id(request, "sandbox_id"), _id(request, "exec_id")):
        if isinstance(failure, SandboxClientError):
            raise failure
        if isinstance(failure, grpc.RpcError):
            # Not from gRPC's error, whose repr has many lines: ours has its data.
            raise _from_rpc_error(method, request, address, deadline, failure) from None
        hint = ""
        if method.name == "CreateSandbox":
            hint = ". The sandbox may exist with different content: delete it"
        raise ProtocolError(
            f"{method.call}: the answer cannot be decoded: the peer is not an agents-sandbox "
            f"daemon, or speaks another wire dialect{hint}"
        ) from failure


def stream_timeout(method: Method[Any, Any], deadline: Deadline) -> OperationTimeoutError:
    """Make the error of a stream whose deadline has passed."""
    text = _text(method.call, "DEADLINE_EXCEEDED", "", ErrorInfo(""), deadline)
    return OperationTimeoutError(text, code="DEADLINE_EXCEEDED", timeout_seconds=deadline.bound)


class concerning:  # noqa: N801 - it is used like a function
    """Fill in the sandbox and exec ids of errors raised in the block that lack them."""

    # A generator would be shorter, but half a dozen of them take a tenth of the CPU time of a call.
    __slots__ = ("_exec_id", "_sandbox_id")

    def __init__(self, sandbox_id: str | None = None, exec_id: str | None = None) -> None:
        self._sandbox_id = sandbox_id
        self._exec_id = exec_id

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, SandboxClientError):
            error.sandbox_id = error.sandbox_id or self._sandbox_id
            error.exec_id = error.exec_id or self._exec_id


def _from_rpc_error(
    method: Method[Any, Any],
    request: Message,
    address: DaemonAddress,
    deadline: Deadline,
    rpc_error: grpc.RpcError,
) -> SandboxClientError:
    call: Any = rpc_error
    error = _from_status(method, request, address, deadline, rpc_error)
    error.details, error.debug_string = call.details(), call.debug_error_string()
    # An overloaded peer may have room later, but a message stays too large.
    if error.code == "RESOURCE_EXHAUSTED" and not _OVER_ANY_LIMIT.search(error.details or ""):
        error.retryable = True
    return error


def _from_status(
    method: Method[Any, Any],
    request: Message,
    address: DaemonAddress,
    deadline: Deadline,
    rpc_error: grpc.RpcError,
) -> SandboxClientError:
    code, message, info = _status(rpc_error)
    # At our deadline servers also say CANCELLED. Recorded for a sixth of the streams.
    if code == "CANCELLED" and deadline.is_near():
        code = "DEADLINE_EXCEEDED"
    facts = _Facts(
        sandbox_id=info.metadata.get("sandbox_id") or _id(request, "sandbox_id"),
        exec_id=info.metadata.get("exec_id") or _id(request, "exec_id"),
        code=code,
        reason=info.reason or None,
        metadata=info.metadata,
    )
    if code in _LOST:
        return address.unavailable(message or code, **facts)
    if code == "RESOURCE_EXHAUSTED" and _OVER_LIMIT in message:
        return ProtocolError(_too_large(method), **facts)
    kind = REASONS.get(info.reason) or CODES.get(code, DaemonError)
    text = _text(method.call, code, message, info, deadline)
    if issubclass(kind, OperationTimeoutError):
        return kind(message=text, timeout_seconds=deadline.bound, **facts)
    if issubclass(kind, SandboxSequenceExpiredError):
        return kind(
            message=text,
            from_sequence=_number(info, "from_sequence", request),
            oldest_sequence=_number(info, "oldest_sequence", None),
            **facts,
        )
    return kind(message=text, **facts)


def _id(request: Message, name: str) -> str | None:
    return getattr(request, name, None) or None


def _status(rpc_error: grpc.RpcError) -> tuple[str, str, ErrorInfo]:
    # Every RpcError that grpcio raises is also a Call; its stubs do not say so.
    call = cast("grpc.Call", rpc_error)
    details = next((value for key, value in call.trailing_metadata() or () if key == TRAILER), None)
    info = decode_error_info(details if isinstance(details, bytes) else None)
    return call.code().name, call.details() or "", info or ErrorInfo("")


def _text(call: str, code: str, message: str, info: ErrorInfo, deadline: Deadline) -> str:
    if code == "DEADLINE_EXCEEDED" and deadline.bound is not None:
        return f"{call} did not end within {deadline.bound:g} s: increase timeout_seconds"
    hint = _HINTS.get(info.reason) or _HINTS.get(code)
    text = f"{call}: {shortened(message or code)}"
    return f"{text} ({hint})" if hint else text


def _too_large(method: Method[Any, Any]) -> str:
    hint = "the peer is broken or is not an agents-sandbox daemon"
    if method.name == "ListSandboxes":
        hint = "list fewer sandboxes at once with label_selector"
    return f"{method.call}: the answer exceeds the limit of {MAX_ANSWER_BYTES >> 20} MiB: {hint}"


def _number(info: ErrorInfo, key: str, request: Message | None) -> int | None:
    value = info.metadata.get(key, "")
    return int(value) if _UINT64.fullmatch(value) else getattr(request, key, None)
