"""Which files a new container has, as far as its image, its mounts and its copies tell."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..._wire import v02_pb2 as pb
from .._host.declared import Host
from .._protocol.spec import HOME, WORKSPACE, Spec
from .command import CannotPrepareError
from .copy_plan import Entry, PlannedCopy
from .copying import list_copy, normal

# What Debian's packages base-files and base-passwd install, without what only Debian's own tools
# use, and the files that Docker puts into /etc.
_FOLDERS = {
    "/": "boot dev etc home media mnt opt proc root run srv sys tmp usr var",
    "/etc": "default opt profile.d skel",
    "/run": "lock",
    "/usr": "bin games include lib local sbin share src",
    "/usr/local": "bin etc games include lib sbin share src",
    "/usr/local/share": "man",
    "/usr/share": "common-licenses dict doc info man misc",
    "/var": "backups cache lib local log mail opt spool tmp",
    "/var/lib": "misc",
}
_FILES = {"/etc": "group hostname hosts passwd profile resolv.conf shadow"}
LINKS = {
    "/bin": "usr/bin",
    "/lib": "usr/lib",
    "/sbin": "usr/sbin",
    "/usr/local/man": "share/man",
    "/var/lock": "/run/lock",
    "/var/run": "/run",
    "/var/spool/mail": "../mail",
}
"""Its links to folders."""
_MOST_LINKS = 40
"""How many symlinks a path may lead through, as on Linux."""


@dataclass(frozen=True)
class _Found:
    """What is at a path."""

    mode: int
    link: str = ""


_FOLDER = _Found(stat.S_IFDIR)
_FILE = _Found(stat.S_IFREG)


def _paths(names: Mapping[str, str]) -> Iterator[str]:
    for folder, inner in names.items():
        yield from (posixpath.join(folder, name) for name in inner.split())


FOLDERS = ("/", WORKSPACE, HOME, *_paths(_FOLDERS))
"""The folders of a Debian image, outer ones first."""
FILES = tuple(_paths(_FILES))
"""Some of its files."""

_DEBIAN = {
    **dict.fromkeys(FOLDERS, _FOLDER),
    **dict.fromkeys(FILES, _FILE),
    **{path: _Found(stat.S_IFLNK, text) for path, text in LINKS.items()},
}


def plan_copies(container: str, spec: Spec, host: Host, excluded_path: Path) -> list[PlannedCopy]:
    """Find what the copies of a create bring and where it goes, in the order of the request.

    Args:
        container: The name of the container.
        spec: What the sandbox is created with.
        host: Declares the folders of images, and those that count as existing on the host.
        excluded_path: A path of the host that no copy contains.

    Raises:
        CannotPrepareError: A copy fails; the message is the daemon's.
    """
    files = _ContainerFiles(container, spec.mounts, host)
    plan = []
    for copy in spec.copies:
        exists = copy.source not in host.paths or os.path.lexists(copy.source)
        entries = list_copy(copy, excluded_path) if exists else []
        folder = files.folder_for_copy(copy.target)
        files.add(folder, entries)
        plan.append(PlannedCopy(folder, tuple(entries)))
    return plan


class _ContainerFiles:
    def __init__(self, container: str, mounts: Iterable[pb.MountSpec], host: Host) -> None:
        self._container = container
        self._host_paths = host.paths
        self._mounts: dict[str, pb.MountSpec] = {}
        self._made: dict[str, _Found] = {}
        """Declared folders, the folders around mounts, and what copies have brought."""
        for mount in mounts:
            folder, name = posixpath.split(normal(mount.target))
            self._mounts[posixpath.join(self._make_folders(folder), name)] = mount
        for path in host.image_folders:
            self._make_folders(path)

    def _make_folders(self, wanted: str) -> str:
        path = "/"
        for name in reversed(_names(wanted)):
            inner = posixpath.join(path, name)
            path = self._follow(inner) or inner
            if self._look(path) is None:
                self._made[path] = _FOLDER
        return path

    def folder_for_copy(self, target: str) -> str:
        """Return the folder that a target is, without symlinks.

        Raises:
            CannotPrepareError: Docker refuses to copy to it.
        """
        path = self._follow(target)
        if path is None:
            why = f"Could not find the file {target} in container {self._container}"
        elif self._look(path) != _FOLDER:
            why = "extraction point is not a directory"
        elif self._is_read_only(path):
            # Docker's own message; it is not among the recordings.
            why = "mounted volume is marked read-only"
        else:
            return path
        raise CannotPrepareError(
            f"copy to container {self._container} at {target}: Error response from daemon: {why}"
        )

    def add(self, folder: str, entries: Iterable[Entry]) -> None:
        """Add what a copy brings."""
        for entry in entries:
            path = posixpath.join(folder, entry.path)
            self._made[path] = _Found(stat.S_IFMT(entry.mode), entry.link)

    def _follow(self, target: str) -> str | None:
        path, names, links = "/", _names(target), 0
        while names:
            found = self._look(path := posixpath.normpath(posixpath.join(path, names.pop())))
            if found is None:
                return None
            if found.link:
                links += 1
                if links > _MOST_LINKS:
                    return None
                path = posixpath.join(posixpath.dirname(path), found.link)
                names += _names(path)
                path = "/"
        return path

    def _look(self, path: str) -> _Found | None:
        if path in self._made:
            return self._made[path]
        mounted = self._mounted_on(path)
        if mounted is None:
            return _DEBIAN.get(path)
        mount = self._mounts[mounted]
        try:
            return _look_on_host(normal(mount.source) + path[len(mounted) :])
        except OSError:
            return _FOLDER if path == mounted and mount.source in self._host_paths else None

    def _mounted_on(self, path: str) -> str | None:
        while path not in self._mounts:
            if path == "/":
                return None
            path = posixpath.dirname(path)
        return path

    def _is_read_only(self, path: str) -> bool:
        mounted = self._mounted_on(path)
        return mounted is not None and not self._mounts[mounted].writable


def _names(path: str) -> list[str]:
    """The names in a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name]


def _look_on_host(path: str) -> _Found:
    mode = os.lstat(path).st_mode
    link = os.readlink(path) if stat.S_ISLNK(mode) else ""  # noqa: PTH115 - text, not a path
    return _Found(stat.S_IFMT(mode), link)
