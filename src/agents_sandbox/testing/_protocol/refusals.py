"""The errors of RPCs: gRPC code, message and error details.

Only errors with a reason carry an `ErrorInfo`.
"""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage

from ..._shared.facts import Reason
from ..._wire.status import DOMAIN, ERROR_INFO_TYPE
from ..._wire.status_pb2 import ErrorInfo, Status


class StatusError(Exception):
    """Ends the current RPC with a status other than OK."""

    def __init__(self, code: grpc.StatusCode, message: str, details: bytes | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        """The `grpc-status-details-bin` trailer; None: no trailer."""


def status_details(
    code: grpc.StatusCode,
    message: str,
    *,
    reason: str,
    metadata: Mapping[str, str],
    domain: str = DOMAIN,
) -> bytes:
    """Encode a `google.rpc.Status` with one `ErrorInfo`."""
    info = ErrorInfo(reason=reason, domain=domain, metadata=metadata)
    detail = AnyMessage(type_url=ERROR_INFO_TYPE, value=info.SerializeToString())
    return Status(code=code.value[0], message=message, details=[detail]).SerializeToString()


def _refusal(
    code: grpc.StatusCode, reason: str, message: str, metadata: Mapping[str, str]
) -> StatusError:
    details = status_details(code, message, reason=reason, metadata=metadata)
    return StatusError(code, message, details)


def invalid_argument(message: str) -> StatusError:
    """The request is invalid; no details are sent."""
    return StatusError(grpc.StatusCode.INVALID_ARGUMENT, message)


def sandbox_not_found(sandbox_id: str) -> StatusError:
    """The sandbox does not exist, or its record was purged."""
    return _refusal(
        grpc.StatusCode.NOT_FOUND,
        Reason.SANDBOX_NOT_FOUND,
        f"sandbox {sandbox_id} was not found",
        {"sandbox_id": sandbox_id},
    )


def sandbox_id_already_exists(sandbox_id: str) -> StatusError:
    """The id was used before, even if that sandbox was purged."""
    return _refusal(
        grpc.StatusCode.ALREADY_EXISTS,
        Reason.SANDBOX_ID_ALREADY_EXISTS,
        f"sandbox_id {sandbox_id} already exists",
        {"sandbox_id": sandbox_id},
    )


def sandbox_not_ready(sandbox_id: str) -> StatusError:
    """Execs require a READY sandbox."""
    return _refusal(
        grpc.StatusCode.FAILED_PRECONDITION,
        Reason.SANDBOX_NOT_READY,
        f"sandbox {sandbox_id} is not ready",
        {"sandbox_id": sandbox_id},
    )


def sandbox_invalid_state(sandbox_id: str, *, expected: str) -> StatusError:
    """A stop or resume requires another state: `expected` ("ready", "stopped")."""
    return _refusal(
        grpc.StatusCode.FAILED_PRECONDITION,
        Reason.SANDBOX_INVALID_STATE,
        f"sandbox {sandbox_id} is not {expected}",
        {"sandbox_id": sandbox_id},
    )


def exec_not_found(exec_id: str) -> StatusError:
    """The exec does not exist, or its sandbox was purged."""
    return _refusal(
        grpc.StatusCode.NOT_FOUND,
        Reason.EXEC_NOT_FOUND,
        f"exec {exec_id} was not found",
        {"exec_id": exec_id},
    )


def exec_id_already_exists(exec_id: str) -> StatusError:
    """The id was used before, in any sandbox."""
    return _refusal(
        grpc.StatusCode.ALREADY_EXISTS,
        Reason.EXEC_ID_ALREADY_EXISTS,
        f"exec_id {exec_id} already exists",
        {"exec_id": exec_id},
    )


def exec_already_terminal(exec_id: str) -> StatusError:
    """The exec has ended and cannot be cancelled."""
    return _refusal(
        grpc.StatusCode.FAILED_PRECONDITION,
        Reason.EXEC_ALREADY_TERMINAL,
        f"exec {exec_id} is already terminal",
        {"exec_id": exec_id},
    )


def exec_output_failed(why: str) -> StatusError:
    """The folder for the log files cannot be created; no details are sent."""
    message = f"prepare exec artifact output: {why}"
    return StatusError(grpc.StatusCode.FAILED_PRECONDITION, message)


def shutting_down() -> StatusError:
    """The daemon is shutting down; no details are sent."""
    return StatusError(grpc.StatusCode.UNAVAILABLE, "shutting down")


def event_sequence_expired(sandbox_id: str, from_sequence: int) -> StatusError:
    """The requested start of the stream is after the newest event."""
    return _refusal(
        grpc.StatusCode.OUT_OF_RANGE,
        Reason.SANDBOX_EVENT_SEQUENCE_EXPIRED,
        f"sandbox {sandbox_id} event sequence {from_sequence} is outside retained history",
        {"sandbox_id": sandbox_id, "from_sequence": str(from_sequence)},
    )
