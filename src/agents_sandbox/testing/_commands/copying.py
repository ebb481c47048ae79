"""Copies of file trees: those that a create makes, and those that replace read-only mounts."""

from __future__ import annotations

import errno
import os
import posixpath
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..._shared.trees import remove_tree
from ..._wire import v02_pb2 as pb
from .command import CannotPrepareError
from .copy_plan import Entry
from .path_match import path_match


def list_copy(copy: pb.CopySpec, excluded_path: Path) -> list[Entry]:
    """List what a copy brings, in the daemon's order: each folder by name, before its contents.

    Args:
        copy: The copy; its source is a file or a folder.
        excluded_path: A path of the host to skip, because it can be inside the source.

    Raises:
        CannotPrepareError: A file cannot be read, is a pipe, a socket or a device, or a symlink
            points outside.
    """
    source = normal(copy.source)
    try:
        mode = os.lstat(source).st_mode
        if not stat.S_ISDIR(mode):
            return [_readable(Entry(posixpath.basename(source), source, mode))]
        return list(_Tree(source, tuple(copy.exclude_patterns), str(excluded_path)).walk())
    except OSError as error:
        why = f"open {error.filename}: {os.strerror(error.errno or 0).lower()}"
        raise _cannot_build(copy, why) from error
    except _UnfitError as error:
        raise _cannot_build(copy, str(error)) from error


def normal(path: str) -> str:
    """Return an absolute path with one slash between its names, and none at the end."""
    return "/" + posixpath.normpath(path).lstrip("/")


def _cannot_build(copy: pb.CopySpec, why: str) -> CannotPrepareError:
    printable = os.fsencode(why).decode(errors="replace")
    return CannotPrepareError(f"build tar for {copy.source}: {printable}")


class _UnfitError(Exception):
    """A file of the source cannot be copied."""


@dataclass(frozen=True)
class _Tree:
    source: str
    exclude_patterns: tuple[str, ...]
    excluded_path: str

    def walk(self, inner: str = "") -> Iterator[Entry]:
        with os.scandir(posixpath.join(self.source, inner)) as found:
            children = sorted(found, key=lambda child: os.fsencode(child.name))
        for child in children:
            path = posixpath.join(inner, child.name)
            if self._excludes(path, child.path):
                continue
            mode = child.stat(follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                yield self._link(path, child.path, mode)
                continue
            yield _readable(Entry(path, child.path, mode))
            if stat.S_ISDIR(mode):
                yield from self.walk(path)

    def _excludes(self, path: str, origin: str) -> bool:
        names = (path, posixpath.basename(path))
        return origin == self.excluded_path or any(
            path_match(pattern, name) for pattern in self.exclude_patterns for name in names
        )

    def _link(self, path: str, origin: str, mode: int) -> Entry:
        text = os.readlink(origin)  # noqa: PTH115 - what the text says, not where it leads
        target = posixpath.normpath(posixpath.join(posixpath.dirname(origin), text))
        if not f"{target}/".startswith(f"{self.source.rstrip('/')}/"):
            raise _UnfitError(f"copy source contains external symlink: {origin}")
        return Entry(path, origin, mode, text)


def _readable(entry: Entry) -> Entry:
    if not (stat.S_ISREG(entry.mode) or stat.S_ISDIR(entry.mode)):
        # Of the real daemon's message, only the beginning is recorded.
        raise _UnfitError(f"read {entry.origin}: neither a file, a directory nor a symlink")
    if not os.access(entry.origin, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), entry.origin)
    return entry


def put_entries(entries: Iterable[Entry], target: Path) -> None:
    """Put what a copy brings into a folder, whose own mode does not change.

    Existing folders are merged; everything else is replaced, without following symlinks.
    """
    for entry in entries:
        place = target / entry.path
        if stat.S_ISDIR(entry.mode):
            _make_folder(place, entry.mode)
            continue
        clear(place)
        if stat.S_ISLNK(entry.mode):
            place.symlink_to(entry.link)
        else:
            shutil.copy2(entry.origin, place)


def bind_read_only(source: Path, place: Path, excluded_path: Path) -> None:
    """Replace a read-only mount by a copy, so that the source cannot change.

    Symlinks are kept. Files that cannot be copied, such as sockets, become links to the source.

    Args:
        source: What is mounted.
        place: Where to put it; replaces what is there.
        excluded_path: A path to skip, because the place can be inside the source.
    """
    mode = source.lstat().st_mode
    if stat.S_ISDIR(mode):
        _make_folder(place, mode)
        for child in source.iterdir():
            if child != excluded_path:
                bind_read_only(child, place / child.name, excluded_path)
        return
    clear(place)
    if stat.S_ISREG(mode):
        shutil.copy2(source, place)
    else:
        place.symlink_to(source.readlink() if stat.S_ISLNK(mode) else source)


def _make_folder(place: Path, mode: int) -> None:
    if place.is_symlink() or not place.is_dir():
        clear(place)
        place.mkdir()
    place.chmod(stat.S_IMODE(mode) | stat.S_IRWXU)


def is_within(path: Path, folder: Path) -> bool:
    """Return whether a path is in a folder, or is the folder, after following all symlinks."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def clear(place: Path) -> None:
    """Remove what is at a place, if anything."""
    if place.is_dir() and not place.is_symlink():
        remove_tree(place)
    else:
        place.unlink(missing_ok=True)


def write_protect(place: Path) -> None:
    """Remove all write permissions from a tree, without following symlinks."""
    if place.is_symlink():
        return
    if place.is_dir():
        for child in place.iterdir():
            write_protect(child)
    place.chmod(stat.S_IMODE(place.stat().st_mode) & ~0o222)
