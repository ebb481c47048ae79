"""What a wait waits for, decided from events and snapshots alike; pure.

A goal is shown every event that concerns it, in order, from the moment at which its
operation was asked for. One that settles the matter is confirmed by a fresh snapshot before
the wait succeeds: events tell what happened, the snapshot what is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from ._deadline import Deadline
from ._enums import SandboxEventType, SandboxState
from ._specs import ServiceSpec
from .errors import (
    OperationTimeoutError,
    SandboxClientError,
    SandboxFailedError,
    SandboxInvalidStateError,
    SandboxNotReadyError,
)
from .models import (
    CompanionContainerEventDetails,
    ExecHandle,
    SandboxEvent,
    SandboxHandle,
    SandboxPhaseDetails,
)

HandleT = TypeVar("HandleT", bound=SandboxHandle | ExecHandle)
HandleT_contra = TypeVar("HandleT_contra", bound=SandboxHandle | ExecHandle, contravariant=True)

# How much later than its sandbox's end an exec's own may come, and how much later than a
# deletion the end of a resume that it has cut short. Recorded: well under 0.1 s.
GRACE_SECONDS = 2.0


class Goal(Protocol[HandleT_contra]):
    """What a wait asks of its goal."""

    def concerns(self, event: SandboxEvent) -> bool:
        """Say whether an event is worth being shown; asked on another task or thread."""
        ...

    def settled_by(self, event: SandboxEvent) -> bool:
        """Judge an event: whether a fresh snapshot is worth its round trip."""
        ...

    def reached(self, handle: HandleT_contra) -> bool:
        """Judge a snapshot: reached (True), on the way (False), or never (an error)."""
        ...

    def bounded(self, deadline: Deadline) -> Deadline:
        """Return until when to follow before the next snapshot is due, whatever comes."""
        ...

    def timed_out(
        self, sandbox_id: str | None, handle: HandleT_contra | None, seconds: float | None
    ) -> SandboxClientError:
        """Make the error of a wait that took too long, with the last snapshot seen."""
        ...


@dataclass(frozen=True)
class SandboxGoal:
    """A state that a sandbox shall reach.

    Attributes:
        target: The state.
        dead_ends: States from which it is not reached any more.
        hindrance: What leads there, in words.
        survives: Error codes of FAILED states that pass by themselves.
    """

    target: SandboxState
    dead_ends: frozenset[SandboxState]
    hindrance: str
    survives: frozenset[str | None] = frozenset()

    def concerns(self, event: SandboxEvent) -> bool:
        """Say yes to a new state; events of execs and services carry none."""
        return event.sandbox_state is not SandboxState.UNSPECIFIED

    def reached(self, handle: SandboxHandle) -> bool:
        """Judge a snapshot."""
        return self._judge(handle.sandbox_id, handle.state, handle.error_code, handle.error_message)

    def settled_by(self, event: SandboxEvent) -> bool:
        """Judge an event."""
        phase = event.sandbox_phase or SandboxPhaseDetails()
        return self._judge(
            event.sandbox_id, event.sandbox_state, phase.error_code, phase.error_message
        )

    def bounded(self, deadline: Deadline) -> Deadline:
        """Return the deadline as it is."""
        return deadline

    def timed_out(
        self, sandbox_id: str | None, handle: SandboxHandle | None, seconds: float | None
    ) -> SandboxClientError:
        """Make the error of a wait that took too long."""
        seen = f"last seen {handle.state.name}" if handle else "never seen"
        return out_of_time(
            f"sandbox {sandbox_id} did not become {self.target.name} {within(seconds)}, {seen}: "
            "the daemon goes on with it; look again with get_sandbox, or raise timeout_seconds "
            "or operation_timeout_seconds",
            seconds,
            handle,
            sandbox_id=sandbox_id,
        )

    def _judge(
        self, sandbox_id: str, state: SandboxState, code: str | None, message: str | None
    ) -> bool:
        if state is SandboxState.FAILED and code not in self.survives:
            raise sandbox_failed(sandbox_id, code, message)
        if state in self.dead_ends:
            kind = (
                SandboxNotReadyError
                if self.target is SandboxState.READY
                else SandboxInvalidStateError
            )
            raise kind(
                f"sandbox {sandbox_id} is {state.name} and will not become {self.target.name}: "
                f"{self.hindrance}",
                sandbox_id=sandbox_id,
            )
        return state is self.target


SOMEBODY_ELSE = "another caller, or its idle_ttl, got in between"

BECOME_READY = SandboxGoal(
    SandboxState.READY,
    frozenset({SandboxState.STOPPED, SandboxState.DELETING, SandboxState.DELETED}),
    SOMEBODY_ELSE,
)


@dataclass
class ReadyWithCompanions:
    """READY, and companions started: what daemons since 0.3.0 have for required services.

    Their READY waits for no companion, and no event tells that one is healthy.

    Attributes:
        missing: The companions that have not been started yet.
        failure: Why one of them never will be. It is told once the sandbox is READY: a
            sandbox that is deleted before would come back.
        ready: Whether an event told that the sandbox is READY.
    """

    missing: set[str]
    failure: SandboxFailedError | None = field(default=None, init=False)
    ready: bool = field(default=False, init=False)

    def concerns(self, event: SandboxEvent) -> bool:
        """Say yes to a new state, and to what becomes of a companion."""
        return event.service is not None or BECOME_READY.concerns(event)

    def reached(self, handle: SandboxHandle) -> bool:
        """Judge a snapshot, which tells nothing of companions."""
        ready = BECOME_READY.reached(handle)
        if ready and self.failure:
            raise self.failure
        return ready and not self.missing

    def settled_by(self, event: SandboxEvent) -> bool:
        """Judge an event of the sandbox or of a companion."""
        companion = event.companion_container
        if companion is not None and companion.name in self.missing:
            if event.event_type is SandboxEventType.COMPANION_CONTAINER_FAILED:
                self.failure = self.failure or _failed_companion(event.sandbox_id, companion)
            if event.event_type is SandboxEventType.COMPANION_CONTAINER_READY:
                self.missing.remove(companion.name)
        self.ready |= BECOME_READY.settled_by(event)
        return self.ready and bool(self.failure or not self.missing)

    def bounded(self, deadline: Deadline) -> Deadline:
        """Return the deadline as it is."""
        return deadline

    def timed_out(
        self, sandbox_id: str | None, handle: SandboxHandle | None, seconds: float | None
    ) -> SandboxClientError:
        """Make the error of a wait that took too long."""
        if not (self.ready and self.missing):
            return BECOME_READY.timed_out(sandbox_id, handle, seconds)
        return out_of_time(
            f"required services {', '.join(sorted(self.missing))} of sandbox {sandbox_id} were not "
            f"started {within(seconds)}: the daemon goes on with them; follow them with "
            "subscribe_sandbox_events, or raise timeout_seconds or operation_timeout_seconds",
            seconds,
            handle,
            sandbox_id=sandbox_id,
        )


def become_ready(
    accepted: SandboxHandle, required: Iterable[ServiceSpec]
) -> SandboxGoal | ReadyWithCompanions:
    """The goal of a create, from the daemon's answer and what was asked for."""
    companions = {item.name for item in accepted.companion_containers}
    missing = companions.intersection(item.name for item in required)
    return ReadyWithCompanions(missing) if missing else BECOME_READY


