"""What a wait for the end of a sandbox waits for: STOPPED, and DELETED for good; pure.

Both have to know what else happened to the sandbox, and can come to nothing when the daemon is
restarted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from . import _goals
from ._deadline import Deadline
from ._enums import SandboxEventType, SandboxState
from ._goals import SOMEBODY_ELSE, Goal, SandboxGoal, out_of_time, sandbox_failed, within
from .errors import SandboxClientError, SandboxFailedError, SandboxInvalidStateError
from .models import SandboxEvent, SandboxHandle, SandboxPhaseDetails

# How long a sandbox of daemon 0.2 that is being stopped may be FAILED before it is STOPPED.
# Recorded: 2.3 s, with services.
_DYING_SECONDS = 5.0


class PersistentGoal(Goal[SandboxHandle], Protocol):
    """The goal of an operation that may come to nothing."""

    def undone(self, handle: SandboxHandle, restarted: bool) -> bool:
        """Say whether what was asked for has come to nothing, and must be asked for again.

        Args:
            handle: A snapshot that does not reach the goal.
            restarted: Whether the daemon was restarted since it was asked.
        """
        ...


# A container that dies because it is being stopped or removed is reported as a
# failure first by daemons 0.2: FAILED with one of these codes, then STOPPED.
# The handles of 0.2.0 do not tell the code.
_DYING = frozenset({"CONTAINER_DIED", "CONTAINER_OOM", None})

BECOME_STOPPED = SandboxGoal(
    SandboxState.STOPPED,
    frozenset({SandboxState.DELETED}),
    SOMEBODY_ELSE,
    _DYING,
)


@dataclass
class BecomeStopped:
    """STOPPED, unless somebody resumes it before that could be seen.

    To know of that it must be shown all events since before the stop was asked for.

    Attributes:
        asked_by: The newest event of the first snapshot after the stop was asked for.
        stopped: Whether the sandbox was STOPPED since a stop was last asked for.
        resumed: Whether it was resumed after that.
        overtaken: Whether that stop was this one, or a later one.
        dying: Until when it may be FAILED after a restart, which ends what it was on its way to:
            the daemon that was asked may already have been the restarted one.
    """

    asked_by: int | None = field(default=None, init=False)
    stopped: bool = field(default=False, init=False)
    resumed: bool = field(default=False, init=False)
    overtaken: bool = field(default=False, init=False)
    dying: Deadline | None = field(default=None, init=False)

    def concerns(self, event: SandboxEvent) -> bool:  # noqa: ARG002 - as all goals
        """Say yes: it has to know how far it has seen."""
        return True

    def settled_by(self, event: SandboxEvent) -> bool:
        """Judge an event."""
        kind = event.event_type
        if kind is SandboxEventType.SANDBOX_STOP_REQUESTED:
            self.stopped = self.resumed = False
        elif kind is SandboxEventType.SANDBOX_STOPPED:
            self.stopped = True
        elif kind is SandboxEventType.SANDBOX_ACCEPTED:
            self.resumed |= self.stopped
        # Before that another stop may be told of, and this one was not asked for yet.
        self.overtaken = self.resumed and event.sequence >= (self.asked_by or 0)
        return BECOME_STOPPED.settled_by(event) or self.overtaken

    def reached(self, handle: SandboxHandle) -> bool:
        """Judge a snapshot."""
        if self.asked_by is None:
            self.asked_by = handle.last_event_sequence
        if BECOME_STOPPED.reached(handle):
            return True
        if self.overtaken:
            raise SandboxInvalidStateError(
                f"sandbox {handle.sandbox_id} was STOPPED and is {handle.state.name} again: "
                "another caller has resumed it",
                sandbox_id=handle.sandbox_id,
            )
        return False

    def undone(self, handle: SandboxHandle, restarted: bool) -> bool:
        """Say whether a restart of the daemon has swallowed the stop, or made it impossible."""
        if not restarted or handle.state is not SandboxState.FAILED:
            self.dying = None
            # The daemon does not store that a stop was asked for.
            return restarted and not self.resumed and handle.state is SandboxState.READY
        if self.dying is None:
            self.dying = Deadline(_DYING_SECONDS)
        if self.dying.expired():
            raise sandbox_failed(handle.sandbox_id, handle.error_code, handle.error_message)
        return False

    def bounded(self, deadline: Deadline) -> Deadline:
        """Wait but shortly for a failure to pass that does not pass any more."""
        return deadline if self.dying is None else deadline.earlier(self.dying)

    def timed_out(
        self, sandbox_id: str | None, handle: SandboxHandle | None, seconds: float | None
    ) -> SandboxClientError:
        """Make the error of a wait that took too long."""
        return BECOME_STOPPED.timed_out(sandbox_id, handle, seconds)


@dataclass
class BecomeDeleted:
    """DELETED, and for good.

    A create that is inside its Docker work when its sandbox is deleted goes on and brings the
    sandbox back afterwards, READY or FAILED; then it must be deleted again. Recorded are
    creates. What a resume does is not: its end is waited for, but shortly.

    To know of either it must be shown their events, however long before the delete those were.

    Attributes:
        creating: Whether a create is inside its Docker work.
        resuming: Whether a resume may be.
        deleted: Whether an event told that the sandbox is DELETED, and none since of another end.
        revived: Whether one told that it came back.
        failure: Why it could not be removed, if it was not asked for again since.
        accepted_at: The time of the first event, once that was shown.
        gone: Whether the record of the sandbox is: only those of deleted ones are purged.
        grace: Until when a resume's end is waited for after a deletion.
    """

    creating: bool = False
    resuming: bool = False
    deleted: bool = False
    revived: bool = False
    failure: SandboxFailedError | None = None
    accepted_at: datetime | None = None
    gone: bool = False
    grace: Deadline = field(default_factory=lambda: Deadline(0.0))

    def concerns(self, event: SandboxEvent) -> bool:
        """Say yes to a new state."""
        return event.sandbox_state is not SandboxState.UNSPECIFIED

    def settled_by(self, event: SandboxEvent) -> bool:
        """Judge an event."""
        kind, state = event.event_type, event.sandbox_state
        phase = event.sandbox_phase or SandboxPhaseDetails()
        if state is SandboxState.FAILED and phase.error_code == "SANDBOX_DELETE_FAILED":
            self.failure = sandbox_failed(event.sandbox_id, phase.error_code, phase.error_message)
        elif state is SandboxState.DELETING:
            self.failure = None  # it was asked for again
        if event.sequence == 1:
            self.accepted_at = event.occurred_at
        if phase.reason == _RESTARTED:
            self.creating = self.resuming = False
        if kind is SandboxEventType.SANDBOX_PREPARING:
            self.creating = True
        elif kind is SandboxEventType.SANDBOX_ACCEPTED:
            self.resuming = event.sequence > 1
        elif state is SandboxState.DELETED:
            self.deleted, self.grace = True, Deadline(_goals.GRACE_SECONDS)
        elif state in _ENDS_OF_WORK:
            self.revived |= self.deleted
            self.creating = self.resuming = self.deleted = False
        # A create at work is looked for then, too: the daemon may be another one that has none.
        return self.revived or self.deleted or self.failure is not None

    def reached(self, handle: SandboxHandle) -> bool:
        """Judge a snapshot."""
        if self.failure is not None and handle.state is SandboxState.FAILED:
            raise self.failure
        accepted_at = self.accepted_at
        if self.creating and accepted_at is not None and accepted_at == handle.created_at:
            # A restarted daemon takes the time of the first event for that of the acceptance,
            # which was some microseconds earlier. Equal they are hardly ever by chance; then a
            # moment has to do.
            self.creating, self.resuming = False, True
        at_work = self.creating or (self.resuming and not self.grace.expired())
        for_good = self.gone or (self.deleted and not at_work)
        return for_good and handle.state is SandboxState.DELETED

    def undone(self, handle: SandboxHandle, restarted: bool) -> bool:
        """Say whether the sandbox came back, or a restart has swallowed the delete.

        A restart also ends what could bring it back. It goes on with deletes by the state that is
        stored; that is STOPPED, and then FAILED, if a stop ended during the delete.
        """
        if restarted:
            self.creating = self.resuming = False
        return (self.revived or restarted) and handle.state not in _BEING_DELETED

    def bounded(self, deadline: Deadline) -> Deadline:
        """Wait but shortly for a resume."""
        waiting = self.deleted and self.resuming and not self.grace.expired()
        return deadline.earlier(self.grace) if waiting else deadline

    def timed_out(
        self, sandbox_id: str | None, handle: SandboxHandle | None, seconds: float | None
    ) -> SandboxClientError:
        """Make the error of a wait that took too long."""
        seen = f"last seen {handle.state.name}" if handle else "never seen"
        if self.creating and self.deleted:
            seen = "its create is still at work and will bring it back: delete it again later"
        return out_of_time(
            f"sandbox {sandbox_id} was not deleted for good {within(seconds)}, {seen}: "
            "look again with get_sandbox, or raise timeout_seconds or operation_timeout_seconds",
            seconds,
            handle,
            sandbox_id=sandbox_id,
        )


# Why a daemon that finds a sandbox DELETING at its start has it DELETED.
_RESTARTED = "daemon_restart_cleanup"

_ENDS_OF_WORK = (SandboxState.READY, SandboxState.FAILED, SandboxState.STOPPED)
_BEING_DELETED = (SandboxState.DELETING, SandboxState.DELETED)
