"""The models of output: the daemon's snapshots, events and answers.

There is no protobuf and no I/O here. Mappings are immutable copies, sequences are tuples, times are
aware datetimes in UTC.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from datetime import datetime
from typing import Literal

from ._arguments.specs import CompanionContainerSpec, ServiceSpec, fill
from ._enums import ExecState, SandboxEventType, SandboxState
from ._frozen import FrozenMapping
from ._shared.shown import OneLineRepr

__all__ = [
    "CompanionContainerEventDetails",
    "DeleteSandboxesResult",
    "ExecEventDetails",
    "ExecHandle",
    "ExecState",
    "PingInfo",
    "SandboxEvent",
    "SandboxEventType",
    "SandboxFileInfo",
    "SandboxHandle",
    "SandboxPhaseDetails",
    "SandboxState",
    "ServiceEventDetails",
]


@dataclass(frozen=True, slots=True, repr=False)
class SandboxHandle(OneLineRepr):
    """The daemon's snapshot of a sandbox.

    Attributes:
        sandbox_id: The sandbox's id.
        state: Its state.
        last_event_sequence: The sequence of its newest event.
        required_services: Accepted services that READY waits for. Empty since daemon 0.3.0,
            which has only companions.
        optional_services: Accepted services that READY does not wait for. Empty since daemon
            0.3.0.
        labels: Its accepted labels.
        created_at: When it was accepted; None if the daemon did not set it.
        image: The accepted image of the primary container.
        error_code: Why it is FAILED, e.g. `"CONTAINER_DIED"`; None in other states and from
            daemon 0.2.0.
        error_message: The same in words, or None.
        state_changed_at: When it entered its state; None from daemon 0.2.0.
        companion_containers: Accepted companions, since daemon 0.3.0. Services are also sent as
            companions there. READY waits for none of them.
    """

    sandbox_id: str
    state: SandboxState
    last_event_sequence: int = 0
    required_services: tuple[ServiceSpec, ...] = ()
    optional_services: tuple[ServiceSpec, ...] = ()
    labels: Mapping[str, str] = field(default_factory=FrozenMapping)
    created_at: datetime | None = None
    image: str = ""
    error_code: str | None = None
    error_message: str | None = None
    state_changed_at: datetime | None = None
    companion_containers: tuple[CompanionContainerSpec, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", FrozenMapping(self.labels))


@dataclass(frozen=True, slots=True, repr=False)
class ExecHandle(OneLineRepr):
    """The daemon's snapshot of an exec: one command in a sandbox.

    Attributes:
        exec_id: The exec's id.
        sandbox_id: Its sandbox.
        state: Its state.
        command: The command, as an argv.
        cwd: The requested working directory; empty: the container's own.
        env_overrides: The requested environment variables.
        exit_code: The command's exit code; None while it runs, if it was cancelled, or if it
            could not be run.
        error: Why it failed, in the daemon's words; None otherwise.
        last_event_sequence: The **sandbox's** newest event at the time of this
            snapshot: subscribe from here to see what happens to the exec next.
        stdout_log_path: The file on the daemon's host that collects the standard output. Of an exec
            that another client created, only if it can be derived and the file is there; None: it
            is unknown, or the daemon keeps no logs.
        stderr_log_path: The same for standard error.
    """

    exec_id: str
    sandbox_id: str
    state: ExecState
    command: tuple[str, ...]
    cwd: str
    env_overrides: Mapping[str, str]
    exit_code: int | None = None
    error: str | None = None
    last_event_sequence: int = 0
    stdout_log_path: str | None = None
    stderr_log_path: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "env_overrides", FrozenMapping(self.env_overrides))


@dataclass(frozen=True, slots=True, repr=False)
class SandboxFileInfo(OneLineRepr):
    """One entry of a folder in a sandbox.

    Attributes:
        name: Its name. Bytes that are not UTF-8 are lone surrogates, as in `os.listdir`;
            `os.fsencode` returns them.
        kind: What it is: `"file"`, `"directory"`, `"symlink"` or `"other"`. Links are not followed.
        size: Its size in bytes.
    """

    name: str
    kind: Literal["file", "directory", "symlink", "other"]
    size: int


@dataclass(frozen=True, slots=True, repr=False)
class SandboxPhaseDetails(OneLineRepr):
    """Details of an event of the sandbox itself; attributes that do not apply are None.

    Attributes:
        phase: The stage of a create, e.g. `"materialize"`.
        error_code: Why the sandbox failed, e.g. `"SANDBOX_CREATE_FAILED"`.
        error_message: The same in words.
        reason: What caused a stop or delete, e.g. `"idle_ttl"`.
    """

    phase: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ExecEventDetails(OneLineRepr):
    """Details of an event of an exec.

    Attributes:
        exec_id: The exec.
        exit_code: As in `ExecHandle`.
        exec_state: The exec's state after the event; UNSPECIFIED is falsy.
        error_code: Why it failed, e.g. `"EXEC_RUN_FAILED"`; None otherwise.
        error_message: The same in words, or None.
    """

    exec_id: str = ""
    exit_code: int | None = None
    exec_state: ExecState = ExecState.UNSPECIFIED
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ServiceEventDetails(OneLineRepr):
    """Details of an event of a service.

    Attributes:
        service_name: The service.
        error_code: Why it failed, e.g. `"CONTAINER_DIED"`; None otherwise.
        error_message: The same in words, or None.
    """

    service_name: str = ""
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class CompanionContainerEventDetails(OneLineRepr):
    """Details of an event of a companion container.

    Attributes:
        name: The companion.
        error_code: Why it failed, e.g. `"CONTAINER_CRASHLOOP"`; None otherwise.
        error_message: The same in words, or None.
    """

    name: str = ""
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True, init=False, repr=False)
class SandboxEvent(OneLineRepr):
    """One event of a sandbox. At most one of its three kinds of details is set.

    The constructor takes the details of a companion under either name.

    Attributes:
        event_id: `<sandbox_id>-<sequence>`.
        sequence: Its position in the sandbox's stream: 1, 2, 3, ... without gaps.
        sandbox_id: The sandbox.
        event_type: What happened.
        occurred_at: When it happened; None if the daemon did not set it.
        replay: Released daemons set it on every event, even on new ones, so it does not tell
            history from news.
        snapshot: Whether this repeats the current state and reports nothing new.
        sandbox_state: The sandbox's state after the event; UNSPECIFIED, which is falsy, if
            the event does not change it, as with all events of execs.
        sandbox_phase: Details of a sandbox event, or None.
        exec: Details of an exec event, or None.
        service: Details of an event of a service or companion, or None.
    """

    event_id: str
    sequence: int
    sandbox_id: str
    event_type: SandboxEventType
    occurred_at: datetime | None
    replay: bool = False
    snapshot: bool = False
    sandbox_state: SandboxState = SandboxState.UNSPECIFIED
    sandbox_phase: SandboxPhaseDetails | None = None
    exec: ExecEventDetails | None = None
    service: ServiceEventDetails | None = None

    def __init__(
        self,
        event_id: str,
        sequence: int,
        sandbox_id: str,
        event_type: SandboxEventType,
        occurred_at: datetime | None,
        replay: bool = False,
        snapshot: bool = False,
        sandbox_state: SandboxState = SandboxState.UNSPECIFIED,
        sandbox_phase: SandboxPhaseDetails | None = None,
        exec: ExecEventDetails | None = None,  # noqa: A002 - the field's name
        service: ServiceEventDetails | None = None,
        companion_container: CompanionContainerEventDetails | None = None,
    ) -> None:
        if companion_container is not None:
            service = ServiceEventDetails(*astuple(companion_container))
        fill(
            self,
            event_id=event_id,
            sequence=sequence,
            sandbox_id=sandbox_id,
            event_type=event_type,
            occurred_at=occurred_at,
            replay=replay,
            snapshot=snapshot,
            sandbox_state=sandbox_state,
            sandbox_phase=sandbox_phase,
            exec=exec,
            service=service,
        )

    @property
    def companion_container(self) -> CompanionContainerEventDetails | None:
        """The same details as `service`, under the new name; None for other events."""
        details = self.service
        if details is None:
            return None
        return CompanionContainerEventDetails(
            details.service_name, details.error_code, details.error_message
        )


@dataclass(frozen=True, slots=True, repr=False)
class PingInfo(OneLineRepr):
    """What answers at the socket.

    Attributes:
        version: The daemon's release, e.g. `"0.2.1"`; `"dev"` for local builds.
        daemon: The name of the program, `"agboxd"`.
    """

    version: str
    daemon: str


@dataclass(frozen=True, slots=True, repr=False)
class DeleteSandboxesResult(OneLineRepr):
    """Which sandboxes a label selector deleted.

    Attributes:
        deleted_sandbox_ids: Their ids, in ascending order.
        deleted_count: The number of these sandboxes.
    """

    deleted_sandbox_ids: tuple[str, ...]
    deleted_count: int
