"""What both halves of the primitive pair share of gRPC: options and errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError, Message

from ._address import DaemonAddress
from ._deadline import Deadline
from ._facts import Reason
from ._frozen import FrozenMapping
from ._wire.methods import Method
from ._wire.status import TRAILER, ErrorInfo, decode_error_info
from .errors import (
    CODES,
    REASONS,
    DaemonError,
    OperationTimeoutError,
    ProtocolError,
    SandboxClientError,
    SandboxSequenceExpiredError,
)

# gRPC has no limit of its own that fits: its default of 4 MiB is less than a list of some ten
# thousand sandboxes can have, and without any the peer decides on our memory. Such a list takes
# 1.2 MB at least, and 5.4 MB with ten labels of 40 bytes each. gRPC 1.85 refuses by the size that
# an answer is said to have; up to 1.80 it receives the answer first, but hands none of it on.
MAX_ANSWER_BYTES = 64 * 1024 * 1024

# No keepalive: the daemon's server answers pings that come more often than
# every five minutes by closing the connection.
CHANNEL_OPTIONS: tuple[tuple[str, str | int], ...] = (
    # Else the percent-encoded socket path goes out as the host name.
    ("grpc.default_authority", "localhost"),
    # A proxy from the environment has no business on a local socket.
    ("grpc.enable_http_proxy", 0),
    # gRPC's own 1 s to 120 s would outlast a daemon's restart by far. The
    # option min_reconnect_backoff_ms stays as it is: in truth it bounds how
    # long a connection may take, and a busy daemon needs more than some ms.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
    # Else two clients in a process would share one connection and its backoff.
    ("grpc.use_local_subchannel_pool", 1),
)

# gRPC's own refusal has no mark but its text, which ends in the size and the limit in every
# release. By the limit it differs from what the daemon's server says to a request too large.
_OVER_LIMIT = f" vs. {MAX_ANSWER_BYTES})"

_UINT64 = re.compile("[0-9]{1,20}")

# The next step for whoever reads the message, by the daemon's reason or else by the status code.
_HINTS = {
    Reason.SANDBOX_ID_ALREADY_EXISTS: "ids are never freed: choose another, or leave it out",
    Reason.EXEC_ID_ALREADY_EXISTS: "ids are never freed: choose another, or leave it out",
    Reason.SANDBOX_NOT_READY: "wait until it is READY; a STOPPED one can be resumed",
    Reason.SANDBOX_INVALID_STATE: "a stop needs READY, a resume needs STOPPED",
    Reason.SANDBOX_EVENT_SEQUENCE_EXPIRED: (
        "subscribe from 0, or from a handle's last_event_sequence"
    ),
    "UNIMPLEMENTED": "the peer does not know this call: it is no agents-sandbox daemon",
}


# Our own cancels never come here: these are the peer's. Servers on gRPC's C core say CANCELLED to
# what comes in while they go down.
_LOST = ("UNAVAILABLE", "CANCELLED")


@contextmanager
def rpc_errors(
    method: Method[Any, Any], request: Message, address: DaemonAddress, deadline: Deadline
) -> Iterator[None]:
    """Turn whatever goes wrong in an RPC into an error of the SDK.

    Args:
        method: The RPC.
        request: What was asked; its ids go into errors that carry no details.
        address: Where it was sent.
        deadline: By when it had to be done.
    """
    try:
        yield
    except SandboxClientError as error:
        _about(request, error)
        raise
    except grpc.RpcError as rpc_error:
        raise _about(request, _from_status(method, request, address, deadline, rpc_error)) from (
            rpc_error
        )
    # Protobuf written in Python says UnicodeDecodeError where the one in C says
    # DecodeError.
    except (DecodeError, UnicodeDecodeError) as decode_error:
        hint = ". The sandbox may be there, with other content: delete it"
        misunderstood = ProtocolError(
            f"{method.name}: the answer is not a {method.response_type.__name__}: the peer is "
            "no agents-sandbox daemon, or speaks another wire dialect"
            f"{hint if method.name == 'CreateSandbox' else ''}"
        )
        raise _about(request, misunderstood) from decode_error


@contextmanager
def concerning(sandbox_id: str | None = None, exec_id: str | None = None) -> Iterator[None]:
    """Let errors tell the ids that a call was about, where the RPC that failed had none."""
    try:
        yield
    except SandboxClientError as error:
        error.sandbox_id = error.sandbox_id or sandbox_id
        error.exec_id = error.exec_id or exec_id
        raise


def _from_status(
    method: Method[Any, Any],
    request: Message,
    address: DaemonAddress,
    deadline: Deadline,
    rpc_error: grpc.RpcError,
) -> SandboxClientError:
    code, message, info = _status(rpc_error)
    error: SandboxClientError
    if code in _LOST:
        error = address.unavailable(message or code)
    elif code == "RESOURCE_EXHAUSTED" and _OVER_LIMIT in message:
        error = ProtocolError(_too_large(method))
    else:
        kind = REASONS.get(info.reason) or CODES.get(code, DaemonError)
        error = kind(_text(method.name, code, message, info, deadline))
    error.code, error.reason = code, info.reason or None
    error.metadata = FrozenMapping(info.metadata)
    if isinstance(error, OperationTimeoutError):
        error.timeout_seconds = deadline.bound
    if isinstance(error, SandboxSequenceExpiredError):
        error.from_sequence = _number(info, "from_sequence", request)
        error.oldest_sequence = _number(info, "oldest_sequence", None)
    return error


def _about(request: Message, error: SandboxClientError) -> SandboxClientError:
    for name in ("sandbox_id", "exec_id"):
        known = error.metadata.get(name) or getattr(request, name, "")
        setattr(error, name, known or getattr(error, name))
    return error


def _status(rpc_error: grpc.RpcError) -> tuple[str, str, ErrorInfo]:
    # Every RpcError that grpcio raises is a Call as well; its stubs do not say so.
    call = cast("grpc.Call", rpc_error)
    details = next((value for key, value in call.trailing_metadata() or () if key == TRAILER), None)
    info = decode_error_info(details if isinstance(details, bytes) else None)
    return call.code().name, call.details() or "", info or ErrorInfo("")


def _text(call: str, code: str, message: str, info: ErrorInfo, deadline: Deadline) -> str:
    if code == "DEADLINE_EXCEEDED" and deadline.bound is not None:
        return f"{call} did not end within {deadline.bound:g} s: raise timeout_seconds"
    hint = _HINTS.get(info.reason) or _HINTS.get(code)
    text = f"{call}: {message or code}"
    return f"{text} ({hint})" if hint else text


def _too_large(method: Method[Any, Any]) -> str:
    hint = "the peer is no agents-sandbox daemon, or a broken one"
    if method.name == "ListSandboxes":
        hint = "list fewer sandboxes at once, with label_selector"
    return f"{method.name}: the answer is over the limit of {MAX_ANSWER_BYTES >> 20} MiB: {hint}"


def _number(info: ErrorInfo, key: str, request: Message | None) -> int | None:
    value = info.metadata.get(key, "")
    return int(value) if _UINT64.fullmatch(value) else getattr(request, key, None)
