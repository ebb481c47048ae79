"""The socket file: created, removed, left stale, reused, muted; and its connections."""

from __future__ import annotations

import errno
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox.testing._server.socket_file import SocketFile


@pytest.fixture
def path() -> Iterator[Path]:
    # The folders of pytest's own `tmp_path` can be too long for a socket.
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder, "agboxd.sock")


class Server:
    """Listens on an address, as gRPC does, until it is ended."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)

    def bind(self, address: str) -> None:
        self._socket.bind(address.removeprefix("unix:"))
        self._socket.listen()

    def greet(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            connection.send(b"hello")

    @contextmanager
    def connected(self, path: Path) -> Iterator[tuple[socket.socket, socket.socket]]:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(10)
            peer.connect(str(path))
            connection, _ = self._socket.accept()
            with connection:
                yield peer, connection

    def end(self) -> None:
        self._socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.end()


def connect(path: Path) -> int:
    """Try to connect; return the error number, 0 for success."""
    with socket.socket(socket.AF_UNIX) as peer:
        return peer.connect_ex(str(path))


def greeting(path: Path, server: Server) -> bytes:
    """Connect, and return the server's greeting."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(path))
        server.greet()
        return peer.recv(5)


def test_closed_path_is_empty(path: Path, server: Server) -> None:
    file = SocketFile(path)
    file.close()
    file.listen(server.bind)
    assert greeting(path, server) == b"hello"
    file.close()
    assert list(path.parent.iterdir()) == []
    file.close()


def test_path_can_be_reused(path: Path) -> None:
    file = SocketFile(path)
    for leave_stale in (False, True, False):
        server = Server()
        file.listen(server.bind)
        assert greeting(path, server) == b"hello"
        file.close(leave_stale=leave_stale)
        server.end()
        assert path.exists() is leave_stale


def test_stale_socket_refuses_and_is_removed_by_close(path: Path, server: Server) -> None:
    file = SocketFile(path)
    file.listen(server.bind)
    for _ in range(2):
        file.close(leave_stale=True)
    server.end()
    assert connect(path) == errno.ECONNREFUSED
    file.close()
    assert list(path.parent.iterdir()) == []


def test_close_without_a_socket_does_nothing(path: Path) -> None:
    file = SocketFile(path)
    file.close(leave_stale=True)
    file.close()
    assert list(path.parent.iterdir()) == []


def test_only_the_servers_own_file_is_renewed(path: Path, server: Server) -> None:
    file = SocketFile(path)
    path.touch()
    before = path.stat()
    file.renew()
    assert path.stat() == before
    path.unlink()
    file.listen(server.bind)
    before = path.stat()
    file.renew()
    assert path.stat().st_mtime_ns > before.st_mtime_ns
    file.close()


def test_stale_socket_of_another_daemon_is_replaced(path: Path, server: Server) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    file = SocketFile(path)
    file.listen(server.bind)
    assert greeting(path, server) == b"hello"
    file.close()


def test_successor_is_left_alone(path: Path, server: Server) -> None:
    file, successor = SocketFile(path), SocketFile(path)
    first = Server()
    file.listen(first.bind)
    file.close(leave_stale=True)
    first.end()
    successor.listen(server.bind)
    file.close()
    assert greeting(path, server) == b"hello"
    successor.close()


def test_successor_is_left_alone_even_with_the_inode_of_the_stale_socket(
    path: Path, server: Server
) -> None:
    file = SocketFile(path)
    first = Server()
    file.listen(first.bind)
    file.close(leave_stale=True)
    first.end()
    server.bind(str(path.with_name("other")))
    file._stale = path.with_name("other").lstat()
    path.with_name("other").replace(path)
    file.close()
    assert connect(path) == 0


@pytest.mark.parametrize("stale", [False, True])
def test_only_one_of_two_daemons_that_start_at_once_gets_the_path(
    path: Path, elsewhere: ThreadPoolExecutor, stale: bool
) -> None:
    if stale:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
    looked = threading.Barrier(2, timeout=10)
    servers = [Server(), Server()]

    def start(server: Server) -> str:
        def bind(address: str) -> None:
            looked.wait()  # both have seen that the path is free
            server.bind(address)

        try:
            SocketFile(path).listen(bind)
        except OSError as error:
            assert error.errno == errno.EADDRINUSE  # noqa: PT017 - only one of them fails
            return "in use"
        return "listening"

    assert sorted(elsewhere.map(start, servers)) == ["in use", "listening"]
    assert connect(path) == 0
    assert list(path.parent.iterdir()) == [path]
    for server in servers:
        server.end()


