"""The models that come out: the daemon's snapshots, events and answers.

No protobuf and no I/O in here. Mappings are immutable copies, sequences are
tuples, times are aware datetimes in UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ._enums import ExecState, SandboxEventType, SandboxState
from ._frozen import FrozenMapping
from ._specs import CompanionContainerSpec, ServiceSpec


@dataclass(frozen=True, slots=True)
class SandboxHandle:
    """The daemon's snapshot of a sandbox.

    Attributes:
        sandbox_id: The sandbox's id.
        state: Its state.
        last_event_sequence: Sequence of its newest event.
        required_services: Services that READY waits for, as accepted. Daemons
            since 0.3.0 know companions only, and report none here.
        optional_services: Services that READY does not wait for, likewise.
        labels: Its labels, as accepted.
        created_at: When it was accepted; None if not set by the daemon.
        image: The primary container's image, as accepted.
        error_code: Why it is FAILED, e.g. `"CONTAINER_DIED"`; else None.
            Daemon 0.2.0 never sets it.
        error_message: The same in words; else None.
        state_changed_at: When it entered its state; None from daemon 0.2.0.
        companion_containers: Companions as accepted by a daemon since 0.3.0,
            services that were sent to it among them; READY waits for none.
    """

    sandbox_id: str
    state: SandboxState
    last_event_sequence: int
    required_services: tuple[ServiceSpec, ...]
    optional_services: tuple[ServiceSpec, ...]
    labels: Mapping[str, str]
    created_at: datetime | None
    image: str
    error_code: str | None = None
    error_message: str | None = None
    state_changed_at: datetime | None = None
    companion_containers: tuple[CompanionContainerSpec, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", FrozenMapping(self.labels))


@dataclass(frozen=True, slots=True)
class ExecHandle:
    """The daemon's snapshot of an exec: one command in a sandbox.

    Attributes:
        exec_id: The exec's id.
        sandbox_id: Its sandbox.
        state: Its state.
        command: The command, as an argv.
        cwd: Working directory as asked for; empty: the container's own.
        env_overrides: Environment variables as asked for.
        exit_code: The command's exit code; None while it runs, when it was
            cancelled, or when it could not be run at all.
        error: Why it failed, in the daemon's words; else None.
        last_event_sequence: The **sandbox's** newest event at the time of this
            snapshot: subscribe from here to see what happens to the exec next.
        stdout_log_path: File on the daemon's host that collects the standard
            output; None on handles read back later, which do not tell.
        stderr_log_path: The same for standard error.
    """

    exec_id: str
    sandbox_id: str
    state: ExecState
    command: tuple[str, ...]
    cwd: str
    env_overrides: Mapping[str, str]
    exit_code: int | None
    error: str | None
    last_event_sequence: int
    stdout_log_path: str | None = None
    stderr_log_path: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "env_overrides", FrozenMapping(self.env_overrides))


@dataclass(frozen=True, slots=True)
class SandboxPhaseDetails:
    """Details of an event of the sandbox itself; what does not apply is None.

    Attributes:
        phase: Stage of a create, e.g. `"materialize"`.
        error_code: Why the sandbox failed, e.g. `"SANDBOX_CREATE_FAILED"`.
        error_message: The same in words.
        reason: What caused a stop or delete, e.g. `"idle_ttl"`.
    """

    phase: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ExecEventDetails:
    """Details of an event of an exec.

    Attributes:
        exec_id: The exec.
        exit_code: As in `ExecHandle`.
        exec_state: The exec's state after the event.
        error_code: Why it failed, e.g. `"EXEC_RUN_FAILED"`; else None.
        error_message: The same in words.
    """

    exec_id: str
    exit_code: int | None
    exec_state: ExecState
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceEventDetails:
    """Details of an event of a service.

    Attributes:
        service_name: The service.
        error_code: Why it failed, e.g. `"CONTAINER_DIED"`; else None.
        error_message: The same in words.
    """

    service_name: str
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class CompanionContainerEventDetails:
    """Details of an event of a companion container.

    Attributes:
        name: The companion.
        error_code: Why it failed, e.g. `"CONTAINER_CRASHLOOP"`; else None.
        error_message: The same in words.
    """

    name: str
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class SandboxEvent:
    """One event of a sandbox. At most one of the three details is set.

    Attributes:
        event_id: `<sandbox_id>-<sequence>`.
        sequence: Position in the sandbox's stream: 1, 2, 3, ... with no gap.
        sandbox_id: The sandbox.
        event_type: What happened.
        occurred_at: When, or None if not set by the daemon.
        replay: Set on every event a released daemon sends, live ones too: it
            cannot tell history from news.
        snapshot: Whether this repeats the present state, not something new.
        sandbox_state: The sandbox's state after the event; UNSPECIFIED where
            the event does not change it, as for all execs.
        sandbox_phase: Details of a sandbox event, or None.
        exec: Details of an exec event, or None.
        service: Details of an event of a service or companion, or None.
    """

    event_id: str
    sequence: int
    sandbox_id: str
    event_type: SandboxEventType
    occurred_at: datetime | None
    replay: bool
    snapshot: bool
    sandbox_state: SandboxState
    sandbox_phase: SandboxPhaseDetails | None = None
    exec: ExecEventDetails | None = None
    service: ServiceEventDetails | None = None

    @property
    def companion_container(self) -> CompanionContainerEventDetails | None:
        """Details of an event of a companion or service, or None: `service` by its new name."""
        details = self.service
        if details is None:
            return None
        return CompanionContainerEventDetails(
            details.service_name, details.error_code, details.error_message
        )


@dataclass(frozen=True, slots=True)
class PingInfo:
    """Who answers at the socket.

    Attributes:
        version: The daemon's release, e.g. `"0.2.1"`; `"dev"` for local builds.
        daemon: The program, `"agboxd"`.
    """

    version: str
    daemon: str


@dataclass(frozen=True, slots=True)
class DeleteSandboxesResult:
    """Which sandboxes a label selector deleted.

    Attributes:
        deleted_sandbox_ids: Their ids, ascending.
        deleted_count: How many they are.
    """

    deleted_sandbox_ids: tuple[str, ...]
    deleted_count: int
