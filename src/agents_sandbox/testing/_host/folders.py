"""Folders that only this user can enter, and their end."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path


def make_folders(path: Path) -> None:
    """Make a folder and all that are missing above it; those that exist stay as they are."""
    if not path.parent.exists():
        # Not `parents=True`: its mode is that of the last folder alone.
        make_folders(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it, write-protected or not; symlinks are never followed."""
    _make_writable(path)
    shutil.rmtree(path, ignore_errors=True)


def _make_writable(folder: str | os.PathLike[str]) -> None:
    with suppress(OSError):  # gone, or not ours
        os.chmod(folder, 0o700)  # noqa: PTH101 - of what scandir() gives
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    _make_writable(entry)
