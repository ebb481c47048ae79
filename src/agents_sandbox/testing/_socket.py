"""The daemon's socket file: where it may be, and what may be in its way."""

from __future__ import annotations

import errno
import os
import socket
import stat
import tempfile
from pathlib import Path
from urllib.parse import quote

MAX_PATH_BYTES = 107
"""What fits `sockaddr_un` on Linux; longer paths fail obscurely in gRPC."""


def private_folder() -> Path:
    """Make a new folder that only this user can enter, with a short path."""
    roomy = len(os.fsencode(tempfile.gettempdir())) <= MAX_PATH_BYTES // 2
    return Path(tempfile.mkdtemp(prefix="agboxd-", dir=None if roomy else "/tmp"))  # noqa: S108 - made private


def checked_path(path: str | os.PathLike[str]) -> Path:
    """Make the path absolute.

    Raises:
        ValueError: It is too long for a socket.
    """
    absolute = Path(path).absolute()
    size = len(os.fsencode(absolute))
    if size > MAX_PATH_BYTES:
        raise ValueError(
            f"socket path is {size} bytes long, the limit is {MAX_PATH_BYTES}: {absolute}"
        )
    return absolute


class SocketFile:
    """Owns the place where the server listens, from before it does until after."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def address(self) -> str:
        """The address for gRPC, which percent-decodes it."""
        return f"unix:{quote(os.fsencode(self.path))}"

    def clear(self) -> None:
        """Remove a stale socket, and make the folder if it is missing.

        Raises:
            FileExistsError: Something that is no socket is in the way; it is left alone.
            OSError: A live daemon is listening there (`EADDRINUSE`).
        """
        self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise FileExistsError(errno.EEXIST, "exists and is not a socket", str(self.path))
        if self._is_live():
            raise OSError(errno.EADDRINUSE, "a daemon is listening already", str(self.path))
        self.path.unlink()

    def _is_live(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            # Anything but a refusal, even "try again", means that somebody is there.
            return probe.connect_ex(str(self.path)) != errno.ECONNREFUSED

    def protect(self) -> None:
        """Close the bound socket to other users."""
        self.path.chmod(0o600)

    def remove(self) -> None:
        """Remove the socket, unless something else has taken its place."""
        if self.path.is_socket():
            self.path.unlink()
