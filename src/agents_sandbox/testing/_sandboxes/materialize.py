"""The Docker work of creates, resumes, stops and deletes."""

from __future__ import annotations

from functools import partial

from .._commands.command import CannotPrepareError
from .._commands.container_files import plan_copies
from .._commands.logs import log_folder, make_log_folder
from .._commands.threads import in_thread
from .._host.containers import Container, DockerError
from .._host.docker import check_images, check_mounts, check_primary, check_tools
from .._protocol.refusals import StatusError
from .._settings import Settings
from .._time.background import Background
from .._validation.paths import check_sources_again
from .execs import Execs
from .names import Names
from .sandbox import PRIMARY, Sandbox
from .side_containers import SideContainers
from .watch import Watch


class Materializer:
    """Creates, starts, stops and removes the containers of sandboxes."""

    def __init__(
        self, background: Background, execs: Execs, watch: Watch, settings: Settings
    ) -> None:
        self._background = background
        self._execs = execs
        self._watch = watch
        self._settings = settings
        self._names = Names(settings.profile, settings.host.docker)
        self._sides = SideContainers(background, execs, watch, settings.profile, settings.host)

    @property
    def networks(self) -> dict[str, str]:
        """The networks that exist: the id of the sandbox of each, by name."""
        return self._names.networks

    async def create(self, sandbox: Sandbox) -> None:
        """Create and start all containers, and report the side containers.

        After a failure, all containers are removed.

        Raises:
            DockerError: A container cannot be created or started, or a hook failed.
        """
        try:
            self._prepare(sandbox)
            sandbox.containers = self._containers(sandbox)
            await self._sides.start_required(sandbox)
            await self._create_primary(sandbox)
            await self._sides.run_required_hooks(sandbox, with_envs=True)
        except DockerError:
            self.remove(sandbox)
            raise
        await self._sides.report_required(sandbox)
        await self._sides.start_others(sandbox)

    def _prepare(self, sandbox: Sandbox) -> None:
        settings, spec = self._settings, sandbox.spec
        logs = log_folder(settings.log_root, sandbox.id)
        check_tools(spec, settings.profile)
        try:
            check_sources_again(spec, settings.profile, settings.host.paths)
        except StatusError as error:
            raise DockerError(error.message) from error
        check_mounts(spec, logs)
        check_images(spec, settings.host)
        namesake = self._names.namesake(sandbox)
        if namesake:
            # The cleanup after this failure also removes the primary of that name.
            self._names.release_network(namesake)
            self._watch.remove(namesake, PRIMARY)
            raise self._names.clash(sandbox)
        self._names.take_network(sandbox)
        try:
            make_log_folder(logs)
        except OSError as error:
            raise DockerError(str(error)) from error

    def _containers(self, sandbox: Sandbox) -> dict[str, Container]:
        name = self._names.of(sandbox.id)
        behavior = self._settings.host.behavior(sandbox.id, sandbox.spec.image)
        primary = Container(f"agbox-primary-{name}", behavior, self._background.clock)
        return {PRIMARY: primary, **self._sides.make(sandbox, name)}

    async def _create_primary(self, sandbox: Sandbox) -> None:
        settings, clock = self._settings, self._background.clock
        check_primary(sandbox.spec, settings.host.docker)
        await clock.sleep(settings.ready_delay + sandbox.primary.behavior.starts_after)
        sandbox.primary.create()
        try:
            await clock.freeze_during(self._make_files(sandbox))
        except CannotPrepareError as error:
            raise DockerError(str(error)) from error
        self._start_primary(sandbox)

    async def _make_files(self, sandbox: Sandbox) -> None:
        settings, spec = self._settings, sandbox.spec
        plan = partial(
            plan_copies, sandbox.primary.name, spec, settings.host, settings.private_folder
        )
        copies = await in_thread(plan, "fake-agboxd-copies") if spec.copies else []
        await self._execs.prepare(sandbox, copies)

    def _start_primary(self, sandbox: Sandbox) -> None:
        self._names.take_ports(sandbox)
        sandbox.primary.start()
        exits_after = sandbox.primary.behavior.exits_after
        if exits_after is not None:
            ending = self._watch.exit_later(sandbox, PRIMARY, exits_after)
            self._background.spawn(ending, outlives_daemon=True)

    async def resume(self, sandbox: Sandbox) -> None:
        """Start all containers again, and report the side containers.

        Raises:
            DockerError: A container cannot be started, or a hook failed.
        """
        await self._sides.start_required(sandbox)
        try:
            await self._background.clock.freeze_during(self._execs.resume(sandbox))
        except CannotPrepareError as error:
            raise DockerError(str(error)) from error
        self._start_primary(sandbox)
        await self._sides.run_required_hooks(sandbox, with_envs=False)
        await self._sides.report_required(sandbox)
        await self._sides.resume_others(sandbox)

    def stop(self, sandbox: Sandbox) -> None:
        """Stop all containers; a resume can start them again."""
        self._names.release_ports(sandbox)
        for container in sandbox.containers.values():
            container.stop()

    def remove(self, sandbox: Sandbox) -> None:
        """Remove all containers, and release their network and ports."""
        self._names.release_ports(sandbox)
        self._names.release_network(sandbox)
        for container in sandbox.containers.values():
            container.remove()
