"""What a test has left behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..._wire import v02_pb2 as pb
from .._sandboxes.execs import Execs
from .._sandboxes.sandbox import Sandbox


def streams_left(streams: Mapping[str, int]) -> list[str]:
    """Name the event streams that are open, counted by sandbox."""
    return [f"event streams of sandbox {name}: {count}" for name, count in sorted(streams.items())]


def sandboxes_left(sandboxes: Iterable[Sandbox]) -> list[str]:
    """Name the sandboxes that are not deleted."""
    return [
        f"sandbox {sandbox.id}: {pb.SandboxState.Name(sandbox.state).removeprefix(_STATE)}"
        for sandbox in sandboxes
        if sandbox.state != pb.SANDBOX_STATE_DELETED
    ]


_STATE = "SANDBOX_STATE_"


def execs_left(execs: Execs) -> list[str]:
    """Name the execs that are running."""
    return [f"{item.command}: RUNNING" for item in execs.active(None)]
