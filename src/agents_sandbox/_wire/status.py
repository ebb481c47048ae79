"""The daemon's structured error details, from the trailer `grpc-status-details-bin`.

`grpcio-status` does this too but pins grpcio and protobuf in lock-step and may
raise inside of error handling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from . import status_pb2 as pb

DOMAIN = "agents-sandbox"
"""Domain of every ErrorInfo of the daemon."""

TRAILER = "grpc-status-details-bin"
"""Trailing metadata key that carries the details."""

ERROR_INFO_TYPE = "type.googleapis.com/google.rpc.ErrorInfo"
"""Type of the detail that holds one."""


@dataclass(frozen=True)
class ErrorInfo:
    """What the daemon says about an error, for programs."""

    reason: str
    metadata: Mapping[str, str] = field(default_factory=dict)


def decode_error_info(details: bytes | None) -> ErrorInfo | None:
    """Find the daemon's ErrorInfo in a trailer.

    Total: whatever is missing, foreign or garbage gives None, and the status
    code alone speaks.

    Args:
        details: Content of the trailer, or None without one.
    """
    if details is None:
        return None
    try:
        for detail in pb.Status.FromString(details).details:
            if detail.type_url == ERROR_INFO_TYPE:
                info = pb.ErrorInfo.FromString(detail.value)
                if info.domain == DOMAIN:
                    return ErrorInfo(info.reason, dict(info.metadata))
    except (DecodeError, UnicodeDecodeError):
        return None
    return None