def _failed_companion(
    sandbox_id: str, companion: CompanionContainerEventDetails
) -> SandboxFailedError:
    error = SandboxFailedError(
        f"required service {companion.name} of sandbox {sandbox_id} failed: "
        f"{companion.error_code or 'no error code'}: {companion.error_message or 'no message'}. "
        "The sandbox goes on without it: delete it and create another one",
        sandbox_id=sandbox_id,
    )
    error.error_code, error.error_message = companion.error_code, companion.error_message
    return error


@dataclass
class ExecGoal:
    """The end of an exec, by itself or with its sandbox.

    Attributes:
        exec_id: The exec.
        lost_sandbox: How its sandbox ended, once that was seen. The exec's own
            end then follows at once, or never.
        grace: Until when it is waited for after that.
    """

    exec_id: str
    lost_sandbox: SandboxClientError | None = field(default=None, init=False)
    grace: Deadline = field(default_factory=lambda: Deadline(math.inf), init=False)

    def concerns(self, event: SandboxEvent) -> bool:
        """Say yes to the exec's own end, and to that of its sandbox."""
        details = event.exec
        if details is None:
            return event.sandbox_state in _SANDBOX_ENDS
        return details.exec_id == self.exec_id and details.exec_state.is_terminal

    def settled_by(self, event: SandboxEvent) -> bool:
        """Judge an event that concerns it: each is worth a look."""
        if event.exec is None:
            self.lost_sandbox = _lost_sandbox(event, self.exec_id)
            self.grace = self.grace.within(GRACE_SECONDS)
        return True

    def reached(self, handle: ExecHandle) -> bool:
        """Judge a snapshot."""
        if self.lost_sandbox is not None and self.grace.expired() and not handle.state.is_terminal:
            raise self.lost_sandbox
        return handle.state.is_terminal

    def bounded(self, deadline: Deadline) -> Deadline:
        """Wait for the exec only shortly once its sandbox is lost."""
        return deadline.earlier(self.grace)

    def timed_out(
        self, sandbox_id: str | None, handle: ExecHandle | None, seconds: float | None
    ) -> SandboxClientError:
        """Make the error of a wait that took too long, or lost its sandbox."""
        if self.lost_sandbox is not None:
            return self.lost_sandbox
        return out_of_time(
            f"exec {self.exec_id} did not end {within(seconds)}: it goes on; look again with "
            "get_exec, give it up with cancel_exec, or raise timeout_seconds or "
            "operation_timeout_seconds",
            seconds,
            handle,
            sandbox_id=handle.sandbox_id if handle else sandbox_id,
            exec_id=self.exec_id,
        )


