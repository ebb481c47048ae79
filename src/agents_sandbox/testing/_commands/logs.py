"""The log files of an exec.

A command may put a symlink in place of its sandbox's log folder or of a log. No link is followed
there: what it points to must not change.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from .._host.folders import make_folders, opened_folder

# Of a FIFO, the open must not block.
_FLAGS = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def log_folder(root: Path, sandbox_id: str) -> Path:
    """The folder of the logs of all execs of a sandbox."""
    return root / sandbox_id


def log_paths(root: Path, sandbox_id: str, exec_id: str) -> tuple[Path, Path]:
    """The paths of the stdout and stderr logs of an exec, in this order."""
    folder = log_folder(root, sandbox_id)
    return folder / f"{exec_id}.stdout.log", folder / f"{exec_id}.stderr.log"


def make_log_folder(folder: Path) -> None:
    """Create the folder of a sandbox's logs, private to the user, if it does not exist.

    Raises:
        OSError: It cannot be created, or something else is in its place.
    """
    make_folders(folder)
    with opened_folder(folder):
        pass


def open_log(path: Path | None) -> BinaryIO:
    """Create a log file and open it for writing; None discards. Its folder is private."""
    if path is None:
        return Path(os.devnull).open("wb")
    return _open(path, os.O_CREAT | os.O_TRUNC)


def append_to_log(path: Path | None, data: bytes) -> None:
    """Append to an existing log file; readers see the data immediately."""
    if path is not None:
        with _open(path, os.O_APPEND) as log:
            log.write(data)


def remove_log(path: Path | None) -> None:
    """Remove a log file.

    Raises:
        OSError: There is none.
    """
    if path is not None:
        with opened_folder(path.parent) as folder:
            os.unlink(path.name, dir_fd=folder)


def read_log(path: Path | None, limit: int) -> tuple[bytes, int]:
    """Read the first `limit` bytes of a log file, and its size.

    Both are empty if there is none, or if a command has put something else in its place.
    """
    if path is None:
        return b"", 0
    with suppress(OSError), opened_folder(path.parent) as folder:
        # Of a FIFO, neither the open nor anything else may block.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path.name, flags, dir_fd=folder)
        try:
            found = os.fstat(descriptor)
            if stat.S_ISREG(found.st_mode):
                return os.read(descriptor, limit), found.st_size
        finally:
            os.close(descriptor)
    return b"", 0


def _open(path: Path, flags: int) -> BinaryIO:
    with opened_folder(path.parent) as folder:
        opened = os.open(path.name, _FLAGS | flags, 0o644, dir_fd=folder)
    log = os.fdopen(opened, "wb")
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        log.close()
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    os.set_blocking(opened, True)
    return log
