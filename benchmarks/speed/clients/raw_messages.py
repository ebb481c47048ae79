"""Reads every field of a message, as a program without an SDK would."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire import v04_pb2 as v04


def read_sandbox(message: pb.SandboxHandle) -> tuple[Any, ...]:
    """Read a sandbox of dialect 0.2."""
    return (
        message.sandbox_id,
        message.state,
        message.last_event_sequence,
        [_read_service(service) for service in message.required_services],
        [_read_service(service) for service in message.optional_services],
        dict(message.labels),
        _read_time(message, "created_at"),
        message.image,
        message.error_code,
        message.error_message,
        _read_time(message, "state_changed_at"),
    )


def read_sandbox_v04(message: v04.SandboxHandle) -> tuple[Any, ...]:
    """Read a sandbox of dialect 0.4."""
    return (
        message.sandbox_id,
        message.state,
        message.last_event_sequence,
        [
            (
                *_read_service(companion),
                list(companion.command),
                companion.cpu_limit,
                companion.memory_limit,
                companion.disk_limit,
            )
            for companion in message.companion_containers
        ],
        dict(message.labels),
        _read_time(message, "created_at"),
        message.image,
        message.error_code,
        message.error_message,
        _read_time(message, "state_changed_at"),
    )


def read_exec(message: pb.ExecStatus) -> tuple[Any, ...]:
    """Read an exec."""
    return (
        message.exec_id,
        message.sandbox_id,
        message.state,
        list(message.command),
        message.cwd,
        dict(message.env_overrides),
        message.exit_code,
        message.error,
        message.last_event_sequence,
    )


def read_event(message: pb.SandboxEvent) -> tuple[Any, ...]:
    """Read an event with its details."""
    details: tuple[Any, ...] = ()
    which = message.WhichOneof("details")
    if which == "exec":
        run = message.exec
        details = (run.exec_id, run.exit_code, run.exec_state, run.error_code, run.error_message)
    elif which == "sandbox_phase":
        phase = message.sandbox_phase
        details = (phase.phase, phase.error_code, phase.error_message, phase.reason)
    elif which == "service":
        service = message.service
        details = (service.service_name, service.error_code, service.error_message)
    return (
        message.event_id,
        message.sequence,
        message.sandbox_id,
        message.event_type,
        _read_time(message, "occurred_at"),
        message.replay,
        message.snapshot,
        message.sandbox_state,
        details,
    )


def _read_service(message: pb.ServiceSpec | v04.CompanionContainerSpec) -> tuple[Any, ...]:
    return (
        message.name,
        message.image,
        dict(message.envs),
        _read_healthcheck(message.healthcheck) if message.HasField("healthcheck") else None,
        list(message.post_start_on_primary),
    )


def _read_healthcheck(message: pb.HealthcheckConfig) -> tuple[Any, ...]:
    return (
        list(message.test),
        message.interval.ToTimedelta() if message.HasField("interval") else None,
        message.timeout.ToTimedelta() if message.HasField("timeout") else None,
        message.retries,
        message.start_period.ToTimedelta() if message.HasField("start_period") else None,
        message.start_interval.ToTimedelta() if message.HasField("start_interval") else None,
    )


def _read_time(message: Any, name: str) -> datetime | None:
    if not message.HasField(name):
        return None
    value: datetime = getattr(message, name).ToDatetime(timezone.utc)
    return value
