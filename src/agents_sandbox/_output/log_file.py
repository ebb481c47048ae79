"""One log file, which a hostile command may have replaced by anything."""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO
from typing import TYPE_CHECKING, NoReturn

from .._shared.shown import shown
from ..errors import OutputUnavailableError

if TYPE_CHECKING:
    from typing_extensions import Self

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, the open of a FIFO would wait for a writer.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_PIECE_BYTES = 1 << 20
"""How much to read at once."""


class LogFile:
    """A log file that was opened: no link was followed, and it is a regular file.

    It stays the same file, whatever a command puts in its place later. Close it, or use it as a
    context manager.

    Args:
        path: Its path on this host, `<root>/<sandbox_id>/<exec_id>.stdout.log` or `.stderr.log`;
            None: the daemon has no log root.

    Raises:
        OutputUnavailableError: It cannot be read; `problem` says why.
    """

    # It closes itself: an interruption can come at any line, also in `close`.
    _file: FileIO | None = None

    def __init__(self, path: str | None) -> None:
        if path is None:
            raise OutputUnavailableError(
                message="the daemon keeps no logs: it has no log root configured",
                problem="no_log_root",
            )
        self._path = path
        folder_path, name = os.path.split(path)
        folder = self._opened(folder_path, _FOLDER_FLAGS, None)
        try:
            self._file = FileIO(
                name, opener=lambda name, _: self._opened(name, _FILE_FLAGS, folder)
            )
            regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        except IsADirectoryError:
            regular = False
        finally:
            os.close(folder)
        if not regular:
            self.close()
            self._refuse("unsafe", "is not a regular file: a command in the sandbox replaced it")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close it. Safe to repeat."""
        if self._file is not None:
            self._file.close()

    def size(self) -> int:
        """Return its size in bytes at this moment."""
        return os.fstat(self._descriptor()).st_size

    def read(self, offset: int, limit: int) -> bytes:
        """Read up to `limit` bytes from an offset; empty at the end of the file."""
        return os.pread(self._descriptor(), min(limit, _PIECE_BYTES), offset)

    def _descriptor(self) -> int:
        assert self._file is not None  # noqa: S101 - it was opened
        return self._file.fileno()

    def _opened(self, path: str, flags: int, folder: int | None) -> int:
        try:
            return os.open(path, flags, dir_fd=folder)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO) or (
                error.errno == errno.ENOTDIR and os.path.lexists(path)
            ):
                self._refuse("unsafe", "has a link or a special file in its place")
            if isinstance(error, PermissionError):
                self._refuse("permission", "cannot be read by this user")
            if isinstance(error, (FileNotFoundError, NotADirectoryError)):
                if folder is None:
                    self._refuse("other_host", "is not on this host: the daemon runs elsewhere")
                self._refuse("missing", "does not exist")
            self._refuse("unreadable", f"cannot be read: {os.strerror(error.errno or 0)}")

    def _refuse(self, problem: str, fact: str) -> NoReturn:
        raise OutputUnavailableError(
            message=f"the log file {shown(self._path, 300)} {fact}", problem=problem
        ) from None


def read_end(path: str | None, limit: int) -> tuple[bytes, bool]:
    """Read the last `limit` bytes of a log file.

    Returns:
        The bytes, and whether there was more before them.

    Raises:
        OutputUnavailableError: It cannot be read.
    """
    with LogFile(path) as log:
        end = log.size()
        position = begin = max(0, end - limit)
        pieces = []
        while position < end and (piece := log.read(position, end - position)):
            pieces.append(piece)
            position += len(piece)
        return b"".join(pieces), begin > 0
