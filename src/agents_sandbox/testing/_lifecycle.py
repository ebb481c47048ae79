"""The state machine: what each accepted operation does in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .._wire import v02_pb2 as pb
from ._background import Background
from ._command import CannotPrepareError
from ._docker import container_name, why_not_created
from ._errors import sandbox_invalid_state
from ._execs import Execs
from ._folders import make_folders
from ._logs import log_folder
from ._profile import Profile
from ._sandbox import Sandbox
from ._services import announce_services

_STOP = "stop_requested"
_DELETE = "delete_requested"


@dataclass(frozen=True)
class Settings:
    """What the user of the fake daemon chose."""

    profile: Profile
    log_root: Path
    ready_delay: float
    stop_delay: float
    missing_images: Collection[str]
    host_paths: Collection[str]


class Lifecycle:
    """Carries sandboxes from state to state, each change a background step of its own."""

    def __init__(
        self,
        background: Background,
        execs: Execs,
        settings: Settings,
        sandboxes: Callable[[], Iterable[Sandbox]],
    ) -> None:
        self._background = background
        self._execs = execs
        self._settings = settings
        self._sandboxes = sandboxes

    def create(self, sandbox: Sandbox) -> None:
        """Accept a create."""
        sandbox.record(pb.SANDBOX_ACCEPTED, pb.SANDBOX_STATE_PENDING)
        self._background.spawn(self._create(sandbox))

    async def _create(self, sandbox: Sandbox) -> None:
        await self._background.step()
        if sandbox.state != pb.SANDBOX_STATE_PENDING:
            return
        materialize = pb.SandboxPhaseDetails(phase="materialize")
        sandbox.record(pb.SANDBOX_PREPARING, pb.SANDBOX_STATE_PENDING, phase=materialize)
        await self._background.step(self._settings.ready_delay)
        if sandbox.removal:
            # A delete in the middle of the Docker work finds nothing to remove and is
            # done at once; the create goes on and brings the sandbox back to life.
            await asyncio.wait([sandbox.removal])
            await self._background.step()
        failure = self._why_not_created(sandbox) or await self._why_not_prepared(sandbox)
        if failure:
            sandbox.fail("SANDBOX_CREATE_FAILED", failure)
        else:
            self._ready(sandbox)

    def _why_not_created(self, sandbox: Sandbox) -> str:
        settings = self._settings
        return (
            why_not_created(
                sandbox.id,
                sandbox.spec,
                profile=settings.profile,
                missing_images=settings.missing_images,
                log_root=settings.log_root,
            )
            or self._name_clash(sandbox)
            or self._no_log_folder(sandbox)
        )

    def _name_clash(self, sandbox: Sandbox) -> str:
        name = container_name(sandbox.id, self._settings.profile)
        for other in self._sandboxes():
            same_name = container_name(other.id, self._settings.profile) == name
            if same_name and other is not sandbox and other.has_container:
                # Cleaning up after the failure removes the container of that name.
                other.has_container = False
                self.container_died(other)
                return (
                    f"Error response from daemon: network with name agbox-net-{name} already exists"
                )
        return ""

    def _no_log_folder(self, sandbox: Sandbox) -> str:
        try:
            make_folders(log_folder(self._settings.log_root, sandbox.id))
        except OSError as error:
            return str(error)
        return ""

    async def _why_not_prepared(self, sandbox: Sandbox) -> str:
        try:
            await self._execs.prepare(sandbox)
        except CannotPrepareError as error:
            return str(error)
        return ""

    def _ready(self, sandbox: Sandbox) -> None:
        sandbox.has_container = True
        announce_services(sandbox)
        sandbox.record(pb.SANDBOX_READY, pb.SANDBOX_STATE_READY)

    def stop(self, sandbox: Sandbox) -> None:
        """Accept a stop; the state stays READY until it is done."""
        if sandbox.state != pb.SANDBOX_STATE_READY:
            raise sandbox_invalid_state(sandbox.id, expected="ready")
        sandbox.record(pb.SANDBOX_STOP_REQUESTED, phase=pb.SandboxPhaseDetails(reason=_STOP))
        task = self._background.spawn(self._stop(sandbox))
        sandbox.stops.add(task)
        task.add_done_callback(sandbox.stops.discard)

    async def _stop(self, sandbox: Sandbox) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(sandbox.removed.wait(), self._settings.stop_delay)
        if self._settings.profile.stop_reports_container_death:
            await self._background.step()
            self.container_died(sandbox)
        await self._background.step()
        self._execs.kill_all(sandbox)
        stopped = pb.SandboxPhaseDetails(reason=_STOP)
        sandbox.record(pb.SANDBOX_STOPPED, pb.SANDBOX_STATE_STOPPED, phase=stopped)

    def container_died(self, sandbox: Sandbox) -> None:
        """The primary container ended; only a READY sandbox takes notice."""
        self._execs.kill_all(sandbox)
        if sandbox.state == pb.SANDBOX_STATE_READY:
            sandbox.fail("CONTAINER_DIED", "primary container die")

    def resume(self, sandbox: Sandbox) -> None:
        """Accept a resume of a stopped sandbox."""
        if sandbox.state != pb.SANDBOX_STATE_STOPPED:
            raise sandbox_invalid_state(sandbox.id, expected="stopped")
        sandbox.record(pb.SANDBOX_ACCEPTED, pb.SANDBOX_STATE_PENDING)
        self._background.spawn(self._resume(sandbox))

    async def _resume(self, sandbox: Sandbox) -> None:
        await self._background.step(self._settings.ready_delay)
        if sandbox.state != pb.SANDBOX_STATE_PENDING:
            return
        if sandbox.has_container:
            self._ready(sandbox)
        else:
            name = container_name(sandbox.id, self._settings.profile)
            missing = f"Error response from daemon: No such container: agbox-primary-{name}"
            sandbox.fail("SANDBOX_RESUME_FAILED", missing)

    def delete(self, sandbox: Sandbox) -> bool:
        """Accept a delete; False if one is under way or done, which changes nothing."""
        if sandbox.state in (pb.SANDBOX_STATE_DELETING, pb.SANDBOX_STATE_DELETED):
            return False
        requested = pb.SandboxPhaseDetails(reason=_DELETE)
        sandbox.record(pb.SANDBOX_DELETE_REQUESTED, pb.SANDBOX_STATE_DELETING, phase=requested)
        sandbox.removal = self._background.spawn(self._delete(sandbox))
        return True

    async def _delete(self, sandbox: Sandbox) -> None:
        await self._background.step()
        self._execs.kill_all(sandbox)
        sandbox.has_container = False
        sandbox.removed.set()
        if sandbox.stops:
            # Their container is gone, so they end now, and first.
            await asyncio.wait(sandbox.stops)
        await self._execs.remove_files(sandbox)
        await self._background.step()
        deleted = pb.SandboxPhaseDetails(reason=_DELETE)
        sandbox.record(pb.SANDBOX_DELETED, pb.SANDBOX_STATE_DELETED, phase=deleted)
        sandbox.removed.clear()
        sandbox.removal = None
