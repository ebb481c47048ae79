"""Faults that tests inject into the next calls."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Protocol, TypeAlias

import grpc

from .._wire.methods import METHODS_V02
from ._errors import StatusError, status_details


class Serializable(Protocol):
    """A message in any form that can say what it looks like on the wire."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Return the message as it travels."""
        ...


WireMessage: TypeAlias = bytes | Serializable
"""A message of the daemon's protocol: its bytes on the wire, or a protobuf message."""


def wire_bytes(message: WireMessage) -> bytes:
    """Return a message as it travels."""
    return message if isinstance(message, bytes) else message.SerializeToString()


_STREAMS = {method.name: method.streams for method in METHODS_V02}


class Faults:
    """What is to happen to the next calls of each method instead of the real thing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: dict[str, deque[StatusError | bytes]] = {name: deque() for name in _STREAMS}

    def plan_failure(self, method: str, failure: StatusError, times: int) -> None:
        """Let the next `times` calls end with a failure.

        Raises:
            ValueError: There is no such method.
        """
        check_method(method)
        with self._lock:
            self._planned[method].extend([failure] * times)

    def plan_answer(self, method: str, answer: bytes) -> None:
        """Let the next call answer this.

        Raises:
            ValueError: There is no such method, or it streams its answers.
        """
        check_method(method)
        if _STREAMS[method]:
            raise ValueError(f"{method} streams its answers: use emit() instead")
        with self._lock:
            self._planned[method].append(answer)

    def take(self, method: str) -> bytes | None:
        """What the call that just arrived shall answer, if anything was planned.

        Raises:
            StatusError: It shall fail.
        """
        with self._lock:
            planned = self._planned[method]
            fault = planned.popleft() if planned else None
        if isinstance(fault, StatusError):
            raise fault
        return fault


def check_method(method: str) -> None:
    """Refuse a name that is no RPC.

    Raises:
        ValueError: There is no such method.
    """
    if method not in _STREAMS:
        raise ValueError(f"{method!r} is not one of the RPCs: {', '.join(_STREAMS)}")


def planned_failure(
    code: str,
    message: str,
    *,
    reason: str | None,
    domain: str,
    metadata: Mapping[str, str] | None,
    details: bytes | None,
) -> StatusError:
    """Make the failure that a test asks for.

    Raises:
        ValueError: The code is no gRPC status, or is OK.
    """
    if code == "OK" or code not in grpc.StatusCode.__members__:
        raise ValueError(f"{code!r} is not the name of a gRPC status that means failure")
    status = grpc.StatusCode[code]
    if details is None and reason is not None:
        details = status_details(
            status, message, reason=reason, domain=domain, metadata=metadata or {}
        )
    return StatusError(status, message, details)
