"""Typed errors, shared by both client flavours.

    SandboxClientError                 (RuntimeError)
    ├── ClientClosedError
    ├── ClientLoopError
    ├── ScopeClosedError
    ├── InvalidArgumentError           (ValueError)
    │   ├── InvalidArgumentTypeError   (TypeError)
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
    │   ├── SandboxNotReadyError
    │   └── ExecNotRunningError
    │       └── ExecAlreadyTerminalError
    ├── SandboxFailedError
    ├── SandboxSequenceExpiredError
    ├── ExecNotFoundError
    ├── ExecFailedError
    ├── ExecNotKilledError
    ├── OutputUnavailableError
    └── SandboxFileError               (OSError)
        ├── SandboxFileNotFoundError   (FileNotFoundError)
        ├── SandboxFileExistsError     (FileExistsError)
        ├── SandboxFilePermissionError (PermissionError)
        ├── SandboxIsADirectoryError   (IsADirectoryError)
        ├── SandboxNotADirectoryError  (NotADirectoryError)
        └── SandboxToolMissingError

    SandboxLeftoverWarning             (RuntimeWarning)

The class of a daemon's refusal follows from the domain and reason in its structured
details, or else from the status code, never from the text: see `REASONS` and `CODES`.
"""

from __future__ import annotations

import errno as codes
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from ._frozen import FrozenMapping
from ._shared.facts import Reason
from ._shared.shown import shown_id

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._output.result import ExecResult
    from .models import ExecHandle, SandboxHandle


class _StatusFacts(TypedDict, total=False):
    code: str | None
    reason: str | None
    metadata: Mapping[str, str] | None


class _ExecErrorFacts(_StatusFacts, total=False):
    sandbox_id: str | None


class _SandboxErrorFacts(_StatusFacts, total=False):
    exec_id: str | None


class _Facts(_ExecErrorFacts, _SandboxErrorFacts, total=False):
    """The facts that any error may carry."""


class SandboxClientError(RuntimeError):
    """Base class of all errors raised by this SDK.

    Every fact is an attribute, so no caller has to read the message. Errors
    survive `pickle` and `copy` with all of them. Every error takes its message and
    its facts as keywords. Errors about one sandbox or exec take its id first, and have
    a default message; the others take the message first.

    Attributes:
        sandbox_id: The sandbox concerned, or None.
        exec_id: The exec concerned, or None.
        code: The name of the gRPC status code, e.g. `"NOT_FOUND"`; None if the
            error did not come from an RPC.
        reason: The daemon's own reason, e.g. `"SANDBOX_NOT_FOUND"`, or None.
        metadata: The daemon's structured details, unchanged.
        details: The status message of the failed RPC, by the daemon or gRPC, in full; None if the
            error did not come from an RPC.
        debug_string: What gRPC says about the failure for debugging, or None.
        retryable: Whether the same call may succeed later if nothing is changed.
            It does not say whether this call had an effect.
    """

    retryable: bool = False
    details: str | None = None
    debug_string: str | None = None

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

    # An exception's own way, to call the class with `args`, would take the message for an id.
    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args), dict(vars(self))


def _restored(kind: type[Any], args: tuple[Any, ...]) -> SandboxClientError:
    builtin: Any = kind
    while builtin.__module__ != "builtins":
        builtin = builtin.__base__  # the base that lays out the memory: `__new__` must be its own
    error: SandboxClientError = builtin.__new__(kind)
    error.args = args
    return error


class _SandboxError(SandboxClientError):
    """An error about one sandbox: only its id is positional, and the message has a default."""

    _default = ""

    def __init__(
        self,
        sandbox_id: str | None = None,
        *,
        message: str | None = None,
        **facts: Unpack[_SandboxErrorFacts],
    ) -> None:
        if message is None:
            message = _default_message(self._default, sandbox_id)
        super().__init__(message=message, sandbox_id=sandbox_id, **facts)


