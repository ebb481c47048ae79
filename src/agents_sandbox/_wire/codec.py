"""Models to messages and back: pure, and tolerant of newer daemons.

Decoding never fails: unknown enum values become open enum members, unknown fields are skipped,
missing messages read as empty, and times beyond Python's calendar as None.
"""

from __future__ import annotations

from dataclasses import replace
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

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def encode_duration(value: timedelta | None) -> Duration | None:
    """Encode a duration that is within the wire's range; None stays unset."""
    if value is None:
        return None
    seconds, rest = divmod(value, timedelta(seconds=1))
    return Duration(seconds=seconds, nanos=rest.microseconds * 1000)


def decode_duration(message: Duration) -> timedelta | None:
    """Decode a duration to the microsecond; None if beyond a `timedelta`."""
    try:
        return timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    except OverflowError:
        return None


def decode_timestamp(message: Timestamp) -> datetime | None:
    """Decode a time to the microsecond, in UTC; None if beyond a `datetime`."""
    try:
        return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    except OverflowError:
        return None


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
    durations = {
        name: decode_duration(getattr(message, name)) if message.HasField(name) else None
        for name in ("interval", "timeout", "start_period", "start_interval")
    }
    return HealthcheckConfig(test=message.test, retries=message.retries or None, **durations)


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
    return ServiceSpec(
        name=message.name,
        image=message.image,
        envs=message.envs,
        healthcheck=decode_healthcheck(message.healthcheck) if has_check else None,
        post_start_on_primary=message.post_start_on_primary,
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
    return CompanionContainerSpec(
        name=message.name,
        image=message.image,
        envs=message.envs,
        healthcheck=decode_healthcheck(message.healthcheck) if has_check else None,
        post_start_on_primary=message.post_start_on_primary,
        command=message.command or None,
        cpu_limit=message.cpu_limit,
        memory_limit=message.memory_limit,
        disk_limit=message.disk_limit,
    )


def encode_port(port: PortMapping) -> v04.PortMapping:
    """Encode a published port."""
    protocol = f"PORT_PROTOCOL_{port.protocol.upper()}"
    return v04.PortMapping(
        container_port=port.container_port, host_port=port.host_port, protocol=protocol
    )


def decode_sandbox_v02(message: pb.SandboxHandle) -> SandboxHandle:
    """Decode a sandbox's snapshot of dialect 0.2."""
    return replace(
        _decode_sandbox(message),
        required_services=tuple(map(decode_service, message.required_services)),
        optional_services=tuple(map(decode_service, message.optional_services)),
    )


def decode_sandbox_v04(message: v04.SandboxHandle) -> SandboxHandle:
    """Decode a sandbox's snapshot of dialect 0.4."""
    return replace(
        _decode_sandbox(message),
        companion_containers=tuple(map(decode_companion, message.companion_containers)),
    )


def _decode_sandbox(message: pb.SandboxHandle | v04.SandboxHandle) -> SandboxHandle:
    return SandboxHandle(
        sandbox_id=message.sandbox_id,
        state=SandboxState(message.state),
        last_event_sequence=message.last_event_sequence,
        required_services=(),
        optional_services=(),
        labels=message.labels,
        created_at=_time(message, "created_at"),
        image=message.image,
        error_code=message.error_code or None,
        error_message=message.error_message or None,
        state_changed_at=_time(message, "state_changed_at"),
    )


def decode_ping(message: pb.PingResponse) -> PingInfo:
    """Decode the answer to a ping."""
    return PingInfo(version=message.version, daemon=message.daemon)


def decode_deleted(message: pb.DeleteSandboxesResponse) -> DeleteSandboxesResult:
    """Decode the answer to a delete by labels."""
    return DeleteSandboxesResult(tuple(message.deleted_sandbox_ids), message.deleted_count)


def decode_log_paths(message: pb.CreateExecResponse) -> LogPaths:
    """Decode the log paths of a new exec; empty ones mean that the daemon keeps no logs."""
    return LogPaths(message.stdout_log_path or None, message.stderr_log_path or None)


def decode_exec(message: pb.ExecStatus, logs: LogPaths = NO_LOGS) -> ExecHandle:
    """Decode an exec's snapshot, which does not contain its log paths."""
    return ExecHandle(
        exec_id=message.exec_id,
        sandbox_id=message.sandbox_id,
        state=ExecState(message.state),
        command=without_stdin(message.command),
        cwd=message.cwd,
        env_overrides=message.env_overrides,
        exit_code=_exit_code(message.state, message.exit_code),
        error=message.error or None,
        last_event_sequence=message.last_event_sequence,
        stdout_log_path=logs.stdout,
        stderr_log_path=logs.stderr,
    )


def decode_event(message: pb.SandboxEvent) -> SandboxEvent:
    """Decode an event with its details."""
    details = message.WhichOneof("details")
    return SandboxEvent(
        event_id=message.event_id,
        sequence=message.sequence,
        sandbox_id=message.sandbox_id,
        event_type=SandboxEventType(message.event_type),
        occurred_at=_time(message, "occurred_at"),
        replay=message.replay,
        snapshot=message.snapshot,
        sandbox_state=SandboxState(message.sandbox_state),
        sandbox_phase=_phase(message.sandbox_phase) if details == "sandbox_phase" else None,
        exec=_exec_details(message.exec) if details == "exec" else None,
        service=_service_details(message.service) if details == "service" else None,
    )


def _phase(message: pb.SandboxPhaseDetails) -> SandboxPhaseDetails:
    return SandboxPhaseDetails(
        phase=message.phase or None,
        error_code=message.error_code or None,
        error_message=message.error_message or None,
        reason=message.reason or None,
    )


def _exec_details(message: pb.ExecEventDetails) -> ExecEventDetails:
    return ExecEventDetails(
        exec_id=message.exec_id,
        exit_code=_exit_code(message.exec_state, message.exit_code),
        exec_state=ExecState(message.exec_state),
        error_code=message.error_code or None,
        error_message=message.error_message or None,
    )


def _service_details(message: pb.ServiceEventDetails) -> ServiceEventDetails:
    return ServiceEventDetails(
        service_name=message.service_name,
        error_code=message.error_code or None,
        error_message=message.error_message or None,
    )


def _time(
    message: pb.SandboxHandle | v04.SandboxHandle | pb.SandboxEvent, name: str
) -> datetime | None:
    return decode_timestamp(getattr(message, name)) if message.HasField(name) else None


# On the wire, 0 also means "none yet", "cancelled" and "could not be run". Only a command that
# ended with 0 is FINISHED, so the state decides.
def _exit_code(state: int, exit_code: int) -> int | None:
    ran = state == pb.EXEC_STATE_FINISHED or (state == pb.EXEC_STATE_FAILED and exit_code != 0)
    return exit_code if ran else None
