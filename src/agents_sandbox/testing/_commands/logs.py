"""The log files of an exec."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_FLAGS = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def log_folder(root: Path, sandbox_id: str) -> Path:
    """The folder of the logs of all execs of a sandbox."""
    return root / sandbox_id


def log_paths(root: Path, sandbox_id: str, exec_id: str) -> tuple[Path, Path]:
    """The paths of the stdout and stderr logs of an exec, in this order."""
    folder = log_folder(root, sandbox_id)
    return folder / f"{exec_id}.stdout.log", folder / f"{exec_id}.stderr.log"


def open_log(path: Path | None) -> BinaryIO:
    """Create a log file, private to the user, and open it for writing; None discards."""
    if path is None:
        path, flags = Path(os.devnull), _FLAGS
    else:
        flags = _FLAGS | os.O_CREAT | os.O_TRUNC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def append_to_log(path: Path | None, data: bytes) -> None:
    """Append to an existing log file; readers see the data immediately."""
    if path is not None:
        with os.fdopen(os.open(path, _FLAGS | os.O_APPEND), "wb") as log:
            log.write(data)


def remove_log(path: Path | None) -> None:
    """Remove the log file of a process that could not be started."""
    if path is not None:
        path.unlink()
