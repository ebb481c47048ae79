"""The daemon's structured error details, from the trailer `grpc-status-details-bin`.

`grpcio-status` decodes them too, but it ties grpcio and protobuf to matching versions and may
raise during error handling.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from google.protobuf.message import DecodeError

from .._frozen import FrozenMapping
from . import status_pb2 as pb

DOMAIN = "agents-sandbox"
"""The domain of every ErrorInfo of the daemon."""

TRAILER = "grpc-status-details-bin"
"""The key of the trailing metadata that carries the details."""

ERROR_INFO_TYPE = "type.googleapis.com/google.rpc.ErrorInfo"
"""The type URL of a detail that contains an ErrorInfo."""


class ErrorInfo(NamedTuple):
    """The daemon's machine-readable reason of an error."""

    reason: str
    metadata: Mapping[str, str] = FrozenMapping()


def decode_error_info(details: bytes | None) -> ErrorInfo | None:
    """Find the daemon's ErrorInfo in a trailer.

    It never raises: None means that the details are missing, foreign or malformed, and that only
    the status code says what went wrong.

    Args:
        details: The content of the trailer; None if there is no trailer.
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
