"""One log file, which a hostile command may have replaced by anything."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Generator
from typing import TYPE_CHECKING, NoReturn

from .._shared.shown import shown
from ..errors import OutputUnavailableError

if TYPE_CHECKING:
    from typing_extensions import Self

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, the open of a FIFO would wait for a writer.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_PIECE_BYTES = 1 << 20
"""How much to read at once: from memory that takes well under a millisecond."""


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
    _file: io.FileIO | None = None

    def __init__(self, path: str | None) -> None:
        if path is None:
            raise no_log_root()
        self._path = path
        if "\0" in path or not path.startswith("/"):
            self._refuse("unreadable", "has no absolute path")
        folder_path, name = os.path.split(path)
        folder = -1
        try:
            folder = self._open(folder_path, _FOLDER_FLAGS, None)
            # Looked at first: the open of a FIFO or a device can have effects.
            self._require_regular(self._look(name, folder))
            self._file = io.FileIO(
                name, opener=lambda name, _: self._open(name, _FILE_FLAGS, folder)
            )
            self._require_regular(os.fstat(self._file.fileno()))
        except IsADirectoryError as error:
            self._refuse_for(error)
        except BaseException:
            self.close()
            raise
        finally:
            if folder >= 0:
                os.close(folder)

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
        """Return its size in bytes at this moment.

        Raises:
            OutputUnavailableError: It cannot be read any more.
        """
        try:
            return os.fstat(self._descriptor()).st_size
        except OSError as error:
            self._refuse_for(error)

    def read(self, offset: int, limit: int) -> bytes:
        """Read up to `limit` bytes from an offset; empty at the end of the file.

        Raises:
            OutputUnavailableError: It cannot be read any more.
        """
        try:
            return os.pread(self._descriptor(), min(limit, _PIECE_BYTES), offset)
        except OSError as error:
            self._refuse_for(error)

    def _descriptor(self) -> int:
        assert self._file is not None  # noqa: S101 - it was opened
        return self._file.fileno()

    def _open(self, path: str, flags: int, folder: int | None) -> int:
        try:
            return os.open(path, flags, dir_fd=folder)
        except OSError as error:
            if folder is None:
                self._refuse_folder(path, error)
            self._refuse_for(error)

    def _look(self, name: str, folder: int) -> os.stat_result:
        try:
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            self._refuse_for(error)

    def _require_regular(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            self._refuse("unsafe", "is not a regular file: a command in the sandbox replaced it")

    # Only the folder of the sandbox is in its reach; those above it are the daemon's.
    def _refuse_folder(self, path: str, error: OSError) -> None:
        if os.path.islink(path):  # noqa: PTH114 - Path's raises
            self._refuse("unsafe", "is in a folder that was replaced by a link")
        absent = isinstance(error, (FileNotFoundError, NotADirectoryError))
        if absent and not os.path.isdir(os.path.dirname(path)):  # noqa: PTH112, PTH120 - the same
            self._refuse("other_host", "is not on this host: the daemon's log root is elsewhere")

    def _refuse_for(self, error: OSError) -> NoReturn:
        if error.errno in (errno.EISDIR, errno.ELOOP, errno.ENXIO):  # put there since the look
            self._refuse("unsafe", "is not a regular file: a command in the sandbox replaced it")
        if isinstance(error, PermissionError):
            self._refuse("permission", "cannot be read by this user")
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            self._refuse("missing", "does not exist: no process was started, or it was removed")
        self._refuse("unreadable", f"cannot be read: {os.strerror(error.errno or 0)}")

    def _refuse(self, problem: str, fact: str) -> NoReturn:
        raise OutputUnavailableError(
            message=f"the log file {shown(self._path, 300)} {fact}", problem=problem
        ) from None


def no_log_root() -> OutputUnavailableError:
    """Make the error of a daemon that keeps no logs."""
    return OutputUnavailableError(
        message="the daemon keeps no logs: it has no log root configured", problem="no_log_root"
    )


def read_end(path: str | None, limit: int) -> Generator[None, None, tuple[bytes, bool]]:
    """Read the last `limit` bytes of a log file; yield between pieces, so that others have a turn.

    Returns:
        The bytes, and whether some are missing: before them, or because a command truncated the
        file meanwhile.

    Raises:
        OutputUnavailableError: It cannot be read.
    """
    with LogFile(path) as log:
        end = log.size()
        position = begin = max(0, end - limit)
        # Its value is its buffer: a join of pieces would need the memory twice.
        data = io.BytesIO()
        while position < end and (piece := log.read(position, end - position)):
            data.write(piece)
            position += len(piece)
            if position < end:
                yield
        return data.getvalue(), begin > 0 or position < end
