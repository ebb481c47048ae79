"""What a wait asks of its goal, and the errors that goals share."""

from __future__ import annotations

from typing import Protocol, TypeVar

from .._deadline import Deadline
from .._shared.shown import shortened, shown_id
from ..errors import (
    DaemonUnavailableError,
    OperationTimeoutError,
    SandboxClientError,
    SandboxFailedError,
)
from ..models import ExecHandle, SandboxEvent, SandboxHandle

HandleT = TypeVar("HandleT", bound=SandboxHandle | ExecHandle)
HandleT_contra = TypeVar("HandleT_contra", bound=SandboxHandle | ExecHandle, contravariant=True)


class Goal(Protocol[HandleT_contra]):
    """What a wait asks of its goal."""

    def concerns(self, event: SandboxEvent) -> bool:
        """Whether the goal has to see an event; called from another task or thread."""
        ...

    def see(self, event: SandboxEvent) -> bool:
        """Take note of an event; return whether it calls for a fresh snapshot."""
        ...

    def judge(self, handle: HandleT_contra) -> bool:
        """Take note of a snapshot; return whether it reaches the goal, raise if none can."""
        ...

    def snapshot_due(self, deadline: Deadline) -> Deadline:
        """Return when to read a snapshot unless an event calls for one; at most `deadline`."""
        ...

    def timeout_error(
        self,
        sandbox_id: str | None,
        handle: HandleT_contra | None,
        seconds: float | None,
        trouble: SandboxClientError | None = None,
    ) -> SandboxClientError:
        """Make the error of a wait that took too long.

        Args:
            sandbox_id: The sandbox, if known.
            handle: The newest snapshot, or None.
            seconds: The timeout in seconds, or None.
            trouble: Why the daemon could not be asked at the end, or None.
        """
        ...


class PersistentGoal(Goal[SandboxHandle], Protocol):
    """A goal whose operation can get lost when the daemon restarts."""

    def detect_loss(self, handle: SandboxHandle, restarted: bool) -> bool:
        """Take note of a snapshot; return whether it shows that the operation was lost.

        Args:
            handle: A snapshot that does not reach the goal.
            restarted: Whether the daemon restarted since the operation was requested.
        """
        ...


def too_late(
    fact: str,
    advice: str,
    seconds: float | None,
    handle: SandboxHandle | ExecHandle | None,
    trouble: SandboxClientError | None,
    *,
    sandbox_id: str | None,
    exec_id: str | None = None,
    option: str = "operation_timeout_seconds",
) -> SandboxClientError:
    """Make the error of a wait that took too long; a daemon that is unavailable decides its class.

    Args:
        fact: What did not happen in time.
        advice: What to do, if the daemon can be asked.
        seconds: The timeout in seconds, or None.
        handle: The newest snapshot, or None.
        trouble: Why the daemon could not be asked at the end, or None.
        sandbox_id: The sandbox, if known.
        exec_id: The exec, or None.
        option: The client's option that sets the timeout.
    """
    if isinstance(trouble, DaemonUnavailableError):
        return DaemonUnavailableError(
            f"{fact}, and the daemon is unavailable: {trouble}",
            socket_path=trouble.socket_path,
            retryable=trouble.retryable,
            code=trouble.code,
            sandbox_id=sandbox_id,
            exec_id=exec_id,
        )
    if trouble is not None:
        fact = f"{fact}, and the daemon did not answer the last call"
    return OperationTimeoutError(
        f"{fact}. {advice}, or increase timeout_seconds or {option}",
        timeout_seconds=seconds,
        last_handle=handle,
        sandbox_id=sandbox_id,
        exec_id=exec_id,
    )


def within(seconds: float | None) -> str:
    """Format a timeout for a message; None: an outage ended a wait without a bound."""
    return "so far" if seconds is None else f"within {seconds:g} s"


def last_seen(handle: SandboxHandle | None) -> str:
    """Format the newest known state for a message."""
    return f"last seen {handle.state.name}" if handle else "never seen"


def failure_text(code: str | None, message: str | None) -> str:
    """Format the daemon's explanation of a failure for a message."""
    return f"{shown_id(code) if code else 'no error code'}: {shortened(message or 'no message')}"


def sandbox_failed(
    sandbox_id: str, code: str | None, message: str | None, exec_id: str | None = None
) -> SandboxFailedError:
    """Make the error of a sandbox that failed."""
    return SandboxFailedError(
        f"sandbox {shown_id(sandbox_id)} failed: {failure_text(code, message)}. Delete it and "
        "create another one",
        sandbox_id=sandbox_id,
        exec_id=exec_id,
        error_code=code,
        error_message=message,
    )
