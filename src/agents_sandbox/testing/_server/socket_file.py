"""The daemon's socket file: where it may be, and what may be in its way."""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from ..._address import MAX_PATH_BYTES
from .._host.folders import make_folders

# The socket is bound in a folder beside its place: `.`, 8 letters, `/s`.
_STAGING_PREFIX = "."
_MAX_FOLDER_BYTES = MAX_PATH_BYTES - len("/.abcdefgh/s")
# The HTTP/2 frame (RFC 9113, section 6.8) that ends no stream and asks for no more of them.
_GOAWAY = bytes.fromhex("000008 07 00 00000000 7fffffff 00000000")


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
    """Owns the place where the server listens; it can listen there again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # While the server listens, the number of its socket's inode is given to no other.
        self._ours: os.stat_result | None = None
        self._stale: os.stat_result | None = None
        self._bound: str | None = None
        self._muted = ExitStack()

    def listen(self, bind: Callable[[str], object]) -> None:
        """Put the server's socket in its place, for this user alone.

        Args:
            bind: Makes the server listen at an address in gRPC's syntax.

        Raises:
            FileExistsError: Something that is no socket is in the way; it is left alone.
            OSError: A live daemon is listening there (`EADDRINUSE`), or the place
                cannot be used.
        """
        make_folders(self.path.parent)
        self._check_free()
        # gRPC removes whatever socket is at the path it was bound to when it shuts down, be
        # it another daemon's. In a private folder that is gone by then this does no harm.
        with _staging_folder(self.path) as staging:
            bound = Path(staging, "s")
            bind(_grpc_address(bound))
            self._bound = str(bound)
            self._ours = _publish(bound, self.path)

    def close(self, *, leave_stale: bool = False) -> None:
        """Take the server's socket out of its place; the server itself is ended elsewhere.

        It may be called again; a file that was left is removed by a call that leaves none.

        Args:
            leave_stale: Whether to leave the file there, as a killed process does. It
                refuses connections once the server has ended.
        """
        self.unmute()
        if leave_stale:
            self._stale, self._ours = self._ours or self._stale, None
            return
        if self._ours and _is_at(self.path, self._ours):
            self.path.unlink()
        if self._stale and _is_at(self.path, self._stale) and not self._is_live():
            self.path.unlink()
        self._ours = self._stale = None

    def dismiss(self) -> None:
        """Tell all clients to reconnect for further calls; their calls in progress continue.

        gRPC's own server sends this only when it stops, and then it cancels the calls that
        arrive before a client has read it.
        """
        self._for_each_socket(_say_goaway)

    def cut(self) -> None:
        """Break all connections, and take no more, as the end of a process does.

        gRPC's own end of a server cancels the calls that it has not begun to serve, which no
        client of a dead process could tell.
        """
        # Twice: the first time ends the listening, and misses what was taken meanwhile.
        for _ in range(2):
            self._for_each_socket(lambda ours: ours.shutdown(socket.SHUT_RDWR))

    def _for_each_socket(self, act: Callable[[socket.socket], object]) -> None:
        for ours in _sockets():
            # Those of clients in this process have no name of their own.
            with ours, suppress(OSError):
                if ours.family == socket.AF_UNIX and ours.getsockname() == self._bound:
                    act(ours)

    def mute(self) -> None:
        """Put another socket in the place, which takes connections and never speaks.

        Connections that were made before are not affected.

        Raises:
            RuntimeError: The server does not listen there.
        """
        if not (self._ours and _is_at(self.path, self._ours)):
            raise RuntimeError(f"the fake daemon does not listen at {self.path}")
        self._muted.enter_context(_mute_socket(self.path))

    def unmute(self) -> None:
        """Put the server's socket back and end the connections that the other one took."""
        self._muted.close()

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


def _sockets() -> Iterator[socket.socket]:
    """All sockets of this process, each with a descriptor of its own."""
    for descriptor in [int(item.name) for item in Path("/dev/fd").iterdir()]:
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                yield socket.socket(fileno=os.dup(descriptor))
        except OSError:
            continue  # closed meanwhile, as the one of the folder itself


def _say_goaway(connection: socket.socket) -> None:
    poller = select.poll()
    poller.register(connection, select.POLLOUT)
    # A full buffer may hold half a frame of gRPC's, whose rest comes later. That client learns
    # it from refused calls.
    if poller.poll(0):
        connection.send(_GOAWAY, socket.MSG_DONTWAIT)


@contextmanager
def _mute_socket(path: Path) -> Iterator[None]:
    with _staging_folder(path) as staging, socket.socket(socket.AF_UNIX) as listener:
        kept = Path(staging, "k")
        kept.hardlink_to(path)
        bound = Path(staging, "s")
        listener.bind(str(bound))
        # The kernel takes connections as far as the backlog goes; nobody else does.
        listener.listen(socket.SOMAXCONN)
        ours = _publish(bound, path)
        try:
            yield
        finally:
            if _is_at(path, ours):
                kept.replace(path)


def _staging_folder(path: Path) -> tempfile.TemporaryDirectory[str]:
    # A new socket has the mode of the umask: it must not be seen before it is made private.
    return tempfile.TemporaryDirectory(prefix=_STAGING_PREFIX, dir=path.parent)


def _publish(bound: Path, path: Path) -> os.stat_result:
    bound.chmod(0o600)
    ours = bound.lstat()
    bound.replace(path)
    return ours


def _is_at(path: Path, ours: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.lstat(), ours)
    except FileNotFoundError:
        return False


def _grpc_address(path: Path) -> str:
    # Percent-decoded by gRPC. Not `unix://`: that takes two bytes off the longest path a
    # server can have.
    return f"unix:{quote(os.fsencode(path))}"
