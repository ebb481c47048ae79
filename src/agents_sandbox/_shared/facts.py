"""Facts of the protocol, beyond its messages, that the client and the fake daemon share."""

from __future__ import annotations

import re
from collections.abc import Sequence

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


KILL_NAME = "agents-sandbox-kill"
"""The name of the client's script that kills an exec: `sh -c SCRIPT NAME EXEC_ID ...`."""


class KillExit:
    """The exit codes of that script."""

    KILLED = 0
    NOT_FOUND = 80
    """No process is that of the exec, or the only one cannot be recognised."""
    AMBIGUOUS = 81
    """Several processes could be."""
    NOT_PERMITTED = 82
    """Some of its processes belong to another user."""
    NO_PROC = 83
    """The sandbox has no `/proc`."""


def killed_exec(argv: Sequence[str]) -> str | None:
    """Return the id of the exec that an argv is to kill; None: it is not that script."""
    is_kill = len(argv) > _KILL_EXEC_ID and argv[_KILL_EXEC_ID - 1] == KILL_NAME
    return argv[_KILL_EXEC_ID] if is_kill and tuple(argv[:2]) == ("sh", "-c") else None


_KILL_EXEC_ID = 4
