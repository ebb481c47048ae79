"""The folder on the host that replaces the file system of a sandbox."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cached_property
from pathlib import Path

from ..._shared.shown import shown
from ..._wire import v02_pb2 as pb
from .._host.folders import make_folders
from .._protocol.spec import HOME, WORKSPACE, Spec
from .command import CannotPrepareError
from .copy_plan import PlannedCopy
from .copying import bind_read_only, clear, is_within, normal, put_entries, write_protect


class FileSystem:
    """The files of one sandbox: `<folder>/x` is its `/x`.

    A writable mount is a symlink to its source. A read-only mount is a write-protected
    copy, because root ignores the protection: the source is safe, and later changes to it are
    not visible. Mounts replace what copies have put there, inner ones what is in outer ones.

    Processes of the host see absolute paths of the host. `host_path()` and `rewritten()` map
    the paths that are known to be in the sandbox: `/workspace`, the home and the targets of
    mounts and copies.

    Args:
        folder: The folder; its parent contains nothing but sandboxes.
        spec: What the sandbox was created with.
        host_paths: Sources that count as empty folders if they do not exist.
    """

    def __init__(self, folder: Path, spec: Spec, host_paths: Collection[str] = ()) -> None:
        self.folder = folder
        self._spec = spec
        self._host_paths = host_paths

    @property
    def home(self) -> Path:
        """The home folder of the user."""
        return self._place(HOME)

    def build(self, copies: Iterable[PlannedCopy] = ()) -> None:
        """Make all copies and mounts.

        Args:
            copies: The copies, in order.

        Raises:
            CannotPrepareError: A target is in a writable mount or behind a symlink.
            OSError: A file cannot be read or written.
        """
        for folder in (WORKSPACE, HOME):
            make_folders(self._place(folder))
        for copy in copies:
            self._make_copy(copy)
        for mount in sorted(self._spec.mounts, key=lambda mount: _normal(mount.target).count("/")):
            self._create_mount(mount)
        self._protect()

    def _protect(self) -> None:
        # Last, because inner targets are written into outer ones.
        for mount in self._spec.mounts:
            if not mount.writable:
                write_protect(self._place(mount.target))

    def _make_copy(self, copy: PlannedCopy) -> None:
        for mount in self._spec.mounts:
            if f"{copy.folder}/".startswith(f"{_normal(mount.target)}/"):
                raise _outside(copy.folder)
        place = self._place(copy.folder)
        make_folders(place)
        put_entries(copy.entries, place)

    def _create_mount(self, mount: pb.MountSpec) -> None:
        place = self._place(mount.target)
        self._check_inside(place.parent, mount.target)
        make_folders(place.parent)
        clear(place)
        source = self._source(mount.source)
        if source is None:
            place.mkdir()
        elif mount.writable:
            place.symlink_to(source)
        else:
            bind_read_only(source, place, self.folder.parent)

    def _source(self, path: str) -> Path | None:
        source = Path(path).expanduser()
        return None if path in self._host_paths and not source.exists() else source

    def _check_inside(self, place: Path, target: str) -> None:
        if not is_within(place, self.folder):
            raise _outside(target)

    def _place(self, path: str) -> Path:
        return self.folder / _normal(path)[1:]

    def host_path(self, path: str) -> Path:
        """Map an absolute path of the sandbox to one of the host."""
        normal = _normal(path)
        return self._place(normal) if self._mapped.match(normal) else Path(normal)

    def rewritten(self, text: str) -> str:
        """Replace the sandbox's paths in a text by the host's.

        This is a guess: `/workspace` counts as a path unless the characters around it make it
        part of a longer one. So it misses `-I/workspace` and paths that a program builds
        itself, and programs print paths of the host.
        """
        return self._mapped.sub(lambda found: f"{self.folder}{found[0]}", text)

    @cached_property
    def _mapped(self) -> re.Pattern[str]:
        mounts = (_normal(mount.target) for mount in self._spec.mounts)
        copies = (_normal(copy.target) for copy in self._spec.copies)
        paths = {WORKSPACE, HOME, *mounts, *copies} - {"/"}
        # The character before must not end a path or an expansion, the one after must not
        # continue the name.
        return re.compile(rf"(?<![\w./~)}}\]*?])(?:{'|'.join(map(re.escape, paths))})(?![\w.-])")


def _outside(target: str) -> CannotPrepareError:
    return CannotPrepareError(
        f"target {shown(target)} is in a writable mount or behind a symlink: "
        "it would change files of the host. Choose another target"
    )


def _normal(path: str) -> str:
    return normal(HOME + path[1:] if path.startswith("~/") else path)