class _ExecError(SandboxClientError):
    """An error about one exec, likewise."""

    _default = ""

    def __init__(
        self,
        exec_id: str | None = None,
        *,
        message: str | None = None,
        **facts: Unpack[_ExecErrorFacts],
    ) -> None:
        if message is None:
            message = _default_message(self._default, exec_id)
        super().__init__(message=message, exec_id=exec_id, **facts)


def _default_message(template: str, identifier: str | None) -> str:
    return template.format(f" {shown_id(identifier)}" if identifier else "")


class ClientClosedError(SandboxClientError):
    """The client was closed before or during the call."""


class ClientLoopError(SandboxClientError):
    """The client cannot be used here.

    The async client is bound to another event loop that is still open, no event loop of asyncio is
    running, or this process was forked while an async client was open. Or gevent has patched the
    threads of this process, and gRPC was not prepared for that.
    """


class ScopeClosedError(SandboxClientError):
    """A scope of sandboxes ends or has ended, so that it makes no new ones."""


class InvalidArgumentError(SandboxClientError, ValueError):
    """An argument is not acceptable; nothing was created or changed."""


class InvalidArgumentTypeError(InvalidArgumentError, TypeError):
    """An argument has the wrong type; nothing was created or changed."""


class UnsupportedByDaemonError(InvalidArgumentError):
    """The daemon is too old for an argument and would ignore it; nothing was created.

    Attributes:
        field: The argument, such as `"cpu_limit"` or
            `"companion_containers[web].cpu_limit"`.
        daemon_version: The version that the daemon reports, such as `"0.4.0"` or `"dev"`.
        since_version: The first release that knows the argument.
    """

    def __init__(
        self,
        message: str = "",
        *,
        field: str | None = None,
        daemon_version: str | None = None,
        since_version: str | None = None,
        **facts: Unpack[_Facts],
    ) -> None:
        super().__init__(message, **facts)
        self.field = field
        self.daemon_version = daemon_version
        self.since_version = since_version


class DaemonUnavailableError(SandboxClientError, ConnectionError):
    """No daemon answers at the socket; the message says what is wrong with it.

    Attributes:
        socket_path: The path that was tried; None if none could be derived.
        retryable: False if only a change helps, such as another path or user.
    """

    retryable: bool = True
    _trouble: str | None = None
    """What is wrong with the socket, without the words of the peer: for logs."""

    def __init__(
        self,
        message: str = "",
        *,
        socket_path: str | None = None,
        retryable: bool = True,
        **facts: Unpack[_Facts],
    ) -> None:
        super().__init__(message, **facts)
        self.socket_path = socket_path
        self.retryable = retryable


class OperationTimeoutError(SandboxClientError, TimeoutError):
    """A call did not end in time. The daemon may still be working on it.

    Attributes:
        timeout_seconds: The timeout that was exceeded, in seconds; None without one.
        last_handle: The newest handle seen by a wait, or None.
    """

    def __init__(
        self,
        message: str = "",
        *,
        timeout_seconds: float | None = None,
        last_handle: SandboxHandle | ExecHandle | None = None,
        **facts: Unpack[_Facts],
    ) -> None:
        super().__init__(message, **facts)
        self.timeout_seconds = timeout_seconds
        self.last_handle = last_handle


class ProtocolError(SandboxClientError):
    """The peer's answer cannot be understood: it is broken, too different, or not a daemon."""


class UnsupportedDaemonError(SandboxClientError):
    """This SDK does not support the daemon's release.

    Attributes:
        daemon_version: The version that the daemon reports or the caller gave.
    """

    def __init__(
        self, message: str = "", *, daemon_version: str | None = None, **facts: Unpack[_Facts]
    ) -> None:
        super().__init__(message, **facts)
        self.daemon_version = daemon_version


class DaemonError(SandboxClientError):
    """The daemon refused or failed a call for a reason without an error class."""


class SandboxNotFoundError(_SandboxError):
    """The sandbox does not exist, or was purged after its deletion."""

    _default = "sandbox{} not found"


class SandboxConflictError(_SandboxError):
    """The id that the caller chose already exists. An accepted id can never be used again."""

    _default = "sandbox{} already exists"


