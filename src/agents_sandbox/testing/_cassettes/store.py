"""Cassettes on disk."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..._shared.shown import shown
from .cassette import Cassette, merged
from .codec import decode, encode, file_names


def load(path: Path) -> Cassette:
    """Read a cassette.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no cassette, or a file beside it cannot be read.
    """

    def read_beside(name: str) -> bytes:
        try:
            return _read(path.with_name(name), os.O_NOFOLLOW)
        except OSError as error:
            raise ValueError(f"its file {shown(name, 300)}: {error.strerror}") from None

    try:
        return decode(_read(path).decode(), read_beside)
    except ValueError as error:
        raise ValueError(f"cassette {shown(str(path), 300)}: {error}") from None


def _read(path: Path, flags: int = 0) -> bytes:
    # Whoever wrote the file may have put a FIFO or a device there, whose open must not wait.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{shown(path.name, 300)} is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def check_can_save(path: Path) -> None:
    """Check what is known before a recording; nothing is made.

    Raises:
        OSError: A cassette cannot be written there.
    """
    if path.is_dir():
        raise IsADirectoryError(f"the cassette must be a file, not a folder: {path}")
    folder = next(folder for folder in path.parents if folder.exists())
    if not folder.is_dir():
        raise NotADirectoryError(f"the cassette cannot be written, this is no folder: {folder}")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(f"the cassette cannot be written, this folder is closed: {folder}")


def save(path: Path, cassette: Cassette, *, keep: bool = False) -> None:
    """Write a cassette, in place of the one that is there.

    Args:
        path: Its path; missing folders are created.
        cassette: The cassette.
        keep: Whether the takes of the one that is there stay.

    Raises:
        OSError: It cannot be written.
        ValueError: The one that is there cannot be read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent):
        if keep and path.exists():
            cassette = merged(load(path), cassette)
        encoded = encode(cassette, path.name)
        outdated = _files_beside(path) - encoded.files.keys()
        # The cassette last: an interruption leaves the old one or the new one, with its files.
        for name, data in encoded.files.items():
            _write(path.with_name(name), data)
        _write(path, encoded.text.encode())
        for name in outdated:
            path.with_name(name).unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process or thread at a time write cassettes of a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # where there are no locks, one that ends at once may be lost
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, data: bytes) -> None:
    """Write a file in one step, in place of whatever is there."""
    new = path.with_name(f".{secrets.token_hex(8)}.new")
    try:
        with new.open("xb") as file:
            file.write(data)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _files_beside(path: Path) -> set[str]:
    try:
        names = set(file_names(json.loads(_read(path))))
    except (OSError, ValueError, RecursionError):  # none, or something else that is replaced
        return set()
    # Only those that `save` has made.
    return {name for name in names if name.startswith(f"{path.name}.sandbox-") and "/" not in name}
