"""The files of sandboxes whose commands do not run, but for those of the client itself."""

from __future__ import annotations

import asyncio
import os
import posixpath
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from ..._scripts.files import Failure
from ..._shared.helpers import (
    OPERATION_INDEX,
    PATH_INDEX,
    SCRIPT_INDEX,
    decoded_path,
    encoded_path,
)
from .._host.folders import make_folders
from .._protocol.spec import Spec
from .._time.clock import Clock
from .child import Child
from .command import CannotPrepareError, CannotStartError, Command
from .container_files import FILES, FOLDERS, LINKS
from .copy_plan import PlannedCopy
from .filesystem import FileSystem
from .passthrough import PassThroughRunner

_REFUSAL = f'printf %s "$2$2"; exit {Failure.PERMISSION:d}'
"""In place of a script: it reports nothing between its marks."""


class FilesRunner(PassThroughRunner):
    """Runs the client's own commands for files, and no others.

    They are small scripts, run by the host's `sh`, so they do here exactly what they do in a
    sandbox. Each has one path, which is replaced by one in the folder of the sandbox: it reaches
    nothing else of the host but what is mounted writable.

    Most tests need no files. A sandbox gets its folder, with what mounts and copies bring, for the
    first such command.

    Args:
        root: A folder for the files of all sandboxes.
        clock: The daemon's clock.
        host_paths: Sources of mounts and copies that count as empty folders if they do not
            exist.
        image_folders: Folders that every image has besides those of a Debian image.
    """

    def __init__(
        self,
        root: Path,
        clock: Clock,
        host_paths: Collection[str] = (),
        image_folders: Collection[str] = (),
    ) -> None:
        super().__init__(root, clock, host_paths)
        self._image_folders = image_folders
        self._copies: dict[str, Sequence[PlannedCopy]] = {}
        """By sandbox, if it has any."""
        self._built: dict[str, asyncio.Future[None]] = {}

    def _files(self, sandbox_id: str, spec: Spec) -> ConfinedFiles:
        folder = self._root / sandbox_id
        return ConfinedFiles(folder, spec, self._host_paths, self._image_folders)

    async def prepare(
        self,
        sandbox_id: str,
        spec: Spec,  # noqa: ARG002 - each command has it
        copies: Sequence[PlannedCopy] = (),
    ) -> None:
        """Remember the copies until there are files."""
        if copies:
            self._copies[sandbox_id] = copies

    async def start(self, command: Command) -> Child:
        """Run a command for files."""
        sandbox_id = command.sandbox_id
        if sandbox_id not in self._built:
            copies = self._copies.pop(sandbox_id, ())
            building = super().prepare(sandbox_id, command.spec, copies)
            self._built[sandbox_id] = asyncio.ensure_future(building)
        try:
            await asyncio.shield(self._built[sandbox_id])
        except CannotPrepareError as error:
            raise CannotStartError(str(error)) from error
        return await super().start(command)

    def _argv(self, command: Command, files: FileSystem) -> list[str]:
        assert isinstance(files, ConfinedFiles)  # noqa: S101 - for type checkers
        request = list(command.request)
        path = os.fsdecode(decoded_path(request[PATH_INDEX]))
        operation = request[OPERATION_INDEX]
        if files.refuses(operation, path):
            request[SCRIPT_INDEX] = _REFUSAL
        place = files.place_itself(path) if operation == "remove" else files.host_path(path)
        # A slash at the end says that it must be a folder; a `Path` drops it.
        slash = "/" if path.endswith("/") else ""
        request[PATH_INDEX] = encoded_path(os.fsencode(f"{place}{slash}"))
        return request

    async def remove(self, sandbox_id: str) -> None:
        """Remove the files of a sandbox, if it has any."""
        self._copies.pop(sandbox_id, None)
        building = self._built.pop(sandbox_id, None)
        if building is not None:
            await asyncio.wait([building])
            await super().remove(sandbox_id)


def _with_real_folder(place: Path) -> Path:
    return Path(os.path.realpath(place.parent)) / place.name


class ConfinedFiles(FileSystem):
    """The files of one sandbox, with the folders of a Debian image.

    Args:
        folder: The folder; its parent contains nothing but sandboxes.
        spec: What the sandbox was created with.
        host_paths: Sources that count as empty folders if they do not exist.
        image_folders: Folders that the image has besides those of a Debian image.
    """

    def __init__(
        self,
        folder: Path,
        spec: Spec,
        host_paths: Collection[str],
        image_folders: Collection[str],
    ) -> None:
        super().__init__(folder, spec, host_paths)
        self._image_folders = image_folders

    def build(self, copies: Iterable[PlannedCopy] = ()) -> None:
        """Make the folders and links of the image, then all copies and mounts."""
        make_folders(self.folder)
        for link, target in LINKS.items():
            place = self._place(link)
            make_folders(place.parent)
            absolute = posixpath.join(posixpath.dirname(link), target)
            place.symlink_to(posixpath.relpath(absolute, posixpath.dirname(link)))
        for path in (*FOLDERS, *self._image_folders):
            make_folders(Path(os.path.realpath(self._place(path))))
        for path in FILES:
            self._place(path).touch()
        super().build(copies)

    def host_path(self, path: str) -> Path:
        """Map an absolute path of the sandbox to one of the host.

        One that leads out of the sandbox, through a symlink, is mapped to a path where nothing is.
        """
        place = self.place_itself(path)
        return place if self._is_inside(Path(os.path.realpath(place))) else self._nowhere(path)

    def place_itself(self, path: str) -> Path:
        """Map an absolute path as `host_path()` does, but allow a symlink itself to lead out."""
        place = self._place(path)
        return place if self._is_inside(_with_real_folder(place)) else self._nowhere(path)

    def _is_inside(self, target: Path) -> bool:
        mounted = (self._source(mount.source) for mount in self._spec.mounts if mount.writable)
        allowed = (self.folder, *(source for source in mounted if source is not None))
        return any(target.is_relative_to(os.path.realpath(folder)) for folder in allowed)

    def _nowhere(self, path: str) -> Path:
        return self.folder / "leads-out-of-the-sandbox" / posixpath.basename(path)

    def refuses(self, operation: str, path: str) -> bool:
        """Return whether an operation would change a read-only mount.

        Where it fails for another reason, its script says so. These mounts are copies, whose
        protection does not bind root.
        """
        place = self._place(path)
        if operation == "write":
            target = Path(os.path.realpath(place))
            changes = target.parent.is_dir() and not target.is_dir()
        else:
            target = _with_real_folder(place)
            exists = os.path.lexists(target)
            changes = (operation == "remove" and exists) or (operation == "mkdir" and not exists)
        mounts = (self._place(mount.target) for mount in self._spec.mounts if not mount.writable)
        return changes and any(target.is_relative_to(os.path.realpath(at)) for at in mounts)

    def rewritten(self, text: str) -> str:
        """Return the text: a command for files has no other paths."""
        return text