class ExecConflictError(_ExecError, SandboxConflictError):
    """The exec id that the caller chose already exists, in this or any other sandbox."""

    _default = "exec{} already exists"


class SandboxInvalidStateError(SandboxClientError):
    """The sandbox's state does not allow the operation, or its goal cannot be reached any more."""


class SandboxNotReadyError(_SandboxError, SandboxInvalidStateError):
    """The sandbox is not READY."""

    _default = "sandbox{} is not ready"


class SandboxFailedError(SandboxClientError):
    """The sandbox or one of its required services failed; the sandbox can only be deleted.

    With daemons before 0.3.0 the sandbox fails when a required service fails. With newer ones
    the sandbox is READY without that service and runs until it is deleted.

    Attributes:
        error_code: The daemon's code, e.g. `"SANDBOX_CREATE_FAILED"`; None if the failure is
            known only from a handle of daemon 0.2.0, which has no codes.
        error_message: The daemon's explanation; None in the same case.
    """

    def __init__(
        self,
        message: str = "",
        *,
        error_code: str | None = None,
        error_message: str | None = None,
        **facts: Unpack[_Facts],
    ) -> None:
        super().__init__(message, **facts)
        self.error_code = error_code
        self.error_message = error_message


class SandboxSequenceExpiredError(_SandboxError):
    """The requested event sequence is outside of the retained history, or events are missing.

    Attributes:
        from_sequence: The requested sequence, or the last one delivered before a gap.
        oldest_sequence: The first sequence after the gap, or the oldest that the daemon
            retains; None if the daemon does not report it. Released daemons never do.
    """

    _default = "sandbox{} no longer has the events"

    def __init__(
        self,
        sandbox_id: str | None = None,
        from_sequence: int | None = None,
        oldest_sequence: int | None = None,
        *,
        message: str | None = None,
        **facts: Unpack[_SandboxErrorFacts],
    ) -> None:
        if message is None and from_sequence is not None:
            message = f"{_default_message(self._default, sandbox_id)} after {from_sequence}"
            if oldest_sequence is not None:
                message += f", only those from {oldest_sequence} on"
        super().__init__(sandbox_id, message=message, **facts)
        self.from_sequence = from_sequence
        self.oldest_sequence = oldest_sequence


class ExecNotFoundError(_ExecError):
    """The exec does not exist."""

    _default = "exec{} not found"


class ExecNotRunningError(_ExecError, SandboxInvalidStateError):
    """The exec cannot be cancelled because it is not running."""

    _default = "exec{} is not running"


class ExecAlreadyTerminalError(ExecNotRunningError):
    """The exec has already ended."""

    _default = "exec{} has already ended"


class ExecFailedError(_ExecError):
    """A command failed, and the caller asked with `check=True` for an error.

    Attributes:
        result: How it ended, with its output; None only if the error was made without it.
    """

    _default = "exec{} failed"

    def __init__(
        self,
        exec_id: str | None = None,
        *,
        message: str | None = None,
        result: ExecResult | None = None,
        **facts: Unpack[_ExecErrorFacts],
    ) -> None:
        super().__init__(exec_id, message=message, **facts)
        self.result = result


class ExecNotKilledError(_ExecError):
    """An exec could not be killed, or not all its processes; nothing else was done.

    Attributes:
        problem: Why. `"no_proc"`: the sandbox has no `/proc`, which only Linux has; `"no_shell"`:
            it has no `sh`; `"not_found"`: none of its processes can be recognised as the exec's,
            because the command has redirected its output, or removed its logs;
            `"not_permitted"`: some of its processes belong to another user; `"timeout"`: the kill
            itself did not end in time, or the exec did not end after it; `"failed"`: it could not
            be started, or failed.
    """

    _default = "exec{} could not be killed"

    def __init__(
        self,
        exec_id: str | None = None,
        *,
        message: str | None = None,
        problem: str | None = None,
        **facts: Unpack[_ExecErrorFacts],
    ) -> None:
        super().__init__(exec_id, message=message, **facts)
        self.problem = problem


