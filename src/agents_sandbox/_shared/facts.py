"""Facts of the protocol, beyond its messages, that the client and the fake daemon share."""

from __future__ import annotations

import re

ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,198}[a-zA-Z0-9]")
"""Ids that a caller may choose for a new sandbox or exec."""

MAX_PORT = 65535


class Reason:
    """The reasons in the daemon's `ErrorInfo`: why a call failed, in machine-readable form."""

    SANDBOX_NOT_FOUND = "SANDBOX_NOT_FOUND"
    SANDBOX_ID_ALREADY_EXISTS = "SANDBOX_ID_ALREADY_EXISTS"
    SANDBOX_CONFLICT = "SANDBOX_CONFLICT"
    SANDBOX_NOT_READY = "SANDBOX_NOT_READY"
    SANDBOX_INVALID_STATE = "SANDBOX_INVALID_STATE"
    SANDBOX_EVENT_SEQUENCE_EXPIRED = "SANDBOX_EVENT_SEQUENCE_EXPIRED"
    EXEC_ID_ALREADY_EXISTS = "EXEC_ID_ALREADY_EXISTS"
    EXEC_NOT_FOUND = "EXEC_NOT_FOUND"
    EXEC_NOT_RUNNING = "EXEC_NOT_RUNNING"
    EXEC_ALREADY_TERMINAL = "EXEC_ALREADY_TERMINAL"
