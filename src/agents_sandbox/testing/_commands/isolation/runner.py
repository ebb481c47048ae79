"""Isolated commands: they really run, each sandbox with its own files and processes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..._protocol.spec import HOME, WORKSPACE, Spec
from ..._time.clock import Clock
from ..child import Child
from ..command import CannotPrepareError, CannotStartError, Command
from ..copy_plan import PlannedCopy
from ..logs import log_folder
from ..real import FILES, RealRunner, as_in_docker
from ..threads import in_thread
from .container import Container
from .files import Root
from .launching import Mount


class IsolatedRunner(RealRunner):
    """Runs the commands of each sandbox in namespaces of its own.

    They are made when it is created or resumed and, if its processes were killed in another way,
    for its next command.

    Args:
        root: A folder for the files of all sandboxes.
        clock: The daemon's clock; it is frozen while a hook runs.
        log_root: The folder of all logs.
        host_paths: Sources of mounts and copies that count as empty folders if they do not
            exist.
        image_folders: Folders that every image has besides those of a Debian image.
    """

    def __init__(
        self,
        root: Path,
        clock: Clock,
        log_root: Path,
        host_paths: Collection[str] = (),
        image_folders: Collection[str] = (),
    ) -> None:
        super().__init__(root, clock, host_paths)
        self._log_root = log_root
        self._image_folders = image_folders
        self._containers: dict[str, Container] = {}
        self._ending: dict[str, Container] = {}
        """Those that were told to end, until they have; their sandboxes have no other."""
        self._removing: set[str] = set()

    async def _build(self, sandbox_id: str, spec: Spec, copies: Sequence[PlannedCopy]) -> None:
        files = self._files(sandbox_id, spec)
        container = self._make_container(
            files, await in_thread(partial(_build, files, copies), FILES)
        )
        try:
            await asyncio.shield(container.ready)
        except BaseException as error:
            self._end(sandbox_id, container)
            if isinstance(error, CannotStartError):
                raise CannotPrepareError(str(error)) from error
            raise
        self._containers[sandbox_id] = container

    def _files(self, sandbox_id: str, spec: Spec) -> Root:
        return Root(
            self._root / sandbox_id,
            spec,
            self._host_paths,
            self._image_folders,
            log_folder(self._log_root, sandbox_id),
        )

    def _make_container(self, files: Root, mounts: list[Mount]) -> Container:
        return Container(files.folder, mounts, self._watch)

    async def resume(self, sandbox_id: str, spec: Spec) -> None:
        """Make the namespaces of a sandbox anew."""
        try:
            container = await self._container(sandbox_id, spec)
        except OSError as error:
            raise CannotPrepareError(str(error)) from error
        try:
            await asyncio.shield(container.ready)
        except CannotStartError as error:
            if not container.ending:  # by a delete, which does not make a resume fail
                raise CannotPrepareError(str(error)) from error

    async def start(self, command: Command) -> Child:
        """Start a command in its sandbox."""
        try:
            container = await self._container(command.sandbox_id, command.spec)
        except CannotPrepareError as error:
            raise CannotStartError(str(error)) from error
        env = self._environment(command, HOME, command.full_env)
        return await container.start(
            command, as_in_docker(command.argv), command.cwd or WORKSPACE, env
        )

    async def _container(self, sandbox_id: str, spec: Spec) -> Container:
        if ending := self._ending.get(sandbox_id):
            await asyncio.wait([ending.ended])  # its processes could still change files
        container = self._containers.get(sandbox_id)
        if container is None or container.ended.done():
            files = self._files(sandbox_id, spec)
            if sandbox_id in self._removing or not files.folder.exists():
                raise CannotPrepareError("the sandbox was deleted")
            container = self._make_container(files, files.mounts())
            self._containers[sandbox_id] = container
        return container

    def _kill(self, sandbox_id: str | None) -> Collection[asyncio.Future[Any]]:
        for killed in [*self._containers] if sandbox_id is None else [sandbox_id]:
            if container := self._containers.pop(killed, None):
                self._end(killed, container)
        ending = self._ending.items()
        return [item.ended for owner, item in ending if sandbox_id in (owner, None)]

    def _end(self, sandbox_id: str, container: Container) -> None:
        self._children.pop(sandbox_id, None)  # nothing can keep the kernel from killing them
        self._ending[sandbox_id] = container
        container.ended.add_done_callback(lambda _: self._ending.pop(sandbox_id))
        container.end()

    async def remove(self, sandbox_id: str) -> None:
        """Kill what still runs, wait for it to end, and remove the files."""
        self._removing.add(sandbox_id)  # a resume or a command may wait for that, too
        try:
            await super().remove(sandbox_id)
        finally:
            self._removing.discard(sandbox_id)

    async def aclose(self) -> None:
        """Remove every sandbox."""
        await super().aclose()
        for container in tuple(self._ending.values()):
            container.close()


def _build(files: Root, copies: Sequence[PlannedCopy]) -> list[Mount]:
    files.build(copies)
    return files.mounts()
