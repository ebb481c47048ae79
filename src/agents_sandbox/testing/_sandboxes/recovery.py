"""What a restarted daemon does with the sandboxes that it stored."""

from __future__ import annotations

from ..._wire import v02_pb2 as pb
from .._host.containers import ContainerState
from .._protocol.profile import Profile
from .execs import Execs
from .materialize import Materializer
from .sandbox import Sandbox
from .watch import Watch


class Recovery:
    """Updates stored sandboxes to match the state of their containers."""

    def __init__(
        self, execs: Execs, watch: Watch, materializer: Materializer, profile: Profile
    ) -> None:
        self._execs = execs
        self._watch = watch
        self._materializer = materializer
        self._profile = profile

    async def recover(self, sandbox: Sandbox) -> None:
        """Recover one sandbox; its event comes before those of its execs."""
        sandbox.reset_after_restart()
        if sandbox.state == pb.SANDBOX_STATE_PENDING:
            sandbox.abandoned = True
            sandbox.fail("INTERRUPTED_PENDING", "sandbox was pending when daemon restarted")
        elif sandbox.state == pb.SANDBOX_STATE_READY:
            self._check_primary(sandbox)
        elif sandbox.state == pb.SANDBOX_STATE_STOPPED:
            if sandbox.primary.state is ContainerState.GONE:
                self._fail(sandbox, "missing")
        elif sandbox.state == pb.SANDBOX_STATE_DELETING:
            if not sandbox.abandoned:
                self._materializer.remove(sandbox)
            await self._execs.remove_files(sandbox)
            phase = pb.SandboxPhaseDetails(reason="daemon_restart_cleanup")
            sandbox.record(pb.SANDBOX_DELETED, pb.SANDBOX_STATE_DELETED, phase=phase)
        if sandbox.state == pb.SANDBOX_STATE_FAILED:
            sandbox.abandoned |= not self._profile.removes_failed_containers
        self._execs.interrupt(sandbox)

    def _check_primary(self, sandbox: Sandbox) -> None:
        primary = sandbox.primary
        tolerant = self._profile.tolerates_down_containers
        if not primary.running:
            if primary.state is ContainerState.GONE or not tolerant:
                self._fail(sandbox, "not running")
                return
            primary.reset_downtime()
        if tolerant and not all(item.running for item in sandbox.containers.values()):
            self._watch.suspect(sandbox)

    @staticmethod
    def _fail(sandbox: Sandbox, what: str) -> None:
        message = f"primary container {what} after daemon restart"
        sandbox.fail("CONTAINER_NOT_RUNNING", message)
