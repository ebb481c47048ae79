"""Models to messages and back: pure, and tolerant of newer daemons.

Decoding never fails: unknown enum values become open enum members, unknown fields are skipped,
missing messages read as empty, and times beyond Python's calendar as None.

It is as fast as reading the messages allows: it checks nothing (`trusted.py`), reads each field
once, and takes repeated fields as slices, which are made at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from .._arguments.creates import NO_LOGS, LogPaths
from .._arguments.specs import (
    CompanionContainerSpec,
    CopySpec,
    HealthcheckConfig,
    MountSpec,
    PortMapping,
    ServiceSpec,
)
from .._enums import ExecState, SandboxEventType, SandboxState
from .._shared.helpers import without_stdin
from ..models import (
    DeleteSandboxesResult,
    ExecEventDetails,
    ExecHandle,
    PingInfo,
    SandboxEvent,
    SandboxHandle,
    SandboxPhaseDetails,
    ServiceEventDetails,
)
from . import v02_pb2 as pb
from . import v04_pb2 as v04
from .trusted import Members, frozen, trusted

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

_SANDBOX_STATES = Members(SandboxState)
_EXEC_STATES = Members(ExecState)
_EVENT_TYPES = Members(SandboxEventType)

# The constructors of the models, past their checks.
_healthcheck = trusted(HealthcheckConfig)
_service = trusted(ServiceSpec)
_companion = trusted(CompanionContainerSpec)
_sandbox = trusted(SandboxHandle)
_exec = trusted(ExecHandle)
_event = trusted(SandboxEvent)
_phase_details = trusted(SandboxPhaseDetails)
_exec_details = trusted(ExecEventDetails)
_service_details = trusted(ServiceEventDetails)
_ping = trusted(PingInfo)
_deleted = trusted(DeleteSandboxesResult)


def encode_duration(value: timedelta | None) -> Duration | None:
    """Encode a duration that is within the wire's range; None stays unset."""
    if value is None:
        return None
    seconds, rest = divmod(value, timedelta(seconds=1))
    return Duration(seconds=seconds, nanos=rest.microseconds * 1000)


def decode_duration(message: Duration) -> timedelta | None:
    """Decode a duration to the microsecond; None if beyond a `timedelta`."""
    try:
        return _elapsed(message)
    except OverflowError:
        return None


def decode_timestamp(message: Timestamp) -> datetime | None:
    """Decode a time to the microsecond, in UTC; None if beyond a `datetime`."""
    try:
        return _EPOCH + _elapsed(message)
    except OverflowError:
        return None


