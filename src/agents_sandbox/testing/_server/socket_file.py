"""The daemon's socket file: its path, its connections, and other files at that path."""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from ..._connection.address import MAX_PATH_BYTES
from ..._shared.shown import shown
from ..._shared.socket_path import plain_path
from .._checks import check_type
from .._host.folders import make_folders
from .._host.locks import is_at, locked

# The socket is bound in a folder beside its path: `.`, 8 letters, `/s`.
_STAGING_PREFIX = "."
_MAX_FOLDER_BYTES = MAX_PATH_BYTES - len("/.abcdefgh/s")
# The HTTP/2 frame (RFC 9113, section 6.8) that ends no stream and forbids new ones.
_GOAWAY = bytes.fromhex("000008 07 00 00000000 7fffffff 00000000")
# Python ignores SIGPIPE, but programs may not. Where this flag is missing, as on macOS, gRPC has
# set SO_NOSIGPIPE on its connections.
_SEND_FLAGS = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)


def checked_path(path: str | os.PathLike[str]) -> Path:
    """Check a socket's path, written in any form that the client accepts, and make it absolute.

    Raises:
        TypeError: It is not text.
        ValueError: It is empty, names no file, or is too long for a socket.
    """
    written = os.fspath(path)
    check_type("socket path", written, str, "a path of text")
    if not written:
        raise ValueError("socket path must not be empty")
    try:
        plain = plain_path(written)
    except ValueError as error:
        raise ValueError(f"socket path {error}") from None
    absolute = Path(os.path.abspath(plain))  # noqa: PTH100 - as the client does
    size = len(os.fsencode(absolute))
    if size > MAX_PATH_BYTES:
        raise ValueError(
            f"socket path is {size} bytes long, the limit is {MAX_PATH_BYTES}: "
            f"{shown(str(absolute))}"
        )
    size = len(os.fsencode(absolute.parent))
    if size > _MAX_FOLDER_BYTES:
        raise ValueError(
            f"folder of the socket path is {size} bytes long, the limit is "
            f"{_MAX_FOLDER_BYTES}: {shown(str(absolute.parent))}"
        )
    return absolute


