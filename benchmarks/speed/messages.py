"""What the server answers, prepared once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire import v04_pb2 as v04

from .facts import EVENTS_ID, IMAGE, SANDBOX_ID

LABELS = {"team": "search", "user": "u-1729", "run": "2026-11-29", "purpose": "evaluation"}
NOW = Timestamp()
NOW.FromDatetime(datetime(2026, 11, 29, 12, 30, 15, 271828, tzinfo=timezone.utc))

_SERVICES = ("postgres", "redis", "search")


def sandbox_v02(sandbox_id: str = SANDBOX_ID) -> pb.SandboxHandle:
    """A READY sandbox with three services and four labels, as daemon 0.2.1 shows it."""
    services = [
        pb.ServiceSpec(
            name=name,
            image=f"{name}:16",
            envs={"MODE": "test"},
            healthcheck=_healthcheck(),
            post_start_on_primary=("python -c \"print('seeded')\"",),
        )
        for name in _SERVICES
    ]
    return pb.SandboxHandle(
        sandbox_id=sandbox_id,
        state=pb.SANDBOX_STATE_READY,
        last_event_sequence=6,
        required_services=services[:2],
        optional_services=services[2:],
        labels=LABELS,
        created_at=NOW,
        image=IMAGE,
        state_changed_at=NOW,
    )


def sandbox_v04(sandbox_id: str = SANDBOX_ID) -> v04.SandboxHandle:
    """The same as daemon 0.4.3 shows it, with companions in place of services."""
    companions = [
        v04.CompanionContainerSpec(
            name=name,
            image=f"{name}:16",
            envs={"MODE": "test"},
            healthcheck=_healthcheck(),
            post_start_on_primary=("python -c \"print('seeded')\"",),
        )
        for name in _SERVICES
    ]
    return v04.SandboxHandle(
        sandbox_id=sandbox_id,
        state=pb.SANDBOX_STATE_READY,
        last_event_sequence=6,
        companion_containers=companions,
        labels=LABELS,
        created_at=NOW,
        image=IMAGE,
        state_changed_at=NOW,
    )


def _healthcheck() -> pb.HealthcheckConfig:
    return pb.HealthcheckConfig(
        test=("CMD-SHELL", "pg_isready -U postgres"),
        interval=Duration(seconds=5),
        timeout=Duration(seconds=2),
        retries=5,
        start_period=Duration(seconds=1),
    )


def plain_sandbox(sandbox_id: str, state: pb.SandboxState, sequence: int) -> pb.SandboxHandle:
    """A sandbox without services and labels."""
    return pb.SandboxHandle(
        sandbox_id=sandbox_id,
        state=state,
        last_event_sequence=sequence,
        created_at=NOW,
        image=IMAGE,
        state_changed_at=NOW,
    )


def state_event(
    sandbox_id: str, sequence: int, event_type: pb.EventType, state: pb.SandboxState
) -> bytes:
    """An event that carries a state."""
    return pb.SandboxEvent(
        event_id=f"{sandbox_id}-{sequence}",
        sequence=sequence,
        sandbox_id=sandbox_id,
        event_type=event_type,
        occurred_at=NOW,
        replay=True,
        sandbox_state=state,
    ).SerializeToString()


def exec_event(
    sandbox_id: str, sequence: int, event_type: pb.EventType, exec_id: str, state: pb.ExecState
) -> bytes:
    """An event of an exec."""
    return pb.SandboxEvent(
        event_id=f"{sandbox_id}-{sequence}",
        sequence=sequence,
        sandbox_id=sandbox_id,
        event_type=event_type,
        occurred_at=NOW,
        replay=True,
        exec=pb.ExecEventDetails(exec_id=exec_id, exec_state=state),
    ).SerializeToString()


def history(count: int) -> Iterator[bytes]:
    """The first events of a sandbox that runs one exec after the other."""
    for sequence in range(1, count + 1):
        exec_id = f"exec-{(sequence + 1) // 2}"
        if sequence % 2:
            yield exec_event(EVENTS_ID, sequence, pb.EXEC_STARTED, exec_id, pb.EXEC_STATE_RUNNING)
        else:
            yield exec_event(EVENTS_ID, sequence, pb.EXEC_FINISHED, exec_id, pb.EXEC_STATE_FINISHED)
