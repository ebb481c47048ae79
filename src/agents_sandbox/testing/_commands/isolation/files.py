"""The folder that becomes the root of an isolated sandbox, and what is mounted in it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from ...._wire import v02_pb2 as pb
from ..._host.folders import make_folders
from ..._protocol.spec import HOME, WORKSPACE, Spec
from ..copy_plan import PlannedCopy
from ..copying import clear
from ..filesystem import FileSystem
from .host_folders import host_folders
from .launching import Mount

_FOR_ALL = ("/tmp", "/var/tmp")  # noqa: S108 - in the sandbox
_OWN = (
    *("/", "/boot", "/dev", "/home", "/media", "/mnt", "/opt", "/proc", "/root", "/run"),
    *("/run/lock", "/srv", "/var", "/var/backups", "/var/cache", "/var/lib", "/var/lib/misc"),
    *("/var/local", "/var/log", "/var/mail", "/var/opt", "/var/spool", HOME, WORKSPACE, *_FOR_ALL),
)
"""Folders that every sandbox has for itself, as in a Debian image."""
_LINKS = {"/var/lock": "../run/lock", "/var/run": "../run", "/var/spool/mail": "../mail"}
"""Symlinks of such an image; relative, so that they stay in the sandbox's folder."""
_LOGS = "/var/log/agents-sandbox"
"""Where the logs are. The path in a real sandbox is not recorded."""


class Root(FileSystem):
    """The files of one isolated sandbox: the folder is its `/`.

    The folder has the sandbox's own files and the copies. The mounts and the programs of the host
    are mounted over it whenever the sandbox starts.

    Args:
        folder: The folder; its parent contains nothing but sandboxes.
        spec: What the sandbox was created with.
        host_paths: Sources that count as empty folders if they do not exist.
        image_folders: Folders that the image has besides those of a Debian image.
        logs: The folder of the sandbox's logs, which commands can write to; None: there is none.
    """

    def __init__(
        self,
        folder: Path,
        spec: Spec,
        host_paths: Collection[str] = (),
        image_folders: Collection[str] = (),
        logs: Path | None = None,
    ) -> None:
        super().__init__(folder, spec, host_paths)
        self._image_folders = image_folders
        self._logs = logs

    def build(self, copies: Iterable[PlannedCopy] = ()) -> None:
        """Make the folders and copies, and places for the mounts.

        Args:
            copies: The copies, in order.

        Raises:
            CannotPrepareError: A target is in a mount or behind a symlink.
            OSError: A file cannot be read or written.
        """
        for path in _OWN:
            self._make_folder(path, 0o1777 if path in _FOR_ALL else 0o755)
        for link, target in _LINKS.items():
            self._place(link).symlink_to(target)
        # As on the host, before mounts and copies make folders of them: /bin, /lib and such.
        for folder in host_folders(_OWN):
            if folder.is_symlink() and not folder.readlink().is_absolute():
                make_folders(self._place(str(folder.parent)))
                self._place(str(folder)).symlink_to(folder.readlink())
        for path in self._image_folders:
            self._make_folder(path, 0o755)
        super().build(copies)

    def _make_folder(self, path: str, mode: int) -> None:
        place = Path(os.path.realpath(self._place(path)))  # /lib may lead to no folder yet
        make_folders(place)
        place.chmod(mode)

    def _create_mount(self, mount: pb.MountSpec) -> None:
        place = self._place(mount.target)
        self._check_inside(place.parent, mount.target)
        source = self._source(mount.source)
        make_folders(Path(os.path.realpath(place.parent)))
        _make_place(place, folder=source is None or source.is_dir())

    def _protect(self) -> None:
        """Do nothing: the mounts themselves are read-only."""

    def mounts(self) -> list[Mount]:
        """Return all mounts, outer ones first, and make places for those of the host.

        Raises:
            CannotPrepareError: A place is behind a symlink.
            OSError: A place cannot be made.
        """
        found: list[Mount] = []
        for path in host_folders(_OWN):
            place = self._place(str(path))
            self._check_inside(place.parent, str(path))
            found += self._show(path, place)
        if self._logs is not None and self._logs.is_dir():
            place = self._place(_LOGS)
            self._check_inside(place.parent, _LOGS)
            _make_place(place, folder=True)
            found.append(Mount(str(self._logs), _LOGS, writable=True))
        places = [(self._place(mount.target), mount) for mount in self._spec.mounts]
        for place, mount in sorted(places, key=lambda item: len(item[0].parts)):
            source = self._source(mount.source) or place
            found.append(Mount(str(source), self._path(place), writable=mount.writable))
        return found

    def _show(self, source: Path, place: Path) -> Iterator[Mount]:
        """Show something of the host where the sandbox has nothing itself."""
        if place.is_symlink():
            return  # it is the sandbox's own, and may lead anywhere
        if source.is_symlink():
            if not place.exists():
                place.symlink_to(source.readlink())
        elif _is_empty(place):
            _make_place(place, folder=source.is_dir())
            yield Mount(str(source), self._path(place))
        elif source.is_dir() and place.is_dir():
            for child in source.iterdir():
                yield from self._show(child, place / child.name)

    def _path(self, place: Path) -> str:
        return f"/{place.relative_to(self.folder)}"


def _is_empty(place: Path) -> bool:
    """Return whether nothing is there, or only the place of an earlier mount."""
    if place.is_dir():
        return not any(place.iterdir())
    return not place.exists() or not place.stat().st_size


def _make_place(place: Path, *, folder: bool) -> None:
    make_folders(place.parent)
    if place.is_symlink() or (place.exists() and place.is_dir() != folder):
        clear(place)
    if folder:
        make_folders(place)
    else:
        place.touch()
