"""What a wait waits for, decided from snapshots and events alike; pure.

A goal looks at one observation and says: reached (True), on the way (False),
or never (an error). An event that says True is confirmed by a fresh snapshot
before the wait succeeds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeVar

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

# How much later than its sandbox's end an exec's own may come. Recorded: well
# under 0.1 s.
_EXEC_GRACE_SECONDS = 2.0


class Goal(Protocol[HandleT_contra]):
    """What a wait asks of its goal."""

    reads_all_events: ClassVar[bool]
    """Whether a snapshot cannot stand for the events before it."""

    def reached(self, handle: HandleT_contra) -> bool:
        """Judge a snapshot."""
        ...

    def settled_by(self, event: SandboxEvent) -> bool:
        """Judge an event: whether a fresh snapshot is worth its round trip."""
        ...

    def bounded(self, deadline: Deadline) -> Deadline:
        """Return the deadline as the goal sees it after what was observed."""
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
    reads_all_events: ClassVar[bool] = False

    def reached(self, handle: SandboxHandle) -> bool:
        """Judge a snapshot."""
        return self._judge(handle.sandbox_id, handle.state, handle.error_code, handle.error_message)

    def settled_by(self, event: SandboxEvent) -> bool:
        """Judge an event; events of execs and services carry no new state."""
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
        error = OperationTimeoutError(
            f"sandbox {sandbox_id} did not become {self.target.name} {_within(seconds)}, {seen}: "
            "the daemon goes on with it; look again with get_sandbox, or raise timeout_seconds "
            "or operation_timeout_seconds",
            sandbox_id=sandbox_id,
        )
        error.timeout_seconds, error.last_handle = seconds, handle
        return error

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


# A container that dies because it is being stopped or removed is reported as a
# failure first by daemons 0.2: FAILED with one of these codes, then STOPPED.
# The handles of 0.2.0 do not tell the code.
_DYING = frozenset({"CONTAINER_DIED", "CONTAINER_OOM", None})

_SOMEBODY_ELSE = "another caller, or its idle_ttl, got in between"

BECOME_READY = SandboxGoal(
    SandboxState.READY,
    frozenset({SandboxState.STOPPED, SandboxState.DELETING, SandboxState.DELETED}),
    _SOMEBODY_ELSE,
)

BECOME_STOPPED = SandboxGoal(
    SandboxState.STOPPED, frozenset({SandboxState.DELETED}), _SOMEBODY_ELSE, _DYING
)

# A create that was inside its Docker work goes on after the delete and brings
# the sandbox back.
BECOME_DELETED = SandboxGoal(
    SandboxState.DELETED,
    frozenset({SandboxState.READY}),
    "its create was still at work and outlived the delete. Delete it again",
    _DYING,
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
    reads_all_events: ClassVar[bool] = True

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
        error = OperationTimeoutError(
            f"required services {', '.join(sorted(self.missing))} of sandbox {sandbox_id} were not "
            f"started {_within(seconds)}: the daemon goes on with them; follow them with "
            "subscribe_sandbox_events, or raise timeout_seconds or operation_timeout_seconds",
            sandbox_id=sandbox_id,
        )
        error.timeout_seconds, error.last_handle = seconds, handle
        return error


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
    """

    exec_id: str
    lost_sandbox: SandboxClientError | None = field(default=None, init=False)
    reads_all_events: ClassVar[bool] = False

    def reached(self, handle: ExecHandle) -> bool:
        """Judge a snapshot."""
        return handle.state.is_terminal

    def settled_by(self, event: SandboxEvent) -> bool:
        """Judge an event of the exec's sandbox."""
        if event.sandbox_state in _SANDBOX_ENDS:
            self.lost_sandbox = _lost_sandbox(event, self.exec_id)
            return True
        details = event.exec
        return (
            details is not None
            and details.exec_id == self.exec_id
            and details.exec_state.is_terminal
        )

    def bounded(self, deadline: Deadline) -> Deadline:
        """Wait for the exec only shortly once its sandbox is lost."""
        return deadline if self.lost_sandbox is None else deadline.within(_EXEC_GRACE_SECONDS)

    def timed_out(
        self, sandbox_id: str | None, handle: ExecHandle | None, seconds: float | None
    ) -> SandboxClientError:
        """Make the error of a wait that took too long, or lost its sandbox."""
        if self.lost_sandbox is not None:
            return self.lost_sandbox
        error = OperationTimeoutError(
            f"exec {self.exec_id} did not end {_within(seconds)}: it goes on; look again with "
            "get_exec, give it up with cancel_exec, or raise timeout_seconds or "
            "operation_timeout_seconds",
            sandbox_id=handle.sandbox_id if handle else sandbox_id,
            exec_id=self.exec_id,
        )
        error.timeout_seconds, error.last_handle = seconds, handle
        return error


_SANDBOX_ENDS = (SandboxState.FAILED, SandboxState.STOPPED, SandboxState.DELETED)


def _within(seconds: float | None) -> str:
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
