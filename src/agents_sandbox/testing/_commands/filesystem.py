"""The folder on the host that stands for the file system of a sandbox."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection
from functools import cached_property
from pathlib import Path

from ..._wire import v02_pb2 as pb
from .._host.folders import make_folders
from .._protocol.spec import HOME, WORKSPACE, Spec
from .command import CannotPrepareError
from .copying import bind_read_only, clear, copy_into, is_within, write_protect


class FileSystem:
    """The files of one sandbox: `<folder>/x` stands for `/x`.

    A writable mount is a symlink to its source. A read-only one is a write-protected copy
    (for root, who may write to it all the same): the source is safe, and its later changes
    do not show. Outer targets are laid first, inner ones replace what is there.

    To a process of the host an absolute path is one of the host. What is known to be in the
    sandbox is `/workspace`, the home and the targets of mounts and copies: `host_path()` and
    `rewritten()` lead from there to the folder.

    Args:
        folder: The folder; the one above it is for sandboxes only.
        spec: What the sandbox was created with.
        pretended: Sources that count as empty folders where they are not there.
    """

    def __init__(self, folder: Path, spec: Spec, pretended: Collection[str] = ()) -> None:
        self._folder = folder
        self._spec = spec
        self._pretended = pretended

    @property
    def home(self) -> Path:
        """Where the home of the user is."""
        return self._place(HOME)

    def build(self) -> None:
        """Lay out all mounts and copies.

        Raises:
            CannotPrepareError: They do not fit.
            OSError: Something cannot be read or written.
        """
        for folder in (WORKSPACE, HOME):
            make_folders(self._place(folder))
        entries: list[pb.MountSpec | pb.CopySpec] = [*self._spec.mounts, *self._spec.copies]
        for entry in sorted(entries, key=lambda entry: _normal(entry.target).count("/")):
            if isinstance(entry, pb.MountSpec):
                self._lay_mount(entry)
            else:
                self._lay_copy(entry)
        # Last, for what is laid inside of them.
        for mount in self._spec.mounts:
            if not mount.writable:
                write_protect(self._place(mount.target))

    def _lay_mount(self, mount: pb.MountSpec) -> None:
        place = self._place(mount.target)
        self._check(place.parent, mount.target)
        make_folders(place.parent)
        clear(place)
        source = self._source(mount.source)
        if source is None:
            place.mkdir()
        elif mount.writable:
            place.symlink_to(source)
        else:
            bind_read_only(source, place, self._folder.parent)

    def _lay_copy(self, copy: pb.CopySpec) -> None:
        place = self._place(copy.target)
        self._check(place, copy.target)
        make_folders(place.parent)
        source = self._source(copy.source)
        if source is None:
            make_folders(place)
        else:
            copy_into(source, place, copy.exclude_patterns, self._folder.parent)

    def _source(self, path: str) -> Path | None:
        source = Path(path).expanduser()
        return None if path in self._pretended and not source.exists() else source

    def _check(self, place: Path, target: str) -> None:
        if not is_within(place, self._folder):
            raise CannotPrepareError(
                f"target {target} is in a writable mount or behind a symlink: "
                "exec_mode='passthrough' will not touch the files of the host that are there"
            )

    def _place(self, path: str) -> Path:
        return self._folder / _normal(path)[1:]

    def host_path(self, path: str) -> Path:
        """Where an absolute path of the sandbox is on the host."""
        normal = _normal(path)
        return self._place(normal) if self._mapped.match(normal) else Path(normal)

    def rewritten(self, text: str) -> str:
        """Put the host's paths in place of the sandbox's, wherever a text has them.

        This is a guess: `/workspace` is taken for a path unless the characters around it
        make it a part of a longer one. So `-I/workspace` is left alone, as is a path that a
        program puts together by itself; and what programs print are paths of the host.
        """
        return self._mapped.sub(lambda found: f"{self._folder}{found[0]}", text)

    @cached_property
    def _mapped(self) -> re.Pattern[str]:
        mounts = (_normal(mount.target) for mount in self._spec.mounts)
        copies = (_normal(copy.target) for copy in self._spec.copies)
        paths = {WORKSPACE, HOME, *mounts, *copies} - {"/"}
        # Before it nothing that can end a path or an expansion, after it nothing that goes
        # on with the name.
        return re.compile(rf"(?<![\w./~)}}\]*?])(?:{'|'.join(map(re.escape, paths))})(?![\w.-])")


def _normal(path: str) -> str:
    if path.startswith("~/"):
        path = HOME + path[1:]
    return "/" + posixpath.normpath(path).lstrip("/")
