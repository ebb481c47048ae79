"""The sweep that stops idle sandboxes, deletes stopped ones and forgets deleted ones."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.timestamp_pb2 import Timestamp

from .._wire import v02_pb2 as pb
from ._background import Background
from ._lifecycle import Lifecycle
from ._sandbox import Sandbox
from ._sandboxes import Sandboxes
from ._settings import Settings

SWEEP_INTERVAL = 120.0
"""Seconds between two sweeps, from the start of the daemon."""


class Retention:
    """Ends what nobody has used for long."""

    def __init__(
        self,
        background: Background,
        sandboxes: Sandboxes,
        lifecycle: Lifecycle,
        purge: Callable[[Sandbox], None],
        settings: Settings,
    ) -> None:
        self._background = background
        self._sandboxes = sandboxes
        self._lifecycle = lifecycle
        self._purge = purge
        self._idle_ttl = settings.idle_ttl
        self._cleanup_ttl = settings.cleanup_ttl

    async def run(self) -> None:
        """Sweep again and again; never returns."""
        while True:
            await self._background.step(SWEEP_INTERVAL)
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
        for sandbox in sandboxes:
            if self._is_old(sandbox, pb.SANDBOX_STATE_DELETED):
                self._purge(sandbox)

    def _is_idle(self, sandbox: Sandbox) -> bool:
        own = sandbox.spec.idle_ttl
        ttl = self._idle_ttl if own is None else own.seconds + own.nanos / 1e9
        if sandbox.state != pb.SANDBOX_STATE_READY or ttl <= 0 or sandbox.is_busy:
            return False
        # A resume does not count, nor does an exec that failed.
        return self._age(sandbox.last_exec_end or sandbox.created_at) >= ttl

    def _is_old(self, sandbox: Sandbox, state: pb.SandboxState) -> bool:
        return sandbox.state == state and self._age(sandbox.state_changed_at) >= self._cleanup_ttl

    def _age(self, moment: Timestamp) -> float:
        return (self._background.clock.nanoseconds() - moment.ToNanoseconds()) / 1e9
