"""The sweep that stops idle sandboxes, deletes stopped ones and purges deleted ones."""

from __future__ import annotations

from collections.abc import Collection

from google.protobuf.timestamp_pb2 import Timestamp

from ..._wire import v02_pb2 as pb
from .._settings import Settings
from .._time.background import Background
from .execs import Execs
from .lifecycle import Lifecycle
from .registry import Sandboxes
from .sandbox import Sandbox

SWEEP_INTERVAL = 120.0
"""Seconds between two sweeps, from the start of the daemon."""


class Retention:
    """Stops, deletes and purges sandboxes when their time is up."""

    def __init__(
        self,
        background: Background,
        sandboxes: Sandboxes,
        execs: Execs,
        lifecycle: Lifecycle,
        settings: Settings,
    ) -> None:
        self._background = background
        self._sandboxes = sandboxes
        self._execs = execs
        self._lifecycle = lifecycle
        self._idle_ttl = settings.idle_ttl
        self._cleanup_ttl = settings.cleanup_ttl

    async def run(self) -> None:
        """Sweep at regular intervals; never returns."""
        while True:
            await self._background.clock.sleep(SWEEP_INTERVAL)
            if any(map(self._is_due, self._sandboxes)):
                await self._background.pass_gate()
                self.sweep()

    def sweep(self) -> None:
        """Stop, delete and purge what is due, in this order."""
        sandboxes = tuple(self._sandboxes)
        for sandbox in sandboxes:
            if self._is_idle(sandbox):
                self._lifecycle.stop(sandbox, "idle_ttl")
        for sandbox in sandboxes:
            if self._is_old(sandbox, pb.SANDBOX_STATE_STOPPED):
                self._lifecycle.delete(sandbox, "cleanup_ttl")
        self.purge([item for item in sandboxes if self._is_old(item, pb.SANDBOX_STATE_DELETED)])

    def purge(self, sandboxes: Collection[Sandbox]) -> None:
        """Drop the records of deleted sandboxes in one pass: there can be thousands."""
        self._execs.forget(sandboxes)
        for sandbox in sandboxes:
            self._sandboxes.purge(sandbox)

    def _is_due(self, sandbox: Sandbox) -> bool:
        return (
            self._is_idle(sandbox)
            or self._is_old(sandbox, pb.SANDBOX_STATE_STOPPED)
            or self._is_old(sandbox, pb.SANDBOX_STATE_DELETED)
        )

    def _is_idle(self, sandbox: Sandbox) -> bool:
        own = sandbox.spec.idle_ttl
        ttl = self._idle_ttl if own is None else own.seconds + own.nanos / 1e9
        if sandbox.state != pb.SANDBOX_STATE_READY or ttl <= 0 or self._execs.is_busy(sandbox):
            return False
        # Resumes and failed execs do not count as use.
        return self._age(sandbox.last_exec_end or sandbox.created_at) >= ttl

    def _is_old(self, sandbox: Sandbox, state: pb.SandboxState) -> bool:
        return sandbox.state == state and self._age(sandbox.state_changed_at) >= self._cleanup_ttl

    def _age(self, moment: Timestamp) -> float:
        return (self._background.clock.nanoseconds() - moment.ToNanoseconds()) / 1e9
