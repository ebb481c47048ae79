"""The place of the socket: taken, left, left stale, taken again, muted; and its connections."""

from __future__ import annotations

import errno
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agents_sandbox.testing._server.socket_file import SocketFile


@pytest.fixture
def path() -> Iterator[Path]:
    # The folders of pytest's own `tmp_path` can be too long for a socket.
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder, "agboxd.sock")


class Server:
    """Listens where it is told to, as gRPC does, until it is ended."""

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
    """Try to connect; the error number, 0 if somebody took the connection."""
    with socket.socket(socket.AF_UNIX) as peer:
        return peer.connect_ex(str(path))


def greeting(path: Path, server: Server) -> bytes:
    """What the server says to one who connects."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(path))
        server.greet()
        return peer.recv(5)


def test_closed_place_is_empty(path: Path, server: Server) -> None:
    place = SocketFile(path)
    place.close()
    place.listen(server.bind)
    assert greeting(path, server) == b"hello"
    place.close()
    assert list(path.parent.iterdir()) == []
    place.close()


def test_place_can_be_taken_again(path: Path) -> None:
    place = SocketFile(path)
    for leave_stale in (False, True, False):
        server = Server()
        place.listen(server.bind)
        assert greeting(path, server) == b"hello"
        place.close(leave_stale=leave_stale)
        server.end()
        assert path.exists() is leave_stale


def test_stale_socket_refuses_and_is_removed_in_the_end(path: Path, server: Server) -> None:
    place = SocketFile(path)
    place.listen(server.bind)
    for _ in range(2):
        place.close(leave_stale=True)
    server.end()
    assert connect(path) == errno.ECONNREFUSED
    place.close()
    assert list(path.parent.iterdir()) == []


def test_nothing_is_stale_that_never_was_there(path: Path) -> None:
    place = SocketFile(path)
    place.close(leave_stale=True)
    place.close()
    assert list(path.parent.iterdir()) == []


def test_stale_socket_of_another_is_replaced(path: Path, server: Server) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    place = SocketFile(path)
    place.listen(server.bind)
    assert greeting(path, server) == b"hello"
    place.close()


def test_successor_is_left_alone(path: Path, server: Server) -> None:
    place, successor = SocketFile(path), SocketFile(path)
    first = Server()
    place.listen(first.bind)
    place.close(leave_stale=True)
    first.end()
    successor.listen(server.bind)
    place.close()
    assert greeting(path, server) == b"hello"
    successor.close()


def test_successor_is_left_alone_even_in_the_inode_of_the_stale_one(
    path: Path, server: Server
) -> None:
    place = SocketFile(path)
    first = Server()
    place.listen(first.bind)
    place.close(leave_stale=True)
    first.end()
    server.bind(str(path.with_name("other")))
    place._stale = path.with_name("other").lstat()
    path.with_name("other").replace(path)
    place.close()
    assert connect(path) == 0


def test_file_that_is_gone_already(path: Path, server: Server) -> None:
    place = SocketFile(path)
    place.listen(server.bind)
    path.unlink()
    place.close()
    assert list(path.parent.iterdir()) == []


def test_mute_takes_connections_and_never_speaks(path: Path, server: Server) -> None:
    place = SocketFile(path)
    place.listen(server.bind)
    place.mute()
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        place.unmute()
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
    assert greeting(path, server) == b"hello"
    assert list(path.parent.iterdir()) == [path]
    place.unmute()
    place.close()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("leave_stale", [False, True])
def test_mute_ends_with_the_server(path: Path, server: Server, leave_stale: bool) -> None:
    place = SocketFile(path)
    place.listen(server.bind)
    place.mute()
    place.close(leave_stale=leave_stale)
    server.end()
    place.unmute()
    assert list(path.parent.iterdir()) == [path] * leave_stale
    assert connect(path) == (errno.ECONNREFUSED if leave_stale else errno.ENOENT)
    place.close()


def test_mute_needs_a_server(path: Path, server: Server) -> None:
    place = SocketFile(path)
    with pytest.raises(RuntimeError, match=f"the fake daemon does not listen at {path}"):
        place.mute()
    place.listen(server.bind)
    path.unlink()
    with pytest.raises(RuntimeError, match="does not listen"):
        place.mute()
    place.close()
    with pytest.raises(RuntimeError, match="does not listen"):
        place.mute()


def test_unmute_leaves_a_successor_alone(path: Path) -> None:
    place, successor = SocketFile(path), SocketFile(path)
    first, second = Server(), Server()
    place.listen(first.bind)
    place.mute()
    path.unlink()
    successor.listen(second.bind)
    place.unmute()
    assert greeting(path, second) == b"hello"
    place.close()
    assert greeting(path, second) == b"hello"
    successor.close()
    for server in (first, second):
        server.end()
    assert list(path.parent.iterdir()) == []


GOAWAY = bytes.fromhex("0000080700000000007fffffff00000000")


def test_dismissal_follows_what_was_sent_before(path: Path, server: Server) -> None:
    place = SocketFile(path)
    place.listen(server.bind)
    with server.connected(path) as (peer, connection):
        connection.send(b"hello")
        place.dismiss()
        connection.send(b"bye")
        connection.close()
        assert received(peer) == b"hello" + GOAWAY + b"bye"
    assert greeting(path, server) == b"hello"
    place.close()


def test_dismissal_gets_between_no_halves(path: Path, server: Server) -> None:
    place = SocketFile(path)
    place.listen(server.bind)
    with server.connected(path) as (peer, connection):
        connection.setblocking(False)
        sent = 0
        with suppress(BlockingIOError):
            while True:
                sent += connection.send(bytes(1000))
        # Now there is room for a dismissal, but not for the rest of a large answer.
        sent -= len(peer.recv(1000))
        place.dismiss()
        connection.close()
        assert received(peer) == bytes(sent)
    place.close()


def received(peer: socket.socket) -> bytes:
    """All that was sent to one whose other end is closed."""
    return b"".join(iter(lambda: peer.recv(65536), b""))
