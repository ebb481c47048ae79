"""The diagnosis of a socket where no daemon answers."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from agents_sandbox import DaemonUnavailableError
from agents_sandbox._connection.address import DaemonAddress


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path short enough for sockets; pytest's own can be too long."""
    with tempfile.TemporaryDirectory(prefix="agbox-", dir="/tmp") as name:
        yield Path(name).resolve()


def listen(path: Path, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """Bind a socket; it accepts connections if its kind can."""
    with ExitStack() as on_failure:
        bound = on_failure.enter_context(socket.socket(socket.AF_UNIX, kind))
        bound.bind(str(path))
        if kind == socket.SOCK_STREAM:
            bound.listen()
        on_failure.pop_all()
    return bound


def diagnosis(path: Path, detail: str = "said", *, retryable: bool = True) -> str:
    """Return what the error says about a socket path, between its fixed ends.

    Args:
        path: The path.
        detail: gRPC's message.
        retryable: Whether the error must be one that can pass by itself.
    """
    error = DaemonAddress(path).unavailable(detail)
    assert type(error) is DaemonUnavailableError
    assert (error.socket_path, error.code, error.retryable) == (str(path), "UNAVAILABLE", retryable)
    message = str(error)
    assert message.startswith(f"no agents-sandbox daemon at {path}: ")
    assert message.endswith(" (path from socket_path=)")
    return message.removeprefix(f"no agents-sandbox daemon at {path}: ").removesuffix(
        " (path from socket_path=)"
    )


@contextmanager
def looks_denied(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Deny access to every file, as the system does for all users except the superuser."""

    def deny(path: object, **kwargs: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as denied:
        denied.setattr(os, "stat", deny)
        denied.setattr(os, "lstat", deny)
        yield


def test_a_missing_folder(folder: Path) -> None:
    told = diagnosis(folder / "agbox" / "agboxd.sock")
    assert told == f"folder {folder}/agbox is missing. Is the daemon running? Start agboxd"


def test_a_missing_file(folder: Path) -> None:
    told = diagnosis(folder / "agboxd.sock")
    assert told == "the socket does not exist. Is the daemon running? Start agboxd"


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, os.mkfifo])
def test_something_else(folder: Path, make: Callable[[Path], None]) -> None:
    path = folder / "agboxd.sock"
    make(path)
    told = diagnosis(path, retryable=False)
    assert told == "it is not a socket. Pass the path of the daemon's socket"


def test_a_stale_socket(folder: Path) -> None:
    listen(folder / "agboxd.sock").close()
    told = diagnosis(folder / "agboxd.sock")
    assert told == "nothing listens there: the socket is stale. Start agboxd"


def test_a_listening_socket_is_not_to_blame(folder: Path) -> None:
    with listen(folder / "agboxd.sock"):
        told = diagnosis(folder / "agboxd.sock", "Socket closed")
    assert told.startswith("the socket accepts connections, but the call failed (Socket closed)")


def test_a_socket_behind_a_link_is_found(folder: Path) -> None:
    (folder / "link.sock").symlink_to(folder / "agboxd.sock")
    assert diagnosis(folder / "link.sock").startswith("the socket does not exist")
    with listen(folder / "agboxd.sock"):
        assert "the call failed (said)" in diagnosis(folder / "link.sock")


def test_a_socket_of_another_kind(folder: Path) -> None:
    with listen(folder / "agboxd.sock", socket.SOCK_DGRAM):
        told = diagnosis(folder / "agboxd.sock", retryable=False)
    assert told == os.strerror(errno.EPROTOTYPE)


def test_a_file_for_a_folder(folder: Path) -> None:
    (folder / "agbox").touch()
    told = diagnosis(folder / "agbox" / "agboxd.sock", retryable=False)
    assert told == os.strerror(errno.ENOTDIR)


def test_a_loop_of_links(folder: Path) -> None:
    (folder / "agboxd.sock").symlink_to(folder / "agboxd.sock")
    assert diagnosis(folder / "agboxd.sock", retryable=False) == os.strerror(errno.ELOOP)


def test_a_forbidden_folder(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    with looks_denied(monkeypatch):
        told = diagnosis(folder / "agboxd.sock", retryable=False)
    assert told == "permission denied for one of its folders. Run as the daemon's user"


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (errno.EACCES, "permission denied. Run as the daemon's user"),
        (errno.EAGAIN, "the socket accepts connections"),  # a daemon with a full queue
        (errno.ENOENT, "the socket does not exist"),  # it was removed just now
    ],
)
def test_a_socket_that_refuses_connections(
    monkeypatch: pytest.MonkeyPatch, folder: Path, refusal: int, expected: str
) -> None:
    class RefusingSocket(socket.socket):
        def connect(self, address: object, /) -> None:
            raise OSError(refusal, os.strerror(refusal))

    with listen(folder / "agboxd.sock"):
        monkeypatch.setattr(socket, "socket", RefusingSocket)
        denied = refusal == errno.EACCES
        told = diagnosis(folder / "agboxd.sock", retryable=not denied)
    assert told.startswith(expected)


@pytest.mark.parametrize("listening", [True, False])
def test_whether_the_socket_accepts_connections(folder: Path, listening: bool) -> None:
    address = DaemonAddress(folder / "agboxd.sock")
    with listen(folder / "agboxd.sock") as bound:
        if not listening:
            bound.close()
        assert address.accepts_connections() is listening


def test_an_unknown_path_accepts_no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert not DaemonAddress(None).accepts_connections()


def test_no_descriptor_is_left_for_the_diagnosis(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with listen(folder / "agboxd.sock"):
        monkeypatch.setattr(socket, "socket", refuse)
        assert diagnosis(folder / "agboxd.sock") == "Too many open files"


def test_sockets_may_be_forbidden(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def forbid(*_: object) -> None:
        raise RuntimeError("A test tried to use socket.socket.")  # as pytest-socket does

    with listen(folder / "agboxd.sock"):
        monkeypatch.setattr(socket, "socket", forbid)
        assert not DaemonAddress(folder / "agboxd.sock").accepts_connections()
        assert diagnosis(folder / "agboxd.sock") == (
            "the socket cannot be checked (RuntimeError: A test tried to use socket.socket.). "
            "Is the daemon running? Start agboxd"
        )


@pytest.fixture
def runtime_dir(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Sets the folder of the default path, as on Linux."""
    monkeypatch.setattr("sys.platform", "linux")
    return lambda path: monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))


