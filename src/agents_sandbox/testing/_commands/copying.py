"""Trees of files, copied so that neither what is copied nor what links lead to is touched."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from .._host.folders import remove_tree
from .command import CannotPrepareError

_LayOther = Callable[[Path, Path], None]


def bind_read_only(source: Path, place: Path, leave_out: Path) -> None:
    """Stand in for a read-only mount: a copy, so that nothing can happen to the source.

    Symlinks stay as they are. What cannot be copied, such as a socket, is linked to.

    Args:
        source: What is mounted.
        place: Where it is to be; what is there is replaced.
        leave_out: What is not copied: the place may lie in the source.
    """

    def lay_other(original: Path, copied: Path) -> None:
        link = original.is_symlink()
        copied.symlink_to(original.readlink() if link else original)

    _copy(source, place, lambda path: path == leave_out, lay_other)


def copy_into(source: Path, place: Path, exclude_patterns: Sequence[str], leave_out: Path) -> None:
    """Copy a file, or add what is in a folder to another one.

    Args:
        source: What is copied.
        place: Where it is to be.
        exclude_patterns: What is left out, in shell syntax: names at any depth, or paths
            below the source.
        leave_out: What is not copied: the place may lie in the source.

    Raises:
        CannotPrepareError: The source has a symlink that leads out of it, or a socket, a
            pipe or a device.
    """

    def excluded(path: Path) -> bool:
        names = (path.name, str(path.relative_to(source)))
        return path == leave_out or any(
            fnmatchcase(name, pattern) for name in names for pattern in exclude_patterns
        )

    def lay_other(original: Path, copied: Path) -> None:
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

    _copy(source, place, excluded, lay_other)


def is_within(path: Path, folder: Path) -> bool:
    """Whether a path, all symlinks followed, is that of a folder or of something in it."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _copy(
    source: Path, place: Path, leave_out: Callable[[Path], bool], lay_other: _LayOther
) -> None:
    mode = source.lstat().st_mode
    if not stat.S_ISDIR(mode):
        clear(place)
        if stat.S_ISREG(mode):
            shutil.copy2(source, place)
        else:
            lay_other(source, place)
        return
    if place.is_symlink() or not place.is_dir():
        clear(place)
        place.mkdir()
    place.chmod(stat.S_IMODE(mode) | stat.S_IRWXU)
    for child in source.iterdir():
        if not leave_out(child):
            _copy(child, place / child.name, leave_out, lay_other)


def clear(place: Path) -> None:
    """Remove whatever is at a place, be it nothing."""
    if place.is_dir() and not place.is_symlink():
        remove_tree(place)
    else:
        place.unlink(missing_ok=True)


def write_protect(place: Path) -> None:
    """Take the write permission from everybody, for all that is not behind a symlink."""
    if place.is_symlink():
        return
    if place.is_dir():
        for child in place.iterdir():
            write_protect(child)
    place.chmod(stat.S_IMODE(place.stat().st_mode) & ~0o222)
