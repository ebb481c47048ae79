"""The 13 RPCs: from request message to answer message."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..._wire import v02_pb2 as pb
from .._commands.command import Runner
from .._protocol.refusals import StatusError, invalid_argument, sandbox_not_found
from .._records.containers import ContainerSnapshot, NetworkRecord
from .._sandboxes.events import EventStream
from .._sandboxes.execs import Execs
from .._sandboxes.lifecycle import Lifecycle
from .._sandboxes.materialize import Materializer
from .._sandboxes.recovery import Recovery
from .._sandboxes.registry import Sandboxes
from .._sandboxes.retention import Retention
from .._sandboxes.watch import Watch
from .._settings import Settings
from .._time.background import Background
from .._validation.create import check_create

_ACCEPTED = pb.AcceptedResponse(accepted=True)


class Service:
    """The daemon without its server; runs on one event loop.

    Each RPC is a plain function: it answers immediately, and slow work continues in the
    background. An RPC that is refused raises `StatusError`.
    """

    def __init__(self, background: Background, runner: Runner, settings: Settings) -> None:
        profile = settings.profile
        self.methods = profile.dialect.methods
        self._background = background
        self._runner = runner
        self._settings = settings
        self._profile = profile
        self._host_paths = settings.host.paths
        self._answers = {method.name: method.response_type for method in self.methods}
        self._begin()

    def _begin(self) -> None:
        background, settings, profile = self._background, self._settings, self._profile
        self.sandboxes = Sandboxes(background.clock, profile)
        self.execs = Execs(background, self._runner, settings.log_root)
        self.watch = Watch(background, self.execs, profile)
        self._materializer = materializer = Materializer(
            background, self.execs, self.watch, settings
        )
        self.lifecycle = Lifecycle(background, self.execs, self.watch, materializer, settings)
        self._recovery = Recovery(self.execs, self.watch, materializer, profile)
        self.retention = Retention(background, self.sandboxes, self.execs, self.lifecycle, settings)

    async def start(self) -> None:
        """Start or restart with the stored sandboxes."""
        self.watch.start()
        for sandbox in self.sandboxes:
            await self._recovery.recover(sandbox)
        self._background.spawn(self.retention.run())

    async def stop(self) -> None:
        """Cancel all background work; what a real daemon stores on disk remains."""
        await self._background.cancel_daemon_work()
        self.watch.stop()

    async def reset(self) -> None:
        """Forget all sandboxes, as if they had never been; their processes and files end, too."""
        for sandbox in tuple(self.sandboxes):  # calls may arrive meanwhile
            sandbox.log.end_streams(sandbox_not_found(sandbox.id))
        await self._background.aclose()
        self.watch.stop()
        for sandbox in tuple(self.sandboxes):
            await self._runner.remove(sandbox.id)
        self._begin()

    @property
    def containers(self) -> list[ContainerSnapshot]:
        """All containers of Docker, also those that the daemon has lost track of."""
        sandboxes = (*self.sandboxes.left_behind, *self.sandboxes)
        return [item for sandbox in sandboxes for item in ContainerSnapshot.all_of(sandbox)]

    @property
    def networks(self) -> list[NetworkRecord]:
        """All networks of Docker."""
        return [NetworkRecord(name, of) for name, of in self._materializer.networks.items()]

    def burn_id(self, method: str, request: Any) -> bool:
        """Reserve the id of a create without creating anything.

        Returns:
            False if the request names no id, or would have been refused.
        """
        try:
            if method == "CreateSandbox":
                check_create(request, self._profile, self._host_paths)
                return self.sandboxes.ids.burn(request.sandbox_id)
            self.execs.check(self.sandboxes.get(request.sandbox_id), request)
            return self.execs.ids.burn(request.exec_id)
        except StatusError:
            return False

    def end_streams(self, failure: StatusError | None) -> None:
        """End all open event streams: with a failure, or cleanly."""
        for sandbox in self.sandboxes:
            sandbox.log.end_streams(failure)

    def ping(self, _: pb.PingRequest) -> pb.PingResponse:
        """Return the daemon's name and version."""
        return pb.PingResponse(version=self._profile.version, daemon="agboxd")

    def create_sandbox(self, request: Any) -> Any:
        """Accept a create; a bad spec is reported before a bad id."""
        spec = check_create(request, self._profile, self._host_paths)
        sandbox = self.sandboxes.add(request.sandbox_id, spec)
        self.lifecycle.create(sandbox)
        return self._answers["CreateSandbox"](sandbox=sandbox.handle())

    def get_sandbox(self, request: pb.GetSandboxRequest) -> Any:
        """Return a sandbox, also if it is deleted."""
        sandbox = self.sandboxes.get(request.sandbox_id)
        return self._answers["GetSandbox"](sandbox=sandbox.handle())

    def list_sandboxes(self, request: pb.ListSandboxesRequest) -> Any:
        """Return all sandboxes with the given labels."""
        selector = dict(request.label_selector)
        return self._answers["ListSandboxes"](
            sandboxes=[
                sandbox.handle()
                for sandbox in self.sandboxes.listed()
                if sandbox.matches(selector)
                and (request.include_deleted or sandbox.state != pb.SANDBOX_STATE_DELETED)
            ]
        )

    def resume_sandbox(self, request: pb.ResumeSandboxRequest) -> pb.AcceptedResponse:
        """Accept a resume."""
        self.lifecycle.resume(self.sandboxes.get(request.sandbox_id))
        return _ACCEPTED

    def stop_sandbox(self, request: pb.StopSandboxRequest) -> pb.AcceptedResponse:
        """Accept a stop."""
        self.lifecycle.stop(self.sandboxes.get(request.sandbox_id))
        return _ACCEPTED

    def delete_sandbox(self, request: pb.DeleteSandboxRequest) -> pb.AcceptedResponse:
        """Accept a delete, in any state and any number of times."""
        self.lifecycle.delete(self.sandboxes.get(request.sandbox_id))
        return _ACCEPTED

    def delete_sandboxes(self, request: pb.DeleteSandboxesRequest) -> pb.DeleteSandboxesResponse:
        """Accept a delete of all sandboxes with the given labels."""
        selector = dict(request.label_selector)
        if not selector:
            raise invalid_argument("label_selector must not be empty")
        deleted = sorted(
            sandbox.id
            for sandbox in self.sandboxes
            if sandbox.matches(selector) and self.lifecycle.delete(sandbox)
        )
        return pb.DeleteSandboxesResponse(deleted_sandbox_ids=deleted, deleted_count=len(deleted))

    def subscribe_sandbox_events(self, request: pb.SubscribeSandboxEventsRequest) -> EventStream:
        """Open an event stream; the caller closes it."""
        sandbox = self.sandboxes.get(request.sandbox_id)
        snapshot = partial(self.execs.snapshot, sandbox)
        return sandbox.log.open_stream(
            request.from_sequence, snapshot if request.include_current_snapshot else None
        )

    def create_exec(self, request: pb.CreateExecRequest) -> pb.CreateExecResponse:
        """Accept an exec."""
        item = self.execs.create(self.sandboxes.get(request.sandbox_id), request)
        return pb.CreateExecResponse(
            exec_id=item.id,
            stdout_log_path=str(item.command.stdout_path),
            stderr_log_path=str(item.command.stderr_path),
        )

    def cancel_exec(self, request: pb.CancelExecRequest) -> pb.AcceptedResponse:
        """Cancel a running exec."""
        self.execs.cancel(request.exec_id)
        return _ACCEPTED

    def get_exec(self, request: pb.GetExecRequest) -> pb.GetExecResponse:
        """Return an exec."""
        return pb.GetExecResponse(exec=self.execs.get(request.exec_id).status())

    def list_active_execs(self, request: pb.ListActiveExecsRequest) -> pb.ListActiveExecsResponse:
        """Return the running execs; an unknown sandbox id has none."""
        sandbox_id = request.sandbox_id if request.HasField("sandbox_id") else None
        active = self.execs.active(sandbox_id)
        return pb.ListActiveExecsResponse(execs=[item.status() for item in active])
