"""The daemon's socket file: where it may be, and what may be in its way."""

from __future__ import annotations

import errno
import os
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from .._address import MAX_PATH_BYTES
from ._folders import make_folders

# The socket is bound in a folder beside its place: `.`, 8 letters, `/s`.
_STAGING_PREFIX = "."
_MAX_FOLDER_BYTES = MAX_PATH_BYTES - len("/.abcdefgh/s")


def private_folder() -> Path:
    """Make a new folder that only this user can enter, with a short path."""
    roomy = len(os.fsencode(tempfile.gettempdir())) <= MAX_PATH_BYTES // 2
    return Path(tempfile.mkdtemp(prefix="agboxd-", dir=None if roomy else "/tmp"))  # noqa: S108 - made private


def checked_path(path: str | os.PathLike[str]) -> Path:
    """Make the path absolute.

    Raises:
        ValueError: It is empty, or too long for a socket.
    """
    if not os.fspath(path):
        raise ValueError("socket path must not be empty")
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - as the client does
    size = len(os.fsencode(absolute))
    if size > MAX_PATH_BYTES:
        raise ValueError(
            f"socket path is {size} bytes long, the limit is {MAX_PATH_BYTES}: {absolute}"
        )
    size = len(os.fsencode(absolute.parent))
    if size > _MAX_FOLDER_BYTES:
        raise ValueError(
            f"folder of the socket path is {size} bytes long, the limit is "
            f"{_MAX_FOLDER_BYTES}: {absolute.parent}"
        )
    return absolute


class SocketFile:
    """Owns the place where the server listens, from before it does until after."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def listening(self, bind: Callable[[str], object]) -> Iterator[None]:
        """Keep the server's socket in its place, for this user alone.

        Args:
            bind: Makes the server listen at an address in gRPC's syntax.

        Raises:
            FileExistsError: Something that is no socket is in the way; it is left alone.
            OSError: A live daemon is listening there (`EADDRINUSE`), or the place
                cannot be used.
        """
        make_folders(self.path.parent)
        self._check_free()
        # A new socket has the mode of the umask, and gRPC removes whatever socket is at the
        # path it was bound to when it shuts down, be it another daemon's. In a private folder
        # that is gone by then neither does harm.
        with tempfile.TemporaryDirectory(prefix=_STAGING_PREFIX, dir=self.path.parent) as staging:
            bound = Path(staging, "s")
            bind(_grpc_address(bound))
            bound.chmod(0o600)
            ours = bound.lstat()
            bound.replace(self.path)
        try:
            yield
        finally:
            self._remove(ours)

    def _check_free(self) -> None:
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise FileExistsError(errno.EEXIST, "exists and is not a socket", str(self.path))
        if self._is_live():
            raise OSError(errno.EADDRINUSE, "a daemon is listening already", str(self.path))

    def _is_live(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            # Anything but a refusal, even "try again", means that somebody is there.
            return probe.connect_ex(str(self.path)) != errno.ECONNREFUSED

    def _remove(self, ours: os.stat_result) -> None:
        # While the server listens, the number of its socket's inode is given to no other.
        try:
            if os.path.samestat(self.path.lstat(), ours):
                self.path.unlink()
        except FileNotFoundError:
            pass


def _grpc_address(path: Path) -> str:
    # Percent-decoded by gRPC. Not `unix://`: that takes two bytes off the longest path a
    # server can have.
    return f"unix:{quote(os.fsencode(path))}"
