"""What a test has left behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

from .._wire import v02_pb2 as pb
from ._execs import Execs
from ._sandbox import Sandbox


@runtime_checkable
class HasProcesses(Protocol):
    """Whatever runs processes on this host."""

    def running(self) -> list[str]:
        """One line for each process group that is alive and was not killed."""
        ...


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
    return [f"exec {item.id} of sandbox {item.sandbox.id}: RUNNING" for item in execs.active(None)]


def processes_left(runner: object) -> list[str]:
    """Name the processes, if the runner is one that `HasProcesses`."""
    return runner.running() if isinstance(runner, HasProcesses) else []