_SANDBOX_ENDS = (SandboxState.FAILED, SandboxState.STOPPED, SandboxState.DELETED)


def out_of_time(
    message: str,
    seconds: float | None,
    handle: SandboxHandle | ExecHandle | None,
    *,
    sandbox_id: str | None,
    exec_id: str | None = None,
) -> OperationTimeoutError:
    """Make the error of a wait that took too long, with the last snapshot seen."""
    error = OperationTimeoutError(message, sandbox_id=sandbox_id, exec_id=exec_id)
    error.timeout_seconds, error.last_handle = seconds, handle
    return error


def within(seconds: float | None) -> str:
    """Say a bound in words; None is without a number."""
    return "in time" if seconds is None else f"within {seconds:g} s"


def sandbox_failed(
    sandbox_id: str, code: str | None, message: str | None, exec_id: str | None = None
) -> SandboxFailedError:
    """Make the error of a sandbox that failed."""
    error = SandboxFailedError(
        f"sandbox {sandbox_id} failed: {code or 'no error code'}: "
        f"{message or 'no message'}. Delete it and create another one",
        sandbox_id=sandbox_id,
        exec_id=exec_id,
    )
    error.error_code, error.error_message = code, message
    return error


def _lost_sandbox(event: SandboxEvent, exec_id: str) -> SandboxClientError:
    if event.sandbox_state is SandboxState.FAILED:
        phase = event.sandbox_phase or SandboxPhaseDetails()
        return sandbox_failed(
            event.sandbox_id, phase.error_code, phase.error_message, exec_id=exec_id
        )
    return SandboxNotReadyError(
        f"sandbox {event.sandbox_id} is {event.sandbox_state.name} and exec {exec_id} "
        "never reported its end",
        sandbox_id=event.sandbox_id,
        exec_id=exec_id,
    )
