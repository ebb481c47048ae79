"""READY, the goal of a create and of a resume."""

from __future__ import annotations

from collections.abc import Iterable

from .._arguments.specs import ServiceSpec
from .._deadline import Deadline
from .._enums import SandboxEventType, SandboxState
from .._shared.shown import shortened, shown_id
from ..errors import SandboxClientError, SandboxFailedError
from ..models import CompanionContainerEventDetails, SandboxEvent, SandboxHandle
from .goal import failure_text, too_late, within
from .state import SandboxGoal

BECOME_READY = SandboxGoal(
    SandboxState.READY,
    frozenset({SandboxState.STOPPED, SandboxState.DELETING, SandboxState.DELETED}),
)


class ReadyWithCompanions:
    """READY, and required services have started; for daemons since 0.3.0.

    There, services are companions. READY does not wait for companions, and no event reports that
    one is healthy.

    Attributes:
        missing: The companions that have not started yet.
        failure: Why one of them will never start. It is raised only once the sandbox is READY,
            because a sandbox that is deleted before that would reappear.
        ready: Whether an event reported that the sandbox is READY.
    """

    def __init__(self, missing: set[str]) -> None:
        self.missing = missing
        self.failure: SandboxFailedError | None = None
        self.ready = False

    def concerns(self, event: SandboxEvent) -> bool:
        """True for events of states that decide, and for events of companions."""
        return event.service is not None or BECOME_READY.concerns(event)

    def judge(self, handle: SandboxHandle) -> bool:
        """Judge a snapshot; it does not contain the state of companions."""
        ready = BECOME_READY.judge(handle)
        if ready and self.failure:
            raise self.failure
        return ready and not self.missing

    def see(self, event: SandboxEvent) -> bool:
        """Take note of an event of the sandbox or of a companion."""
        companion = event.companion_container
        if companion is not None and companion.name in self.missing:
            if event.event_type is SandboxEventType.COMPANION_CONTAINER_FAILED:
                self.failure = self.failure or _companion_failed(event.sandbox_id, companion)
            if event.event_type is SandboxEventType.COMPANION_CONTAINER_READY:
                self.missing.remove(companion.name)
        self.ready |= BECOME_READY.see(event)
        return self.ready and bool(self.failure or not self.missing)

    def snapshot_due(self, deadline: Deadline) -> Deadline:
        """Return the deadline unchanged."""
        return deadline

    def timeout_error(
        self,
        sandbox_id: str | None,
        handle: SandboxHandle | None,
        seconds: float | None,
        trouble: SandboxClientError | None = None,
    ) -> SandboxClientError:
        """Make the error of a wait that took too long."""
        if not (self.ready and self.missing):
            return BECOME_READY.timeout_error(sandbox_id, handle, seconds, trouble)
        missing = ", ".join(map(shown_id, sorted(self.missing)))
        return too_late(
            f"required services {shortened(missing)} of sandbox {shown_id(sandbox_id)} did not "
            f"start {within(seconds)}",
            "The daemon continues: follow them with subscribe_sandbox_events",
            seconds,
            handle,
            trouble,
            sandbox_id=sandbox_id,
        )


def become_ready(
    accepted: SandboxHandle, required: Iterable[ServiceSpec]
) -> SandboxGoal | ReadyWithCompanions:
    """Choose the goal of a create.

    Args:
        accepted: The daemon's answer.
        required: The required services that were requested.
    """
    companions = {item.name for item in accepted.companion_containers}
    missing = companions.intersection(item.name for item in required)
    return ReadyWithCompanions(missing) if missing else BECOME_READY


def _companion_failed(
    sandbox_id: str, companion: CompanionContainerEventDetails
) -> SandboxFailedError:
    return SandboxFailedError(
        f"required service {shown_id(companion.name)} of sandbox {shown_id(sandbox_id)} failed: "
        f"{failure_text(companion.error_code, companion.error_message)}. "
        "The sandbox runs without it: delete it and create another one",
        sandbox_id=sandbox_id,
        error_code=companion.error_code,
        error_message=companion.error_message,
    )
