"""The record of one sandbox: its state, its events and its handle."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ..._shared.shown import shown
from ..._wire import v02_pb2 as pb
from .._host.containers import Container, ContainerState
from .._protocol.profile import Profile
from .._protocol.spec import Spec
from .._time.clock import Clock
from .events import EventLog

PRIMARY = ""
"""The key of the primary among the containers of a sandbox; no service can have this name."""


class Sandbox:
    """One sandbox, from the acceptance of its create until its record is purged."""

    def __init__(self, sandbox_id: str, spec: Spec, clock: Clock, profile: Profile) -> None:
        self.id = sandbox_id
        self.spec = spec
        self.state: pb.SandboxState = pb.SANDBOX_STATE_UNSPECIFIED
        self.error_code: str = ""
        self.error_message: str = ""
        self.created_at: Timestamp = clock.now()
        self.state_changed_at: Timestamp = self.created_at
        self.log: EventLog = EventLog(sandbox_id, clock)
        self.containers: dict[str, Container] = {}
        """All containers by name; empty until the create makes them."""
        self.last_exec_end: Timestamp | None = None
        """When an exec last finished or was cancelled."""
        self.abandoned: bool = False
        """Whether the daemon has lost track of its containers, so that a delete leaves them."""
        self.materializing: bool = False
        """Whether the Docker work of a create is in progress."""
        self.primary_down: asyncio.Event = asyncio.Event()
        """Set by a stop or a delete that took the primary down; ends the delay of other stops."""
        self.stops: set[asyncio.Task[None]] = set()
        self.removal: asyncio.Task[None] | None = None
        self._profile = profile

    def reset_after_restart(self) -> None:
        """Reset everything that a daemon does not store."""
        self.created_at = self.log.events[0].occurred_at
        # A restarted daemon counts every stored event that has a state as a change of state,
        # also the events of side containers.
        with_state = (event for event in reversed(self.log.events) if event.sandbox_state)
        self.state_changed_at = next(with_state).occurred_at
        self.primary_down.clear()
        self.removal = None
        self.materializing = False

    def record(
        self,
        event_type: pb.EventType,
        state: pb.SandboxState = pb.SANDBOX_STATE_UNSPECIFIED,
        *,
        phase: pb.SandboxPhaseDetails | None = None,
        exec_details: pb.ExecEventDetails | None = None,
    ) -> None:
        """Append an event, and enter its state if it has one."""
        event = self.log.append(
            pb.SandboxEvent(
                event_type=event_type,
                sandbox_state=state,
                sandbox_phase=phase,
                exec=exec_details,
            )
        )
        if state not in (pb.SANDBOX_STATE_UNSPECIFIED, self.state):
            self.state = state
            self.state_changed_at = event.occurred_at
            self.error_code = self.error_message = ""

    def fail(self, code: str, message: str) -> None:
        """Enter FAILED with a reason."""
        phase = pb.SandboxPhaseDetails(error_code=code, error_message=message)
        self.record(pb.SANDBOX_FAILED, pb.SANDBOX_STATE_FAILED, phase=phase)
        self.error_code = code
        self.error_message = message

    @property
    def primary(self) -> Container:
        """The primary container; the create must have made it."""
        return self.containers[PRIMARY]

    @property
    def has_containers(self) -> bool:
        """Whether any of its containers exists."""
        return any(item.state is not ContainerState.GONE for item in self.containers.values())

    def container(self, name: str) -> Container:
        """Return a container that exists, running or not.

        Raises:
            ValueError: No such container exists.
        """
        container = self.containers.get(name)
        if container is None or container.state is ContainerState.GONE:
            what = f"container {shown(name)}" if name else "primary container"
            raise ValueError(f"sandbox {self.id} has no {what}")
        return container

    def report(
        self, event_type: pb.EventType, name: str, error_code: str = "", error_message: str = ""
    ) -> None:
        """Append an event of a side container; the state does not change."""
        details = pb.ServiceEventDetails(
            service_name=name, error_code=error_code, error_message=error_message
        )
        # Recorded: once a delete was asked for, what still starts is reported as PENDING.
        deleted = self.state in (pb.SANDBOX_STATE_DELETING, pb.SANDBOX_STATE_DELETED)
        state = pb.SANDBOX_STATE_PENDING if deleted else self.state
        self.log.append(
            pb.SandboxEvent(event_type=event_type, sandbox_state=state, service=details)
        )

    def handle(self) -> Message:
        """Make the handle that Create, Get and List return, in the daemon's dialect."""
        fields: dict[str, Any] = {
            "sandbox_id": self.id,
            "state": self.state,
            "last_event_sequence": self.log.head,
            "labels": self.spec.labels,
            "created_at": self.created_at,
            "image": self.spec.image,
        }
        if self._profile.handle_reports_failures:
            fields["error_code"] = self.error_code
            fields["error_message"] = self.error_message
            fields["state_changed_at"] = self.state_changed_at
        return self._profile.dialect.encode_handle(self.spec, fields)

    def matches(self, selector: Mapping[str, str]) -> bool:
        """Whether the sandbox has every label of the selector, with the same value."""
        return selector.items() <= self.spec.labels.items()
