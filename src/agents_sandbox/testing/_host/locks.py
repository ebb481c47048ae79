"""Locks between processes; the kernel releases them when their process ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock for a moment, in a file that exists only that long; wait for other holders."""
    descriptor = _acquire(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        # Closing it is not enough: a child that another thread has just forked has a copy.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _acquire(file: Path) -> int:
    while True:
        descriptor = os.open(file, _FLAGS, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if is_at(file, os.fstat(descriptor)):
            return descriptor
        os.close(descriptor)  # its holder has removed it meanwhile: the lock is another file now


def is_at(path: Path, file: os.stat_result) -> bool:
    """Return whether a file is still what a path leads to."""
    try:
        return os.path.samestat(path.lstat(), file)
    except FileNotFoundError:
        return False
