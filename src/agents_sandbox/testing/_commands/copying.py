"""Copies of file trees that change neither their source nor the targets of symlinks."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from .._host.folders import remove_tree
from .command import CannotPrepareError

_CopyOther = Callable[[Path, Path], None]


def bind_read_only(source: Path, place: Path, excluded_path: Path) -> None:
    """Replace a read-only mount by a copy, so that the source cannot change.

    Symlinks are kept. Files that cannot be copied, such as sockets, become links to the source.

    Args:
        source: What is mounted.
        place: Where to put it; replaces what is there.
        excluded_path: A path to skip, because the place can be inside the source.
    """

    def copy_other(original: Path, copied: Path) -> None:
        link = original.is_symlink()
        copied.symlink_to(original.readlink() if link else original)

    _copy(source, place, lambda path: path == excluded_path, copy_other)


def copy_into(
    source: Path, place: Path, exclude_patterns: Sequence[str], excluded_path: Path
) -> None:
    """Copy a file, or merge one folder into another.

    Args:
        source: What to copy.
        place: Where to put it.
        exclude_patterns: What to skip, in shell syntax: names at any depth, or paths relative
            to the source.
        excluded_path: A path to skip, because the place can be inside the source.

    Raises:
        CannotPrepareError: The source contains a symlink that points outside, or a socket, a
            pipe or a device.
    """

    def excluded(path: Path) -> bool:
        names = (path.name, str(path.relative_to(source)))
        return path == excluded_path or any(
            fnmatchcase(name, pattern) for name in names for pattern in exclude_patterns
        )

    def copy_other(original: Path, copied: Path) -> None:
        if not original.is_symlink():
            raise CannotPrepareError(
                f"copy source must hold files, directories and symlinks only: {original}"
            )
        target = original.readlink()
        if target.is_absolute() or not is_within(original, source):
            raise CannotPrepareError(
                f"copy source must not hold symlinks that point outside of it: {original}"
            )
        copied.symlink_to(target)

    _copy(source, place, excluded, copy_other)


def is_within(path: Path, folder: Path) -> bool:
    """Return whether a path is in a folder, or is the folder, after following all symlinks."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _copy(
    source: Path, place: Path, excluded: Callable[[Path], bool], copy_other: _CopyOther
) -> None:
    mode = source.lstat().st_mode
    if not stat.S_ISDIR(mode):
        clear(place)
        if stat.S_ISREG(mode):
            shutil.copy2(source, place)
        else:
            copy_other(source, place)
        return
    if place.is_symlink() or not place.is_dir():
        clear(place)
        place.mkdir()
    place.chmod(stat.S_IMODE(mode) | stat.S_IRWXU)
    for child in source.iterdir():
        if not excluded(child):
            _copy(child, place / child.name, excluded, copy_other)


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