class OutputUnavailableError(_ExecError):
    """The output of an exec cannot be read from here.

    Attributes:
        problem: Why. `"other_host"`: the log files are not on this host; `"permission"`: this
            user may not read them; `"no_log_root"`: the daemon keeps no logs; `"unknown_path"`:
            this client does not know where they are; `"missing"`: there is no file, because no
            process was started or because it was removed; `"unsafe"`: a link, a FIFO or the like
            is in its place; `"unreadable"`: reading failed; `"not_captured"`: the result was made
            without output.
    """

    _default = "the output of exec{} is unavailable"

    def __init__(
        self,
        exec_id: str | None = None,
        *,
        message: str | None = None,
        problem: str | None = None,
        **facts: Unpack[_ExecErrorFacts],
    ) -> None:
        super().__init__(exec_id, message=message, **facts)
        self.problem = problem


class SandboxFileError(_SandboxError, OSError):
    """An operation on a file in a sandbox failed.

    Attributes:
        errno: What failed, as in `OSError`: `errno.ENOSPC` for a full disk, `errno.ENOTEMPTY` for a
            folder that is not empty, `errno.EIO` if nothing more is known.
        strerror: The same in words.
        filename: The path in the sandbox, as it was passed.
    """

    _default = "an operation on a file in sandbox{} failed"
    # Attributes of `OSError` are no part of an object's dictionary, which pickles have.
    errno: int | None = codes.EIO
    strerror: str | None = None
    filename: object = None

    def __init__(
        self,
        sandbox_id: str | None = None,
        *,
        message: str | None = None,
        errno: int | None = None,
        filename: str | bytes | None = None,
        **facts: Unpack[_SandboxErrorFacts],
    ) -> None:
        super().__init__(sandbox_id, message=message, **facts)
        self.filename = filename
        if errno is not None:
            self.errno = errno
        self.strerror = os.strerror(self.errno or codes.EIO)

    # That of an OSError begins with the number.
    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class SandboxFileNotFoundError(SandboxFileError, FileNotFoundError):
    """A file or folder does not exist in the sandbox."""

    errno: int | None = codes.ENOENT


class SandboxFileExistsError(SandboxFileError, FileExistsError):
    """Something is already at the path."""

    errno: int | None = codes.EEXIST


class SandboxFilePermissionError(SandboxFileError, PermissionError):
    """The user in the sandbox may not do this with the file."""

    errno: int | None = codes.EACCES


class SandboxIsADirectoryError(SandboxFileError, IsADirectoryError):
    """There is a folder where a file is needed."""

    errno: int | None = codes.EISDIR


class SandboxNotADirectoryError(SandboxFileError, NotADirectoryError):
    """There is a file where a folder is needed."""

    errno: int | None = codes.ENOTDIR


class SandboxToolMissingError(SandboxFileError):
    """The image has no `sh` that works, or lacks a program that the operation needs.

    Attributes:
        tool: The program, such as `"base64"`.
    """

    errno: int | None = codes.ENOSYS

    def __init__(
        self,
        sandbox_id: str | None = None,
        *,
        message: str | None = None,
        tool: str | None = None,
        errno: int | None = None,
        filename: str | bytes | None = None,
        **facts: Unpack[_SandboxErrorFacts],
    ) -> None:
        super().__init__(sandbox_id, message=message, errno=errno, filename=filename, **facts)
        self.tool = tool


# Source: the daemon's table of ErrorInfo reasons. It has SANDBOX_CONFLICT and
# EXEC_NOT_RUNNING although no released daemon sends them.
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

# The class for a status without a known reason. Lost calls are diagnosed at the socket instead,
# see `DaemonAddress.unavailable`.
CODES: Mapping[str, type[SandboxClientError]] = {
    "INVALID_ARGUMENT": InvalidArgumentError,
    "DEADLINE_EXCEEDED": OperationTimeoutError,
}


class SandboxLeftoverWarning(RuntimeWarning):
    """The end of a block leaves something behind, and nothing says so that is raised.

    It could not delete a sandbox, and the block raises already; or it could not kill a command, and
    has cancelled it.
    """