# A product of integers takes half as long as the parts of a timedelta.
def _elapsed(message: Duration | Timestamp) -> timedelta:
    return timedelta.resolution * (message.seconds * 1_000_000 + message.nanos // 1000)


def encode_mount(mount: MountSpec) -> pb.MountSpec:
    """Encode a mount."""
    return pb.MountSpec(source=mount.source, target=mount.target, writable=mount.writable)


def encode_copy(copy: CopySpec) -> pb.CopySpec:
    """Encode a copy."""
    return pb.CopySpec(
        source=copy.source, target=copy.target, exclude_patterns=copy.exclude_patterns
    )


def encode_healthcheck(check: HealthcheckConfig) -> pb.HealthcheckConfig:
    """Encode a health check."""
    return pb.HealthcheckConfig(
        test=check.test,
        interval=encode_duration(check.interval),
        timeout=encode_duration(check.timeout),
        retries=check.retries or 0,
        start_period=encode_duration(check.start_period),
        start_interval=encode_duration(check.start_interval),
    )


def decode_healthcheck(message: pb.HealthcheckConfig) -> HealthcheckConfig:
    """Decode a health check."""
    has = message.HasField
    return _healthcheck(
        test=tuple(message.test[:]),
        interval=decode_duration(message.interval) if has("interval") else None,
        timeout=decode_duration(message.timeout) if has("timeout") else None,
        retries=message.retries or None,
        start_period=decode_duration(message.start_period) if has("start_period") else None,
        start_interval=decode_duration(message.start_interval) if has("start_interval") else None,
    )


def encode_service(service: ServiceSpec) -> pb.ServiceSpec:
    """Encode a service."""
    return pb.ServiceSpec(
        name=service.name,
        image=service.image,
        envs=service.envs,
        healthcheck=encode_healthcheck(service.healthcheck) if service.healthcheck else None,
        post_start_on_primary=service.post_start_on_primary,
    )


def decode_service(message: pb.ServiceSpec) -> ServiceSpec:
    """Decode a service."""
    has_check = message.HasField("healthcheck")
    return _service(
        name=message.name,
        image=message.image,
        envs=frozen(message.envs),
        healthcheck=decode_healthcheck(message.healthcheck) if has_check else None,
        post_start_on_primary=tuple(message.post_start_on_primary[:]),
    )


def encode_companion(companion: CompanionContainerSpec) -> v04.CompanionContainerSpec:
    """Encode a companion container."""
    check = companion.healthcheck
    return v04.CompanionContainerSpec(
        name=companion.name,
        image=companion.image,
        envs=companion.envs,
        healthcheck=encode_healthcheck(check) if check else None,
        post_start_on_primary=companion.post_start_on_primary,
        command=companion.command,
        cpu_limit=companion.cpu_limit or "",
        memory_limit=companion.memory_limit or "",
        disk_limit=companion.disk_limit or "",
    )


def decode_companion(message: v04.CompanionContainerSpec) -> CompanionContainerSpec:
    """Decode a companion container."""
    has_check = message.HasField("healthcheck")
    return _companion(
        name=message.name,
        image=message.image,
        envs=frozen(message.envs),
        healthcheck=decode_healthcheck(message.healthcheck) if has_check else None,
        command=tuple(message.command[:]) or None,
        post_start_on_primary=tuple(message.post_start_on_primary[:]),
        cpu_limit=message.cpu_limit or None,
        memory_limit=message.memory_limit or None,
        disk_limit=message.disk_limit or None,
    )


def encode_port(port: PortMapping) -> v04.PortMapping:
    """Encode a published port."""
    protocol = f"PORT_PROTOCOL_{port.protocol.upper()}"
    return v04.PortMapping(
        container_port=port.container_port, host_port=port.host_port, protocol=protocol
    )


def decode_sandbox_v02(message: pb.SandboxHandle) -> SandboxHandle:
    """Decode a sandbox's snapshot of dialect 0.2."""
    return _decode_sandbox(
        message,
        required_services=tuple(map(decode_service, message.required_services[:])),
        optional_services=tuple(map(decode_service, message.optional_services[:])),
    )


def decode_sandbox_v04(message: v04.SandboxHandle) -> SandboxHandle:
    """Decode a sandbox's snapshot of dialect 0.4."""
    return _decode_sandbox(
        message,
        companion_containers=tuple(map(decode_companion, message.companion_containers[:])),
    )


def _decode_sandbox(
    message: pb.SandboxHandle | v04.SandboxHandle,
    required_services: tuple[ServiceSpec, ...] = (),
    optional_services: tuple[ServiceSpec, ...] = (),
    companion_containers: tuple[CompanionContainerSpec, ...] = (),
) -> SandboxHandle:
    has = message.HasField
    return _sandbox(
        sandbox_id=message.sandbox_id,
        state=_SANDBOX_STATES[message.state],
        last_event_sequence=message.last_event_sequence,
        required_services=required_services,
        optional_services=optional_services,
        labels=frozen(message.labels),
        created_at=decode_timestamp(message.created_at) if has("created_at") else None,
        image=message.image,
        error_code=message.error_code or None,
        error_message=message.error_message or None,
        state_changed_at=(
            decode_timestamp(message.state_changed_at) if has("state_changed_at") else None
        ),
        companion_containers=companion_containers,
    )


def decode_ping(message: pb.PingResponse) -> PingInfo:
    """Decode the answer to a ping."""
    return _ping(version=message.version, daemon=message.daemon)


def decode_deleted(message: pb.DeleteSandboxesResponse) -> DeleteSandboxesResult:
    """Decode the answer to a delete by labels."""
    return _deleted(
        deleted_sandbox_ids=tuple(message.deleted_sandbox_ids[:]),
        deleted_count=message.deleted_count,
    )


def decode_log_paths(message: pb.CreateExecResponse) -> LogPaths:
    """Decode the log paths of a new exec; empty ones mean that the daemon keeps no logs."""
    return LogPaths(message.stdout_log_path or None, message.stderr_log_path or None)


def decode_exec(message: pb.ExecStatus, logs: LogPaths = NO_LOGS) -> ExecHandle:
    """Decode an exec's snapshot, which does not contain its log paths."""
    state = message.state
    return _exec(
        exec_id=message.exec_id,
        sandbox_id=message.sandbox_id,
        state=_EXEC_STATES[state],
        command=without_stdin(message.command[:]),
        cwd=message.cwd,
        env_overrides=frozen(message.env_overrides),
        exit_code=_exit_code(state, message.exit_code),
        error=message.error or None,
        last_event_sequence=message.last_event_sequence,
        stdout_log_path=logs.stdout,
        stderr_log_path=logs.stderr,
    )


def decode_event(message: pb.SandboxEvent) -> SandboxEvent:
    """Decode an event with its details."""
    details = message.WhichOneof("details")
    return _event(
        event_id=message.event_id,
        sequence=message.sequence,
        sandbox_id=message.sandbox_id,
        event_type=_EVENT_TYPES[message.event_type],
        occurred_at=(
            decode_timestamp(message.occurred_at) if message.HasField("occurred_at") else None
        ),
        replay=message.replay,
        snapshot=message.snapshot,
        sandbox_state=_SANDBOX_STATES[message.sandbox_state],
        sandbox_phase=_decode_phase(message.sandbox_phase) if details == "sandbox_phase" else None,
        exec=_decode_exec_details(message.exec) if details == "exec" else None,
        service=_decode_service_details(message.service) if details == "service" else None,
    )


def _decode_phase(message: pb.SandboxPhaseDetails) -> SandboxPhaseDetails:
    return _phase_details(
        phase=message.phase or None,
        error_code=message.error_code or None,
        error_message=message.error_message or None,
        reason=message.reason or None,
    )


def _decode_exec_details(message: pb.ExecEventDetails) -> ExecEventDetails:
    state = message.exec_state
    return _exec_details(
        exec_id=message.exec_id,
        exit_code=_exit_code(state, message.exit_code),
        exec_state=_EXEC_STATES[state],
        error_code=message.error_code or None,
        error_message=message.error_message or None,
    )


def _decode_service_details(message: pb.ServiceEventDetails) -> ServiceEventDetails:
    return _service_details(
        service_name=message.service_name,
        error_code=message.error_code or None,
        error_message=message.error_message or None,
    )


# On the wire, 0 also means "none yet", "cancelled" and "could not be run". Only a command that
# ended with 0 is FINISHED, so the state decides.
def _exit_code(state: int, exit_code: int) -> int | None:
    ran = state == pb.EXEC_STATE_FINISHED or (state == pb.EXEC_STATE_FAILED and exit_code != 0)
    return exit_code if ran else None
