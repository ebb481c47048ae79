"""The record of one sandbox: its state, its events and the handle made of both."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from .._wire import v02_pb2 as pb
from ._clock import Clock
from ._events import EventLog
from ._profile import Profile
from ._spec import Spec

if TYPE_CHECKING:
    from ._execs import Exec


class Sandbox:
    """One sandbox, from the acceptance of its create until its record is purged."""

    def __init__(self, sandbox_id: str, spec: Spec, clock: Clock, profile: Profile) -> None:
        self.id = sandbox_id
        self.spec = spec
        self.state: pb.SandboxState = pb.SANDBOX_STATE_UNSPECIFIED
        self.error_code = ""
        self.error_message = ""
        self.created_at = clock.now()
        self.state_changed_at = self.created_at
        self.log = EventLog(sandbox_id, clock)
        self.execs: dict[str, Exec] = {}
        self.last_exec_end: Timestamp | None = None
        """When an exec last finished or was cancelled."""
        self.has_container = False
        self.removed = asyncio.Event()
        """Set by a delete; cuts a stop short that still waits for its container."""
        self.stops: set[asyncio.Task[None]] = set()
        self.removal: asyncio.Task[None] | None = None
        self._clock = clock
        self._profile = profile

    def record(
        self,
        event_type: pb.EventType,
        state: pb.SandboxState = pb.SANDBOX_STATE_UNSPECIFIED,
        *,
        phase: pb.SandboxPhaseDetails | None = None,
        exec_details: pb.ExecEventDetails | None = None,
        service: pb.ServiceEventDetails | None = None,
    ) -> None:
        """Append an event and enter the state that it names, if it names one."""
        event = self.log.append(
            pb.SandboxEvent(
                event_type=event_type,
                sandbox_state=state,
                sandbox_phase=phase,
                exec=exec_details,
                service=service,
            )
        )
        if state not in (pb.SANDBOX_STATE_UNSPECIFIED, self.state):
            self.state = state
            self.state_changed_at = event.occurred_at
            self.error_code = self.error_message = ""

    def fail(self, code: str, message: str) -> None:
        """Enter FAILED for the given reason."""
        phase = pb.SandboxPhaseDetails(error_code=code, error_message=message)
        self.record(pb.SANDBOX_FAILED, pb.SANDBOX_STATE_FAILED, phase=phase)
        self.error_code = code
        self.error_message = message

    def handle(self) -> Message:
        """What Create, Get and List answer, in the daemon's dialect."""
        fields: dict[str, Any] = {
            "sandbox_id": self.id,
            "state": self.state,
            "last_event_sequence": self.log.head,
            "labels": self.spec.labels,
            "created_at": self.created_at,
            "image": self.spec.image,
        }
        if self._profile.handle_tells_failures:
            fields["error_code"] = self.error_code
            fields["error_message"] = self.error_message
            fields["state_changed_at"] = self.state_changed_at
        return self._profile.dialect.encode_handle(self.spec, fields)

    def snapshot(self) -> list[pb.SandboxEvent]:
        """The newest event, then a made-up EXEC_STARTED for each running exec."""
        return [
            self.log.events[-1],
            *(self._running(exec_id) for exec_id, item in self.execs.items() if item.running),
        ]

    def _running(self, exec_id: str) -> pb.SandboxEvent:
        return pb.SandboxEvent(
            event_id=f"{self.id}-snapshot-{exec_id}",
            sequence=self.log.head,
            sandbox_id=self.id,
            event_type=pb.EXEC_STARTED,
            occurred_at=self._clock.now(),
            sandbox_state=self.state,
            exec=pb.ExecEventDetails(exec_id=exec_id, exec_state=pb.EXEC_STATE_RUNNING),
        )

    def matches(self, selector: Mapping[str, str]) -> bool:
        """Whether every label of the selector is there with exactly that value."""
        return selector.items() <= self.spec.labels.items()
