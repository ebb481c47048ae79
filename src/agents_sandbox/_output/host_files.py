"""Files of this host, as ends of downloads and uploads."""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from .._shared.helpers import TEMPORARY
from .._shared.shown import shown
from ..errors import InvalidArgumentError

if TYPE_CHECKING:
    from typing_extensions import Self


class HostFile:
    """A file to write: it has a temporary name until it is complete. Use it as a context manager.

    Args:
        path: Its path. A link is followed; an existing file is replaced and keeps its mode.

    Raises:
        OSError: It cannot be written.
    """

    # It closes itself, and its name is known first: an interruption can come at any line.
    _file: io.FileIO | None = None
    _temporary = ""

    def __init__(self, path: str) -> None:
        self._given = path
        self._path = os.path.realpath(path)
        _refuse_folder(path)
        folder = os.path.dirname(self._path)  # noqa: PTH120 - text, like all here
        name = TEMPORARY + secrets.token_hex(16)
        self._temporary = os.path.join(folder, name)  # noqa: PTH118 - text, like all here
        with self._naming_it():
            self._file = io.FileIO(self._temporary, "x")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Append to it."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor(), left) :]

    def complete(self) -> None:
        """Give it its name."""
        with suppress(FileNotFoundError):  # it is new
            mode = os.stat(self._path).st_mode  # noqa: PTH116 - text, like all here
            os.fchmod(self._descriptor(), stat.S_IMODE(mode))
        with self._naming_it():
            os.replace(self._temporary, self._path)  # noqa: PTH105 - text, like all here

    def close(self) -> None:
        """Close it, and remove it unless it is complete. Safe to repeat."""
        with suppress(OSError):  # it is complete, or was not made
            os.unlink(self._temporary)  # noqa: PTH108 - text, like all here
        if self._file is not None:
            self._file.close()

    # The caller does not know the temporary name.
    @contextmanager
    def _naming_it(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            error.filename, error.filename2 = self._given, None
            raise

    def _descriptor(self) -> int:
        assert self._file is not None  # noqa: S101 - it was opened
        return self._file.fileno()


def read_host_file(path: str, limit: int) -> bytes:
    """Read up to `limit` bytes of a file.

    Raises:
        InvalidArgumentError: It is a device, a FIFO or the like, which may have no end.
        OSError: It cannot be read.
    """
    _refuse_folder(path)
    # Without O_NONBLOCK, the open of a FIFO would wait for a writer.
    with open(path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise InvalidArgumentError(f"host_path must be a file: {shown(path, 300)} is none")
        return file.read(limit)


def _refuse_folder(path: str) -> None:
    if os.path.isdir(path):  # noqa: PTH112 - a path as text, like all here
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
