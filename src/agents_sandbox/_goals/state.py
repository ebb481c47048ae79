"""A state that a sandbox should reach."""

from __future__ import annotations

from typing import NamedTuple

from .._deadline import Deadline
from .._enums import SandboxState
from .._shared.shown import shown_id
from ..errors import SandboxClientError, SandboxInvalidStateError, SandboxNotReadyError
from ..models import SandboxEvent, SandboxHandle, SandboxPhaseDetails
from .goal import last_seen, sandbox_failed, too_late, within


class SandboxGoal(NamedTuple):
    """A state that a sandbox should reach.

    Attributes:
        target: The state.
        dead_ends: States from which it can no longer be reached. Only other callers or the
            sandbox's idle_ttl cause them.
        passing: Error codes of FAILED states that are only temporary.
    """

    target: SandboxState
    dead_ends: frozenset[SandboxState]
    passing: frozenset[str | None] = frozenset()

    def concerns(self, event: SandboxEvent) -> bool:
        """True for events of states that decide: at others, the wait need not wake up."""
        state = event.sandbox_state
        return state is self.target or state is SandboxState.FAILED or state in self.dead_ends

    def judge(self, handle: SandboxHandle) -> bool:
        """Judge a snapshot."""
        return self._judge(handle.sandbox_id, handle.state, handle.error_code, handle.error_message)

    def see(self, event: SandboxEvent) -> bool:
        """Judge an event."""
        phase = event.sandbox_phase or SandboxPhaseDetails()
        return self._judge(
            event.sandbox_id, event.sandbox_state, phase.error_code, phase.error_message
        )

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
        return too_late(
            f"sandbox {shown_id(sandbox_id)} did not become {self.target.name} {within(seconds)}, "
            f"{last_seen(handle)}",
            "The daemon continues: go on waiting with wait_for_sandbox",
            seconds,
            handle,
            trouble,
            sandbox_id=sandbox_id,
        )

    def _judge(
        self, sandbox_id: str, state: SandboxState, code: str | None, message: str | None
    ) -> bool:
        if state is self.target:
            return True
        if state is SandboxState.FAILED and code not in self.passing:
            raise sandbox_failed(sandbox_id, code, message)
        if state in self.dead_ends:
            kind = (
                SandboxNotReadyError
                if self.target is SandboxState.READY
                else SandboxInvalidStateError
            )
            raise kind(
                message=f"sandbox {shown_id(sandbox_id)} is {state.name} and will not become "
                f"{self.target.name}: another caller or its idle_ttl intervened",
                sandbox_id=sandbox_id,
            )
        return False
