"""Malformed error details."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from google.protobuf.any_pb2 import Any as AnyMessage

from ..._wire.status import DOMAIN, ERROR_INFO_TYPE
from ..._wire.status_pb2 import Status
from .._protocol.refusals import StatusError, status_details


def _truncated(failure: StatusError) -> bytes:
    # The last field has a length prefix, which is then too large.
    return _valid(failure)[:-1]


def _wrong_type(failure: StatusError) -> bytes:
    status = Status.FromString(_valid(failure))
    status.details[0].type_url = "type.googleapis.com/agbox.v1.Nonsense"
    return status.SerializeToString()


def _not_utf8(failure: StatusError) -> bytes:
    # Field 1, the reason, has 2 bytes that are not valid UTF-8.
    info = AnyMessage(type_url=ERROR_INFO_TYPE, value=b"\x0a\x02\xff\xfe")
    code: int = failure.code.value[0]
    return Status(code=code, message=failure.message, details=[info]).SerializeToString()


def _noise(_: StatusError) -> bytes:
    return b"\xff" * 16


def _valid(failure: StatusError) -> bytes:
    return status_details(
        failure.code, failure.message, reason="MALFORMED", domain=DOMAIN, metadata={}
    )


GARBAGE: Mapping[str, Callable[[StatusError], bytes]] = {
    "truncated": _truncated,
    "wrong_type": _wrong_type,
    "not_utf8": _not_utf8,
    "noise": _noise,
}
"""Functions that make malformed details for a failure, by kind."""
