"""DELETED for good, the goal of a delete."""

from __future__ import annotations

from datetime import datetime

from .. import _deadline
from .._deadline import Deadline
from .._enums import SandboxEventType, SandboxState
from .._shared.shown import shown_id
from ..errors import SandboxClientError, SandboxFailedError
from ..models import SandboxEvent, SandboxHandle, SandboxPhaseDetails
from .goal import last_seen, sandbox_failed, too_late, within

# Why a daemon marks a sandbox DELETED that it finds DELETING at its start.
_RESTARTED = "daemon_restart_cleanup"

_ENDS_OF_WORK = (SandboxState.READY, SandboxState.FAILED, SandboxState.STOPPED)
_BEING_DELETED = (SandboxState.DELETING, SandboxState.DELETED)


class BecomeDeleted:
    """DELETED for good.

    A delete does not stop a create that is in progress in Docker: the sandbox reappears, READY or
    FAILED, and has to be deleted again. Recordings show this for creates. They do not show what a
    resume does, so the wait for its end is short.

    The goal must see all events of a create or resume, even of one that began long ago.

    Attributes:
        creating: Whether a create is in progress in Docker.
        resuming: Whether a resume may be in progress.
        deleted: Whether it was DELETED, and not READY, FAILED or STOPPED since.
        reappeared: Whether the sandbox came back after it was DELETED.
        failure: Why it could not be removed; None again after a new request.
        accepted_at: The time of the first event, once it was seen.
        purged: Whether the daemon has purged its record, which happens to deleted ones only.
        grace: How long to wait for the end of a resume after the deletion.
    """

    def __init__(self) -> None:
        self.creating = False
        self.resuming = False
        self.deleted = False
        self.reappeared = False
        self.failure: SandboxFailedError | None = None
        self.accepted_at: datetime | None = None
        self.purged = False
        self.grace = Deadline(0.0)

    def concerns(self, event: SandboxEvent) -> bool:
        """True for events that carry a state."""
        return event.sandbox_state is not SandboxState.UNSPECIFIED

    def see(self, event: SandboxEvent) -> bool:
        """Take note of an event."""
        kind, state = event.event_type, event.sandbox_state
        phase = event.sandbox_phase or SandboxPhaseDetails()
        if state is SandboxState.FAILED and phase.error_code == "SANDBOX_DELETE_FAILED":
            self.failure = sandbox_failed(event.sandbox_id, phase.error_code, phase.error_message)
        elif state is SandboxState.DELETING:
            self.failure = None  # it was requested again
        if event.sequence == 1:
            self.accepted_at = event.occurred_at
        if phase.reason == _RESTARTED:
            self.creating = self.resuming = False
        if kind is SandboxEventType.SANDBOX_PREPARING:
            self.creating = True
        elif kind is SandboxEventType.SANDBOX_ACCEPTED:
            self.resuming = event.sequence > 1
        elif state is SandboxState.DELETED:
            self.deleted, self.grace = True, Deadline(_deadline.GRACE_SECONDS)
        elif state in _ENDS_OF_WORK:
            self.reappeared |= self.deleted
            self.creating = self.resuming = self.deleted = False
        # Also while a create is in progress: the daemon may have been restarted, which ends it.
        return self.reappeared or self.deleted or self.failure is not None

    def judge(self, handle: SandboxHandle) -> bool:
        """Judge a snapshot."""
        if self.failure is not None and handle.state is SandboxState.FAILED:
            raise self.failure
        accepted_at = self.accepted_at
        if self.creating and accepted_at is not None and accepted_at == handle.created_at:
            # A restarted daemon reports the time of the first event as created_at; the true time
            # is some microseconds earlier. Equal times are very unlikely without a restart, and
            # then the short wait of a resume applies.
            self.creating, self.resuming = False, True
        in_progress = self.creating or (self.resuming and not self.grace.expired())
        for_good = self.purged or (self.deleted and not in_progress)
        return for_good and handle.state is SandboxState.DELETED

    def detect_loss(self, handle: SandboxHandle, restarted: bool) -> bool:
        """Return whether the sandbox reappeared or a restart lost the delete.

        A restart also ends a create or resume. The restarted daemon continues a delete only if
        the stored state is DELETING. If a stop ended during the delete, the stored state is
        STOPPED, and later FAILED.
        """
        if restarted:
            self.creating = self.resuming = False
        return (self.reappeared or restarted) and handle.state not in _BEING_DELETED

    def snapshot_due(self, deadline: Deadline) -> Deadline:
        """Wait only briefly for a resume."""
        waiting = self.deleted and self.resuming and not self.grace.expired()
        return deadline.earlier(self.grace) if waiting else deadline

    def timeout_error(
        self,
        sandbox_id: str | None,
        handle: SandboxHandle | None,
        seconds: float | None,
        trouble: SandboxClientError | None = None,
    ) -> SandboxClientError:
        """Make the error of a wait that took too long."""
        seen = last_seen(handle)
        if self.creating and self.deleted:
            seen = "its create is still in progress and will bring it back: delete it again later"
        return too_late(
            f"sandbox {shown_id(sandbox_id)} was not deleted for good {within(seconds)}, {seen}",
            "Go on waiting with wait_for_sandbox",
            seconds,
            handle,
            trouble,
            sandbox_id=sandbox_id,
        )