class SocketFile:
    """Owns the path that the server listens on; the server can listen there repeatedly."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # While the server listens, no other file can have its socket's inode number.
        self._ours: os.stat_result | None = None
        self._stale: os.stat_result | None = None
        self._bound: str | None = None
        # While a daemon holds it, no other one replaces or removes what is at the path.
        self._lock = path.with_name(f".{path.name}.lock")
        self._muted = ExitStack()

    def listen(self, bind: Callable[[str], object]) -> None:
        """Put the server's socket at the path, for this user only.

        Args:
            bind: Makes the server listen on an address in gRPC's syntax.

        Raises:
            FileExistsError: The path exists and is not a socket; the file is left alone.
            OSError: Another daemon is listening there (`EADDRINUSE`), or the path cannot be
                used.
        """
        make_folders(self.path.parent)
        self._check_free()
        # At its end, gRPC removes any socket at the path that it was bound to, even that of
        # another daemon. In a private folder that no longer exists then, this does no harm.
        with _staging_folder(self.path) as staging:
            bound = Path(staging, "s")
            bind(grpc_address(bound))
            self._bound = str(bound)
            self._ours = self._publish(bound)

    def _publish(self, bound: Path) -> os.stat_result:
        bound.chmod(0o600)
        with locked(self._lock):
            # Once more: another daemon may have started there since the first look.
            self._check_free()
            self.path.unlink(missing_ok=True)  # a stale socket
            # Unlike a rename, this fails if a program that ignores the lock was faster.
            self.path.hardlink_to(bound)
            return bound.lstat()

    def close(self, *, leave_stale: bool = False) -> None:
        """Remove the server's socket file; this does not stop the server.

        A repeated call without `leave_stale` removes a file that an earlier call left.

        Args:
            leave_stale: Whether to leave the file behind, as a killed process does. It
                refuses connections once the server has ended.
        """
        self.unmute()
        if leave_stale:
            self._stale, self._ours = self._ours or self._stale, None
            return
        if self._ours or self._stale:
            with suppress(FileNotFoundError), locked(self._lock):
                self._remove()
        self._ours = self._stale = None

    def _remove(self) -> None:
        if self._ours and is_at(self.path, self._ours):
            self.path.unlink()
        if self._stale and is_at(self.path, self._stale) and not self._is_live():
            self.path.unlink()

    def renew(self) -> None:
        """Make the file look like the one of a daemon that has just started."""
        if self._ours and is_at(self.path, self._ours):
            now = time.time_ns()
            os.utime(self.path, ns=(now, now))

    def send_goaway(self) -> None:
        """Make all clients reconnect for new calls; their event streams continue.

        gRPC's server sends GOAWAY only when it stops, and then it cancels calls that arrive
        before a client has read it. No unary call may be in progress: the rest of a large
        answer may still have to be written, and GOAWAY would end up in the middle of it.
        """
        self._for_each_socket(_send_goaway)

    def disconnect(self) -> None:
        """Break all connections and accept no new ones, as the end of a process does.

        The stop of gRPC's server cancels calls that it has not begun to serve, which the end
        of a process does not do.
        """
        # Twice: the first round ends the listening, but misses connections accepted during it.
        for _ in range(2):
            self._for_each_socket(_disconnect)

    def _for_each_socket(self, act: Callable[[socket.socket], object]) -> None:
        for ours in _sockets():
            # The sockets of clients in this process have no name.
            with ours, suppress(OSError):
                if ours.getsockname() == self._bound:
                    act(ours)

    def mute(self) -> None:
        """Put a socket at the path that accepts connections and never answers.

        Existing connections are not affected.

        Raises:
            RuntimeError: The server does not listen there.
        """
        if not (self._ours and is_at(self.path, self._ours)):
            raise RuntimeError(f"the fake daemon is not listening on {self.path}")
        self._muted.enter_context(_mute_socket(self.path))

    def unmute(self) -> None:
        """Put the server's socket back and reset the connections that `mute()` accepted."""
        self._muted.close()

    def _check_free(self) -> None:
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise FileExistsError(errno.EEXIST, "exists and is not a socket", str(self.path))
        if self._is_live():
            raise OSError(errno.EADDRINUSE, "a daemon is already listening", str(self.path))

    def _is_live(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            # Anything but a refusal, even "try again", means that a process listens.
            return probe.connect_ex(str(self.path)) != errno.ECONNREFUSED


def _sockets() -> Iterator[socket.socket]:
    """Yield all sockets of this process, each with a new descriptor and as if it were a Unix one.

    pytest-socket can forbid all others, and the address of a socket does not depend on it.
    """
    for descriptor in [int(item.name) for item in Path("/dev/fd").iterdir()]:
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                yield socket.socket(socket.AF_UNIX, fileno=os.dup(descriptor))
        except OSError:
            continue  # closed since the listing, as the folder's own descriptor is


def _disconnect(ours: socket.socket) -> None:
    is_listener = ours.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    ours.shutdown(socket.SHUT_RDWR)
    if is_listener:
        # The kernel has accepted connections that the server still could.
        ours.setblocking(False)
        while True:  # until there is none, which raises an error
            ours.accept()[0].close()


def _send_goaway(connection: socket.socket) -> None:
    poller = select.poll()
    poller.register(connection, select.POLLOUT)
    # A full buffer may end in half a frame of gRPC's, so nothing may be added. That client gets
    # refused calls instead.
    if poller.poll(0):
        connection.send(_GOAWAY, _SEND_FLAGS)


@contextmanager
def _mute_socket(path: Path) -> Iterator[None]:
    with _staging_folder(path) as staging, socket.socket(socket.AF_UNIX) as listener:
        kept = Path(staging, "k")
        kept.hardlink_to(path)
        bound = Path(staging, "s")
        listener.bind(str(bound))
        # The kernel accepts connections up to the backlog; nothing else does.
        listener.listen(socket.SOMAXCONN)
        bound.chmod(0o600)
        ours = bound.lstat()
        bound.replace(path)
        try:
            yield
        finally:
            if is_at(path, ours):
                kept.replace(path)


def _staging_folder(path: Path) -> tempfile.TemporaryDirectory[str]:
    # A new socket has the mode of the umask: it must be private before others can see it.
    return tempfile.TemporaryDirectory(prefix=_STAGING_PREFIX, dir=path.parent)


def grpc_address(path: Path) -> str:
    """Return the address of a socket in gRPC's syntax."""
    # gRPC percent-decodes it. Not `unix://`: with it, the longest path of a server is two bytes
    # shorter.
    return f"unix:{quote(os.fsencode(path))}"
