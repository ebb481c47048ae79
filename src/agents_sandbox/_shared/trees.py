"""Removes folders of this host, also those that others have filled."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress


def remove_tree(path: str | os.PathLike[str]) -> None:
    """Remove a folder with all contents, even write-protected ones; symlinks are not followed.

    What cannot be removed, such as files in folders of another user, stays.
    """
    with suppress(RecursionError):  # folders in folders, a thousand times
        _make_writable(path)
        shutil.rmtree(path, ignore_errors=True)


def _make_writable(folder: str | os.PathLike[str]) -> None:
    with suppress(OSError):  # removed, or of another user
        os.chmod(folder, 0o700)  # noqa: PTH101 - takes what scandir() returns
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    _make_writable(entry)