def test_foreign_file_that_appears_during_the_start_is_left_alone(
    path: Path, server: Server
) -> None:
    def bind(address: str) -> None:
        server.bind(address)
        path.write_text("data")

    with pytest.raises(FileExistsError, match="exists and is not a socket"):
        SocketFile(path).listen(bind)
    assert path.read_text() == "data"


def test_sockets_may_be_forbidden_except_unix_ones(
    path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    class UnixSocket(socket.socket):
        """The same as pytest-socket makes of `socket.socket`."""

        def __init__(self, family: int = -1, *args: Any, **kwargs: Any) -> None:
            assert family == socket.AF_UNIX
            super().__init__(family, *args, **kwargs)

    with socket.socket(socket.AF_INET) as other:  # it is looked at, too
        other.bind(("127.0.0.1", 0))
        monkeypatch.setattr(socket, "socket", UnixSocket)
        file = SocketFile(path)
        file.listen(server.bind)
        with server.connected(path) as (peer, _):
            file.disconnect()
            assert peer.recv(1) == b""
        assert connect(path) == errno.ECONNREFUSED
        file.close()


def test_connections_that_the_server_has_not_accepted_are_broken(
    path: Path, server: Server
) -> None:
    file = SocketFile(path)
    file.listen(server.bind)
    with ExitStack() as stack:
        peers = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3)]
        for peer in peers:
            peer.settimeout(10)
            peer.connect(str(path))
        file.disconnect()
        assert [peer.recv(1) for peer in peers] == [b""] * 3
    file.close()


def test_file_that_is_gone_already(path: Path, server: Server) -> None:
    file = SocketFile(path)
    file.listen(server.bind)
    path.unlink()
    file.close()
    assert list(path.parent.iterdir()) == []


def test_mute_accepts_connections_and_never_answers(path: Path, server: Server) -> None:
    file = SocketFile(path)
    file.listen(server.bind)
    file.mute()
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        file.unmute()
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
    assert greeting(path, server) == b"hello"
    assert list(path.parent.iterdir()) == [path]
    file.unmute()
    file.close()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("leave_stale", [False, True])
def test_mute_ends_with_the_server(path: Path, server: Server, leave_stale: bool) -> None:
    file = SocketFile(path)
    file.listen(server.bind)
    file.mute()
    file.close(leave_stale=leave_stale)
    server.end()
    file.unmute()
    assert list(path.parent.iterdir()) == [path] * leave_stale
    assert connect(path) == (errno.ECONNREFUSED if leave_stale else errno.ENOENT)
    file.close()


def test_mute_needs_a_server(path: Path, server: Server) -> None:
    file = SocketFile(path)
    with pytest.raises(RuntimeError, match=f"the fake daemon is not listening on {path}"):
        file.mute()
    file.listen(server.bind)
    path.unlink()
    with pytest.raises(RuntimeError, match="is not listening"):
        file.mute()
    file.close()
    with pytest.raises(RuntimeError, match="is not listening"):
        file.mute()


def test_unmute_leaves_a_successor_alone(path: Path) -> None:
    file, successor = SocketFile(path), SocketFile(path)
    first, second = Server(), Server()
    file.listen(first.bind)
    file.mute()
    path.unlink()
    successor.listen(second.bind)
    file.unmute()
    assert greeting(path, second) == b"hello"
    file.close()
    assert greeting(path, second) == b"hello"
    successor.close()
    for server in (first, second):
        server.end()
    assert list(path.parent.iterdir()) == []


GOAWAY = bytes.fromhex("0000080700000000007fffffff00000000")


def test_goaway_follows_earlier_data(path: Path, server: Server) -> None:
    file = SocketFile(path)
    file.listen(server.bind)
    with server.connected(path) as (peer, connection):
        connection.send(b"hello")
        file.send_goaway()
        connection.send(b"bye")
        connection.close()
        assert received(peer) == b"hello" + GOAWAY + b"bye"
    assert greeting(path, server) == b"hello"
    file.close()


def test_goaway_does_not_split_a_frame(path: Path, server: Server) -> None:
    file = SocketFile(path)
    file.listen(server.bind)
    with server.connected(path) as (peer, connection):
        connection.setblocking(False)
        sent = 0
        with suppress(BlockingIOError):
            while True:
                sent += connection.send(bytes(1000))
        # Now there is room for a GOAWAY, but not for the rest of a large answer.
        sent -= len(peer.recv(1000))
        file.send_goaway()
        connection.close()
        assert received(peer) == bytes(sent)
    file.close()


def received(peer: socket.socket) -> bytes:
    """Read all data of a connection whose other end is closed."""
    return b"".join(iter(lambda: peer.recv(65536), b""))