def test_the_origin_of_a_default_is_named(
    runtime_dir: Callable[[Path], None], folder: Path
) -> None:
    runtime_dir(folder)
    error = DaemonAddress(None).unavailable("said")
    assert error.socket_path == f"{folder}/agbox/agboxd.sock"
    assert str(error).endswith("(path from XDG_RUNTIME_DIR)")


def test_another_users_runtime_folder_is_named(
    monkeypatch: pytest.MonkeyPatch, runtime_dir: Callable[[Path], None]
) -> None:
    runtime_dir(Path("/run/user/1"))
    address = DaemonAddress(None)
    with looks_denied(monkeypatch):
        assert address.resolve() == ("/run/user/1/agbox/agboxd.sock", "XDG_RUNTIME_DIR")
        error = address.unavailable("said")
    assert "permission denied for one of its folders" in str(error)


def test_the_last_opened_path_is_named_even_if_the_environment_changed(
    monkeypatch: pytest.MonkeyPatch, runtime_dir: Callable[[Path], None], folder: Path
) -> None:
    address = DaemonAddress(None)
    for opened in (folder / "1", folder / "2"):
        runtime_dir(opened)
        address.target()
        runtime_dir(Path("/run/user/3"))
        assert address.unavailable("said").socket_path == f"{opened}/agbox/agboxd.sock"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    error = address.unavailable("said")
    assert error.socket_path == f"{folder}/2/agbox/agboxd.sock"
    assert f"folder {folder}/2/agbox is missing" in str(error)
