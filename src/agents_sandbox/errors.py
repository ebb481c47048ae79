"""Typed errors, shared by both client flavours.

    SandboxClientError
    ├── ClientClosedError              (RuntimeError)
    ├── ClientLoopError                (RuntimeError)
    ├── InvalidArgumentError           (ValueError)
    │   └── UnsupportedByDaemonError
    ├── DaemonUnavailableError         (ConnectionError)
    ├── OperationTimeoutError          (TimeoutError)
    ├── ProtocolError
    ├── UnsupportedDaemonError
    ├── DaemonError
    ├── SandboxNotFoundError
    ├── SandboxConflictError
    │   └── ExecConflictError
    ├── SandboxInvalidStateError
    │   └── SandboxNotReadyError
    ├── SandboxFailedError
    ├── SandboxSequenceExpiredError
    ├── ExecNotFoundError
    └── ExecNotRunningError
        └── ExecAlreadyTerminalError

The daemon's answers become these by the domain, reason and metadata of their
structured details, never by the text of a message: see `REASONS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ._facts import Reason
from ._frozen import FrozenMapping

if TYPE_CHECKING:
    from .models import ExecHandle, SandboxHandle


class SandboxClientError(Exception):
    """Base class of all errors raised by this SDK.

    Every fact is an attribute, so no caller has to read the message. Errors
    survive `pickle` and `copy` with all of them.

    Attributes:
        sandbox_id: The sandbox concerned, or None.
        exec_id: The exec concerned, or None.
        code: Name of the gRPC status code, e.g. `"NOT_FOUND"`; None when the
            error did not come from an RPC.
        reason: The daemon's own reason, e.g. `"SANDBOX_NOT_FOUND"`, or None.
        metadata: The daemon's structured details, as they came.
        retryable: Whether the same call may succeed later with nothing
            changed. It says nothing of what this one has done already.
    """

    retryable: bool = False

    # Only the message is positional: `args` then rebuilds the error and its
    # `__dict__` restores the facts, which is how exceptions pickle and copy.
    def __init__(
        self,
        message: str = "",
        *,
        sandbox_id: str | None = None,
        exec_id: str | None = None,
        code: str | None = None,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.sandbox_id = sandbox_id
        self.exec_id = exec_id
        self.code = code
        self.reason = reason
        self.metadata: Mapping[str, str] = FrozenMapping(metadata or {})


class ClientClosedError(SandboxClientError, RuntimeError):
    """The client was closed, before the call or while it was under way."""


class ClientLoopError(SandboxClientError, RuntimeError):
    """The async client cannot be used from here.

    It is used from a second event loop while its first one lives, or in a child process that
    was forked while an async client was open.
    """


class InvalidArgumentError(SandboxClientError, ValueError):
    """An argument is not acceptable; nothing was created or changed."""


class UnsupportedByDaemonError(InvalidArgumentError):
    """The daemon is too old for an argument, and would ignore it; nothing was created.

    Attributes:
        field: The argument, such as `"cpu_limit"` or
            `"companion_containers[web].cpu_limit"`.
        daemon_version: What the daemon says it is, such as `"0.4.0"` or `"dev"`.
        since_version: The release that brings the argument.
    """

    field: str | None = None
    daemon_version: str | None = None
    since_version: str | None = None


class DaemonUnavailableError(SandboxClientError, ConnectionError):
    """No daemon answers at the socket; the message says what is wrong with it.

    Attributes:
        socket_path: The path that was tried; None when none could be derived.
    """

    retryable = True
    socket_path: str | None = None


class OperationTimeoutError(SandboxClientError, TimeoutError):
    """A call did not end in time. What it asked of the daemon may still go on.

    Attributes:
        timeout_seconds: The bound that was exceeded, in seconds.
        last_handle: The newest handle seen by a wait, or None.
    """

    timeout_seconds: float | None = None
    last_handle: SandboxHandle | ExecHandle | None = None


class ProtocolError(SandboxClientError):
    """The peer's answer cannot be understood: not a daemon, or one too different."""


class UnsupportedDaemonError(SandboxClientError):
    """The daemon is of a release that this SDK cannot speak to.

    Attributes:
        daemon_version: What it says it is, or is said to be.
    """

    daemon_version: str | None = None


class DaemonError(SandboxClientError):
    """The daemon refused or failed a call for a reason that has no class of its own."""


class SandboxNotFoundError(SandboxClientError):
    """Sandbox does not exist, or was purged after its deletion."""


class SandboxConflictError(SandboxClientError):
    """Caller-provided id already exists. Ids are taken for ever once accepted."""


class ExecConflictError(SandboxConflictError):
    """Caller-provided exec id already exists, in this sandbox or in any other."""


class SandboxInvalidStateError(SandboxClientError):
    """The sandbox's state does not allow the operation, or will never reach its end."""


class SandboxNotReadyError(SandboxInvalidStateError):
    """Sandbox not in READY state."""


class SandboxFailedError(SandboxClientError):
    """The sandbox, or a service that it requires, failed; it can only be deleted.

    Daemons before 0.3.0 fail a sandbox with its required service. With newer ones the sandbox
    is READY without it, and runs until it is deleted.

    Attributes:
        error_code: The daemon's code, e.g. `"SANDBOX_CREATE_FAILED"`; None
            where only a handle of daemon 0.2.0 was seen, which has none.
        error_message: The daemon's explanation, or None likewise.
    """

    error_code: str | None = None
    error_message: str | None = None


class SandboxSequenceExpiredError(SandboxClientError):
    """The requested event sequence is outside of the retained history, or events are missing.

    Attributes:
        from_sequence: The sequence after which events were asked for, or the last one
            delivered before a gap.
        oldest_sequence: The first one after the gap; None when the daemon does not tell the
            oldest retained one, as all released ones.
    """

    from_sequence: int | None = None
    oldest_sequence: int | None = None


class ExecNotFoundError(SandboxClientError):
    """Exec does not exist."""


class ExecNotRunningError(SandboxClientError):
    """Cancel called on non-running exec."""


class ExecAlreadyTerminalError(ExecNotRunningError):
    """Exec already in terminal state."""


# Source: the daemon's table of ErrorInfo reasons. SANDBOX_CONFLICT and
# EXEC_NOT_RUNNING exist there although no released daemon raises them.
REASONS: Mapping[str, type[SandboxClientError]] = {
    Reason.SANDBOX_NOT_FOUND: SandboxNotFoundError,
    Reason.SANDBOX_ID_ALREADY_EXISTS: SandboxConflictError,
    Reason.SANDBOX_CONFLICT: SandboxConflictError,
    Reason.SANDBOX_NOT_READY: SandboxNotReadyError,
    Reason.SANDBOX_INVALID_STATE: SandboxInvalidStateError,
    Reason.SANDBOX_EVENT_SEQUENCE_EXPIRED: SandboxSequenceExpiredError,
    Reason.EXEC_ID_ALREADY_EXISTS: ExecConflictError,
    Reason.EXEC_NOT_FOUND: ExecNotFoundError,
    Reason.EXEC_NOT_RUNNING: ExecNotRunningError,
    Reason.EXEC_ALREADY_TERMINAL: ExecAlreadyTerminalError,
}

# What a status means when it carries no reason we know. A lost call has a look at the socket
# instead, see `DaemonAddress.unavailable`.
CODES: Mapping[str, type[SandboxClientError]] = {
    "INVALID_ARGUMENT": InvalidArgumentError,
    "DEADLINE_EXCEEDED": OperationTimeoutError,
}
