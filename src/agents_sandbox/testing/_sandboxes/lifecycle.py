"""The state machine: what each accepted operation does in the background."""

from __future__ import annotations

import asyncio

from ..._wire import v02_pb2 as pb
from .._host.containers import ContainerState, DockerError, no_such_container
from .._protocol.refusals import sandbox_invalid_state
from .._settings import Settings
from .._time.background import Background
from .exec import Exec, failed
from .execs import Execs
from .materialize import Materializer
from .sandbox import PRIMARY, Sandbox
from .watch import Watch

STOP_REQUESTED = "stop_requested"
DELETE_REQUESTED = "delete_requested"
_GONE = (pb.SANDBOX_STATE_DELETING, pb.SANDBOX_STATE_DELETED)

_BEGINS_AFTER = 0.01
"""Seconds from the acceptance of a create until it begins, so that a delete can prevent it.

Real ones, also of a virtual clock: a client that waits for the sandbox must not have to advance it.
"""


class Lifecycle:
    """Moves sandboxes from state to state, each change in a separate background step."""

    def __init__(
        self,
        background: Background,
        execs: Execs,
        watch: Watch,
        materializer: Materializer,
        settings: Settings,
    ) -> None:
        self._background = background
        self._execs = execs
        self._watch = watch
        self._materializer = materializer
        self._settings = settings

    def create(self, sandbox: Sandbox) -> None:
        """Accept a create."""
        sandbox.record(pb.SANDBOX_ACCEPTED, pb.SANDBOX_STATE_PENDING)
        self._background.spawn(self._create(sandbox))

    async def _create(self, sandbox: Sandbox) -> None:
        await self._background.clock.freeze_during(asyncio.sleep(_BEGINS_AFTER))
        await self._background.pass_gate()
        if sandbox.state != pb.SANDBOX_STATE_PENDING:
            return
        materialize = pb.SandboxPhaseDetails(phase="materialize")
        sandbox.record(pb.SANDBOX_PREPARING, pb.SANDBOX_STATE_PENDING, phase=materialize)
        sandbox.materializing = True
        try:
            await self._materializer.create(sandbox)
        except DockerError as error:
            await self._wait_for_removal(sandbox)
            sandbox.fail("SANDBOX_CREATE_FAILED", str(error))
        else:
            await self._wait_for_removal(sandbox)
            sandbox.record(pb.SANDBOX_READY, pb.SANDBOX_STATE_READY)
        sandbox.materializing = False

    async def _wait_for_removal(self, sandbox: Sandbox) -> None:
        # A delete during the Docker work finds nothing to remove and completes immediately;
        # the create continues and brings the sandbox back.
        await self._background.pass_gate()
        if sandbox.removal:
            await asyncio.wait([sandbox.removal])
            await self._background.pass_gate()

    def stop(self, sandbox: Sandbox, reason: str = STOP_REQUESTED) -> None:
        """Accept a stop; the state stays READY until the stop is complete."""
        if sandbox.state != pb.SANDBOX_STATE_READY:
            raise sandbox_invalid_state(sandbox.id, expected="ready")
        phase = pb.SandboxPhaseDetails(reason=reason)
        sandbox.record(pb.SANDBOX_STOP_REQUESTED, phase=phase)
        task = self._background.spawn(self._stop(sandbox, phase))
        sandbox.stops.add(task)
        task.add_done_callback(sandbox.stops.discard)

    async def _stop(self, sandbox: Sandbox, phase: pb.SandboxPhaseDetails) -> None:
        await self._wait_grace_period(sandbox)
        if self._settings.profile.stop_reports_container_death:
            await self._background.pass_gate()
            self._watch.handle_death(sandbox, PRIMARY)
        await self._background.pass_gate()
        self._execs.kill_all(sandbox)
        self._materializer.stop(sandbox)
        sandbox.record(pb.SANDBOX_STOPPED, pb.SANDBOX_STATE_STOPPED, phase=phase)
        sandbox.primary_down.set()

    async def _wait_grace_period(self, sandbox: Sandbox) -> None:
        down = asyncio.ensure_future(sandbox.primary_down.wait())
        grace = self._background.spawn(
            self._background.clock.sleep(self._settings.stop_delay), outlives_daemon=True
        )
        try:
            await asyncio.wait((down, grace), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            # The daemon was killed: Docker completes its part of the stop.
            stop = self._stop_without_daemon(sandbox, grace)
            self._background.spawn(stop, outlives_daemon=True)
            raise
        finally:
            down.cancel()
        grace.cancel()

    async def _stop_without_daemon(self, sandbox: Sandbox, grace: asyncio.Task[None]) -> None:
        primary, run = sandbox.primary, sandbox.primary.starts
        await asyncio.wait([grace])
        await self._background.pass_gate()
        if primary.running and primary.starts == run:
            self._watch.kill(sandbox, PRIMARY, oom=False)

    def resume(self, sandbox: Sandbox) -> None:
        """Accept a resume of a stopped sandbox."""
        if sandbox.state != pb.SANDBOX_STATE_STOPPED:
            raise sandbox_invalid_state(sandbox.id, expected="stopped")
        sandbox.record(pb.SANDBOX_ACCEPTED, pb.SANDBOX_STATE_PENDING)
        self._background.spawn(self._resume(sandbox))

    async def _resume(self, sandbox: Sandbox) -> None:
        await self._background.pass_gate()
        if sandbox.state != pb.SANDBOX_STATE_PENDING:
            return
        await self._background.clock.sleep(self._settings.ready_delay)
        # A delete that has begun meanwhile does not end this, unless it has removed everything.
        if sandbox.state == pb.SANDBOX_STATE_DELETED:
            return
        sandbox.primary_down.clear()
        failure: DockerError | None = None
        try:
            await self._materializer.resume(sandbox)
        except DockerError as error:
            failure = error
        await self._background.pass_gate()
        if sandbox.state in _GONE and sandbox.primary.state is ContainerState.GONE:
            return  # a delete has removed it meanwhile
        if failure:
            sandbox.fail("SANDBOX_RESUME_FAILED", str(failure))
        else:
            sandbox.record(pb.SANDBOX_READY, pb.SANDBOX_STATE_READY)

    def delete(self, sandbox: Sandbox, reason: str = DELETE_REQUESTED) -> bool:
        """Accept a delete; return False if one is in progress or complete."""
        if sandbox.state in _GONE:
            return False
        phase = pb.SandboxPhaseDetails(reason=reason)
        sandbox.record(pb.SANDBOX_DELETE_REQUESTED, pb.SANDBOX_STATE_DELETING, phase=phase)
        sandbox.removal = self._background.spawn(self._delete(sandbox, phase))
        return True

    async def _delete(self, sandbox: Sandbox, phase: pb.SandboxPhaseDetails) -> None:
        await self._background.pass_gate()
        killed = self._execs.kill_all(sandbox)
        await self._end_stops(sandbox)
        if not (sandbox.materializing or sandbox.abandoned):
            killed += await self._remove_containers(sandbox)
        await self._background.clock.freeze_during(self._execs.remove_files(sandbox, killed))
        await self._background.pass_gate()
        sandbox.record(pb.SANDBOX_DELETED, pb.SANDBOX_STATE_DELETED, phase=phase)
        sandbox.primary_down.clear()
        if sandbox.removal is asyncio.current_task():
            sandbox.removal = None

    async def _remove_containers(self, sandbox: Sandbox) -> list[Exec]:
        killed: list[Exec] = []
        if self._settings.remove_delay and sandbox.has_containers:
            await self._background.clock.sleep(self._settings.remove_delay)
            # A resume may have made execs and stops possible meanwhile: they end, too. What
            # Docker says about such an exec is not recorded.
            caught = failed(no_such_container(sandbox.primary.name))
            killed = self._execs.kill_all(sandbox, caught)
            await self._end_stops(sandbox)
        self._materializer.remove(sandbox)
        return killed

    async def _end_stops(self, sandbox: Sandbox) -> None:
        """Let the stops in progress end now, before the delete: the container is gone."""
        sandbox.primary_down.set()
        if sandbox.stops:
            await asyncio.wait(sandbox.stops)
