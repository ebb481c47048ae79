"""STOPPED, the goal of a stop."""

from __future__ import annotations

from .. import _deadline
from .._deadline import Deadline
from .._enums import SandboxEventType, SandboxState
from .._shared.shown import shown_id
from ..errors import SandboxClientError, SandboxInvalidStateError
from ..models import SandboxEvent, SandboxHandle
from .goal import sandbox_failed
from .state import SandboxGoal

# Daemons before 0.4.0 first report a container that dies during a stop or delete as a failure:
# FAILED with one of these codes, then STOPPED. The handles of 0.2.0 have no code.
_DYING = frozenset({"CONTAINER_DIED", "CONTAINER_OOM", None})

_STOPPED = SandboxGoal(SandboxState.STOPPED, frozenset({SandboxState.DELETED}), _DYING)


class BecomeStopped:
    """STOPPED, unless another caller resumes the sandbox before that is seen.

    The goal must see all events from before the stop request on.

    Attributes:
        sequence_at_request: The newest event in the first snapshot after the request: the stop was
            requested by then.
        stopped: Whether the sandbox was STOPPED after the newest stop request.
        resumed: Whether it was resumed after that.
        overtaken: Whether that stop was this one or a later one.
        dying: How long the sandbox may stay FAILED after a restart, which aborts a stop: the
            daemon that accepted the stop may already have been the restarted one.
    """

    def __init__(self) -> None:
        self.sequence_at_request: int | None = None
        self.stopped = False
        self.resumed = False
        self.overtaken = False
        self.dying: Deadline | None = None

    def concerns(self, event: SandboxEvent) -> bool:  # noqa: ARG002 - the signature of all goals
        """True for every event: the position in the stream matters."""
        return True

    def see(self, event: SandboxEvent) -> bool:
        """Take note of an event."""
        kind = event.event_type
        if kind is SandboxEventType.SANDBOX_STOP_REQUESTED:
            self.stopped = self.resumed = False
        elif kind is SandboxEventType.SANDBOX_STOPPED:
            self.stopped = True
        elif kind is SandboxEventType.SANDBOX_ACCEPTED:
            self.resumed |= self.stopped
        # Events before `sequence_at_request` can belong to an earlier stop.
        self.overtaken = self.resumed and event.sequence >= (self.sequence_at_request or 0)
        return _STOPPED.see(event) or self.overtaken

    def judge(self, handle: SandboxHandle) -> bool:
        """Judge a snapshot."""
        if self.sequence_at_request is None:
            self.sequence_at_request = handle.last_event_sequence
        if _STOPPED.judge(handle):
            return True
        if self.overtaken:
            raise SandboxInvalidStateError(
                f"sandbox {shown_id(handle.sandbox_id)} was STOPPED and is "
                f"{handle.state.name} again: another caller resumed it",
                sandbox_id=handle.sandbox_id,
            )
        return False

    def detect_loss(self, handle: SandboxHandle, restarted: bool) -> bool:
        """Return whether a restart lost the stop; raise if it made the stop impossible."""
        if not restarted or handle.state is not SandboxState.FAILED:
            self.dying = None
            # The daemon does not store stop requests.
            return restarted and not self.resumed and handle.state is SandboxState.READY
        if self.dying is None:
            self.dying = Deadline(_deadline.DYING_SECONDS)
        if self.dying.expired():
            raise sandbox_failed(handle.sandbox_id, handle.error_code, handle.error_message)
        return False

    def snapshot_due(self, deadline: Deadline) -> Deadline:
        """Wait only briefly for a failure to pass after a restart."""
        return deadline if self.dying is None else deadline.earlier(self.dying)

    def timeout_error(
        self,
        sandbox_id: str | None,
        handle: SandboxHandle | None,
        seconds: float | None,
        trouble: SandboxClientError | None = None,
    ) -> SandboxClientError:
        """Make the error of a wait that took too long."""
        return _STOPPED.timeout_error(sandbox_id, handle, seconds, trouble)


class SeeStopped:
    """STOPPED, for a wait that requested nothing: another caller or the daemon stops the sandbox.

    Attributes:
        dying: How long the sandbox may stay FAILED before it is STOPPED.
    """

    def __init__(self) -> None:
        self.dying: Deadline | None = None

    def concerns(self, event: SandboxEvent) -> bool:
        """True for events of states that decide."""
        return _STOPPED.concerns(event)

    def see(self, event: SandboxEvent) -> bool:
        """Judge an event; a failure calls for a snapshot, which begins `dying`."""
        return _STOPPED.see(event) or event.sandbox_state is SandboxState.FAILED

    def judge(self, handle: SandboxHandle) -> bool:
        """Judge a snapshot."""
        if _STOPPED.judge(handle):
            return True
        if handle.state is not SandboxState.FAILED:
            self.dying = None
            return False
        if self.dying is None:
            self.dying = Deadline(_deadline.DYING_SECONDS)
        if self.dying.expired():
            raise sandbox_failed(handle.sandbox_id, handle.error_code, handle.error_message)
        return False

    def snapshot_due(self, deadline: Deadline) -> Deadline:
        """Wait only briefly for a failure to pass."""
        return deadline if self.dying is None else deadline.earlier(self.dying)

    def timeout_error(
        self,
        sandbox_id: str | None,
        handle: SandboxHandle | None,
        seconds: float | None,
        trouble: SandboxClientError | None = None,
    ) -> SandboxClientError:
        """Make the error of a wait that took too long."""
        return _STOPPED.timeout_error(sandbox_id, handle, seconds, trouble)
