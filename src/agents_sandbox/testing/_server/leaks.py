"""Lists what a test has left behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..._wire import v02_pb2 as pb
from .._sandboxes.execs import Execs
from .._sandboxes.sandbox import Sandbox

_STATE = "SANDBOX_STATE_"


def leaked_streams(streams: Mapping[str, int]) -> list[str]:
    """List the sandboxes that have open event streams."""
    return [f"event streams of sandbox {name}: {count}" for name, count in sorted(streams.items())]


def leaked_sandboxes(sandboxes: Iterable[Sandbox]) -> list[str]:
    """List the sandboxes that are not deleted."""
    return [
        f"sandbox {sandbox.id}: {pb.SandboxState.Name(sandbox.state).removeprefix(_STATE)}"
        for sandbox in sandboxes
        if sandbox.state != pb.SANDBOX_STATE_DELETED
    ]


def leaked_execs(execs: Execs) -> list[str]:
    """List the execs that are running."""
    return [f"{item.command}: RUNNING" for item in execs.active(None)]
