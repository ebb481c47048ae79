"""Folders that are private to the user."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
