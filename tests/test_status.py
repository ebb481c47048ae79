"""The daemon's structured details in a trailer: found if present, None otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents_sandbox._wire import status_pb2
from agents_sandbox._wire.status import DOMAIN, TRAILER, ErrorInfo, decode_error_info

ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


def test_the_names_are_the_daemons_and_grpcs() -> None:
    assert (DOMAIN, TRAILER) == ("agents-sandbox", "grpc-status-details-bin")


def detail(
    reason: str = "SANDBOX_NOT_FOUND",
    metadata: dict[str, str] | None = None,
    *,
    domain: str = "agents-sandbox",
    type_url: str = ERROR_INFO,
) -> dict[str, Any]:
    info = status_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)
    return {"type_url": type_url, "value": info.SerializeToString()}


def trailer(*details: dict[str, Any]) -> bytes:
    return status_pb2.Status(code=5, message="said", details=details).SerializeToString()


def test_the_daemons_details_are_found() -> None:
    found = decode_error_info(trailer(detail("SANDBOX_NOT_FOUND", {"sandbox_id": "box-1"})))
    assert found == ErrorInfo("SANDBOX_NOT_FOUND", {"sandbox_id": "box-1"})


def test_the_layout_is_googles() -> None:
    recorded = (
        b"\x08\x05\x12\x04said\x1aL\n(type.googleapis.com/google.rpc.ErrorInfo"
        b"\x12 \n\x0eEXEC_NOT_FOUND\x12\x0eagents-sandbox"
    )
    assert decode_error_info(recorded) == ErrorInfo("EXEC_NOT_FOUND", {})


def test_foreign_details_are_passed_over() -> None:
    foreign = (
        detail("QUOTA", domain="example.com"),
        detail("SANDBOX_NOT_READY", type_url="type.googleapis.com/google.rpc.RetryInfo"),
        {"type_url": "type.googleapis.com/google.rpc.DebugInfo", "value": b"\xff\xff"},
    )
    assert decode_error_info(trailer(*foreign)) is None
    found = decode_error_info(trailer(*foreign, detail("EXEC_NOT_FOUND"), detail("LATER")))
    assert found == ErrorInfo("EXEC_NOT_FOUND", {})


@pytest.mark.parametrize(
    "details",
    [None, b"", b"\xff", trailer(), trailer({"type_url": ERROR_INFO, "value": b"\xff"})],
)
def test_details_without_information_are_none(details: bytes | None) -> None:
    assert decode_error_info(details) is None


@given(st.binary())
def test_decoding_is_total(garbage: bytes) -> None:
    decode_error_info(garbage)
    decode_error_info(trailer({"type_url": ERROR_INFO, "value": garbage}))
