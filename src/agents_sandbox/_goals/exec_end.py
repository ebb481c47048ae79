"""The end of an exec, by itself or with its sandbox."""

from __future__ import annotations

import math

from .. import _deadline
from .._deadline import Deadline
from .._enums import SandboxState
from .._shared.shown import shown_id
from ..errors import SandboxClientError, SandboxNotReadyError
from ..models import ExecHandle, SandboxEvent, SandboxPhaseDetails
from .goal import sandbox_failed, too_late, within

_END_IT = "end it with cancel_exec(kill=True)"

_SANDBOX_ENDS = (SandboxState.FAILED, SandboxState.STOPPED, SandboxState.DELETED)


class ExecEnd:
    """The end of an exec, by itself or with its sandbox.

    Attributes:
        exec_id: The exec.
        lost_sandbox: How its sandbox ended, once an event reported it. The exec's own end then
            follows immediately or never.
        grace: How long to wait for the exec's end after that.
    """

    def __init__(self, exec_id: str) -> None:
        self.exec_id = exec_id
        self.lost_sandbox: SandboxClientError | None = None
        self.grace = Deadline(math.inf)

    def concerns(self, event: SandboxEvent) -> bool:
        """True for the end of the exec or of its sandbox."""
        details = event.exec
        if details is None:
            return event.sandbox_state in _SANDBOX_ENDS
        return details.exec_id == self.exec_id and details.exec_state.is_terminal

    def see(self, event: SandboxEvent) -> bool:
        """Take note of an event that concerns the exec; each one calls for a snapshot."""
        if event.exec is None:
            self.lost_sandbox = _lost_sandbox(event, self.exec_id)
            self.grace = self.grace.within(_deadline.GRACE_SECONDS)
        return True

    def judge(self, handle: ExecHandle) -> bool:
        """Judge a snapshot."""
        if self.lost_sandbox is not None and self.grace.expired() and not handle.state.is_terminal:
            raise self.lost_sandbox
        return handle.state.is_terminal

    def snapshot_due(self, deadline: Deadline) -> Deadline:
        """Wait only briefly for the exec once its sandbox has ended."""
        return deadline.earlier(self.grace)

    def timeout_error(
        self,
        sandbox_id: str | None,
        handle: ExecHandle | None,
        seconds: float | None,
        trouble: SandboxClientError | None = None,
    ) -> SandboxClientError:
        """Make the error of a wait that took too long or whose sandbox ended."""
        if self.lost_sandbox is not None:
            return self.lost_sandbox
        return too_late(
            f"exec {shown_id(self.exec_id)} did not end {within(seconds)}",
            f"The command is still running: go on waiting with wait_for_exec, or {_END_IT}",
            seconds,
            handle,
            trouble,
            sandbox_id=handle.sandbox_id if handle else sandbox_id,
            exec_id=self.exec_id,
            option="exec_timeout_seconds",
        )


def may_be_running(exec_id: str) -> str:
    """Say what an interruption may leave behind, once an exec was accepted."""
    return f"exec {shown_id(exec_id)} may still be running: {_END_IT}"


def _lost_sandbox(event: SandboxEvent, exec_id: str) -> SandboxClientError:
    if event.sandbox_state is SandboxState.FAILED:
        phase = event.sandbox_phase or SandboxPhaseDetails()
        return sandbox_failed(
            event.sandbox_id, phase.error_code, phase.error_message, exec_id=exec_id
        )
    return SandboxNotReadyError(
        event.sandbox_id,
        exec_id=exec_id,
        message=f"sandbox {shown_id(event.sandbox_id)} is {event.sandbox_state.name}, and the "
        f"daemon never reported the end of exec {shown_id(exec_id)}",
    )
