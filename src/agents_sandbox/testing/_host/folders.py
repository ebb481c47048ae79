"""Create and remove folders that are private to the user."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def make_folders(path: Path) -> None:
    """Create a folder and its missing parents; existing ones do not change."""
    if not path.parent.exists():
        # Not `parents=True`: it applies the mode to the last folder only.
        make_folders(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def opened_folder(path: Path) -> Iterator[int]:
    """Open a folder, to reach its files through it; a symlink in its place is not followed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Remove a folder with all contents, even write-protected ones; symlinks are not followed."""
    _make_writable(path)
    shutil.rmtree(path, ignore_errors=True)


def _make_writable(folder: str | os.PathLike[str]) -> None:
    with suppress(OSError):  # removed, or of another user
        os.chmod(folder, 0o700)  # noqa: PTH101 - takes what scandir() returns
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    _make_writable(entry)
