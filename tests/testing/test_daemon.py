"""The daemon as a whole: its socket, thread, start and stop."""

from __future__ import annotations

import asyncio
import copy
import errno
import gc
import math
import os
import pickle
import shutil
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import agents_sandbox.testing
from agents_sandbox._connection.address import MAX_PATH_BYTES
from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import RELEASES, ContainerBehavior, FakeDaemon
from agents_sandbox.testing._server import socket_file

from ..releases import NEWEST, OLDEST
from .raw import IMAGE, Raw, connected, refusal


def mode(path: str | Path) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Let other users in, unless the code under test keeps them out."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def folder() -> Any:
    # The folders of pytest's own `tmp_path` can be too long for a socket.
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_public_names() -> None:
    public = agents_sandbox.testing.__all__
    assert public == sorted(public, key=lambda name: (not name.isupper(), name))  # constants first
    assert set(public) <= set(vars(agents_sandbox.testing))
    assert FakeDaemon.__module__ == "agents_sandbox.testing"


def test_every_release_is_listed_and_the_newest_is_the_default() -> None:
    assert RELEASES[0] == OLDEST
    assert RELEASES[-1] == NEWEST == FakeDaemon().version
    assert "dev" not in RELEASES


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_copies_and_pickles_are_refused(duplicate: Callable[[FakeDaemon], object]) -> None:
    with FakeDaemon() as daemon:
        with pytest.raises(TypeError, match="copied or pickled: pass its socket_path to where"):
            duplicate(daemon)
        gc.collect()
        assert daemon.running


def test_socket_is_private_and_removed_by_stop() -> None:
    daemon = FakeDaemon()
    path = Path(daemon.socket_path)
    assert not path.exists()
    with daemon as running:
        assert running is daemon
        assert path.is_socket()
        assert (mode(path), mode(path.parent)) == (0o600, 0o700)
        assert daemon.exec_log_root.is_relative_to(path.parent)
        assert daemon.version == NEWEST
    assert not path.parent.exists()


def test_everything_can_be_prepared_before_the_start() -> None:
    daemon = FakeDaemon()
    daemon.on_exec(["x"]).exit(4)
    daemon.faults.fail_next("Ping", code="INTERNAL")
    with daemon.paused():
        daemon.start()
        with connected(daemon) as raw:
            assert raw.refused(methods.PING).code == "INTERNAL"
            raw.create()
            assert raw.history() == ["SANDBOX_ACCEPTED:PENDING"]
            daemon.stop()


def test_calls_can_be_read_after_stop() -> None:
    with FakeDaemon() as daemon, connected(daemon) as raw:
        raw(methods.PING)
    assert [call.method for call in daemon.calls] == ["Ping"]


def test_stop_is_idempotent_and_final() -> None:
    daemon = FakeDaemon()
    daemon.stop()
    daemon.stop()
    with pytest.raises(RuntimeError, match="was stopped"):
        daemon.start()
    with FakeDaemon() as other:
        with pytest.raises(RuntimeError, match="is already running"):
            other.start()
        other.stop()
        other.stop()


def test_stop_ends_open_streams_and_background_work(capfd: pytest.CaptureFixture[str]) -> None:
    daemon = FakeDaemon(ready_delay=3600, stop_delay=3600).start()
    with connected(daemon) as raw:
        raw.create()
        with raw.stream() as stream:
            assert next(stream).sequence == 1
            assert next(stream).sequence == 2
            assert "fake-agboxd" in {thread.name for thread in threading.enumerate()}
            daemon.stop()
            with pytest.raises(grpc.RpcError) as caught:
                next(stream)
            assert refusal(caught.value).code == "UNAVAILABLE"
            assert daemon.open_streams == 0
        assert raw.refused(methods.PING).code == "UNAVAILABLE"
    # Not all threads: gRPC's own threads end later.
    assert "fake-agboxd" not in {thread.name for thread in threading.enumerate()}
    assert "Traceback" not in capfd.readouterr().err


def test_forgotten_daemon_leaves_no_folder() -> None:
    daemon = FakeDaemon()
    folder = Path(daemon.socket_path).parent
    assert folder.is_dir()
    del daemon
    gc.collect()
    assert not folder.exists()


def test_forked_child_leaves_the_folder_to_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = FakeDaemon()
    folder = Path(daemon.socket_path).parent
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        daemon.stop()
    assert folder.is_dir()
    shutil.rmtree(folder)


async def test_asynchronous_use() -> None:
    async with (
        FakeDaemon() as daemon,
        grpc.aio.insecure_channel(f"unix:{daemon.socket_path}") as channel,
    ):
        ping: Any = channel.unary_unary(methods.PING.path)
        answers = await asyncio.gather(*(ping(b"") for _ in range(20)))
    assert set(answers) == {pb.PingResponse(version=NEWEST, daemon="agboxd").SerializeToString()}
    assert not os.path.exists(daemon.socket_path)  # noqa: PTH110 - no loop to block


def test_own_socket_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with FakeDaemon(socket_path="100%41 \u00e9/x/../100%41 \u00e9.sock") as daemon:
        path = folder / "100%41 \u00e9" / "100%41 \u00e9.sock"
        assert daemon.socket_path == str(Path.cwd() / path.relative_to(folder))
        assert path.is_socket()
    assert not path.exists()


@pytest.mark.usefixtures("open_umask")
def test_missing_folders_are_made_private_and_others_stay_as_they_are(folder: Path) -> None:
    (folder / "open").mkdir(mode=0o755)
    sockets = folder / "open" / "a" / "b"
    logs = folder / "open" / "c" / "d"
    daemon = FakeDaemon(socket_path=sockets / "agboxd.sock", exec_log_root=logs)
    with daemon, connected(daemon) as raw:
        raw.ready()
        made = (sockets, sockets.parent, logs / "box-1", logs, logs.parent)
        assert [mode(path) for path in made] == [0o700] * 5
        assert mode(folder / "open") == 0o755


@pytest.mark.usefixtures("open_umask")
def test_socket_is_never_open_to_others(folder: Path) -> None:
    folder.chmod(0o755)
    path = folder / "agboxd.sock"
    seen: list[tuple[int, bool]] = []
    with socket.socket(socket.AF_UNIX) as server:

        def bind(address: str) -> None:
            bound = address.removeprefix("unix:")
            server.bind(bound)
            seen.append((mode(Path(bound).parent), path.exists()))

        file = socket_file.SocketFile(path)
        file.listen(bind)
        assert seen == [(0o700, False)]
        assert mode(path) == 0o600
        assert list(folder.iterdir()) == [path]
        file.close()
    assert list(folder.iterdir()) == []


def test_socket_path_that_is_too_long(folder: Path) -> None:
    room = MAX_PATH_BYTES - len(os.fsencode(folder)) - 1
    with FakeDaemon(socket_path=folder / ("x" * room)) as daemon, connected(daemon) as raw:
        raw(methods.PING)
    long = f"socket path is {MAX_PATH_BYTES + 1} bytes long, the limit is {MAX_PATH_BYTES}: '/"
    with pytest.raises(ValueError, match=long):
        FakeDaemon(socket_path=folder / ("x" * (room + 1)))


def test_folder_that_is_too_long_for_a_socket(folder: Path) -> None:
    limit = MAX_PATH_BYTES - 12
    deep = folder / ("x" * (limit - len(os.fsencode(folder)) - 1))
    with FakeDaemon(socket_path=deep / "s") as daemon, connected(daemon) as raw:
        raw(methods.PING)
    long = f"folder of the socket path is {limit + 1} bytes long, the limit is {limit}"
    with pytest.raises(ValueError, match=long):
        FakeDaemon(socket_path=f"{deep}x/s")


def test_empty_socket_path() -> None:
    with pytest.raises(ValueError, match="socket path must not be empty"):
        FakeDaemon(socket_path="")


@pytest.mark.parametrize(
    ("refused", "kind", "message"),
    [
        ("localhost:50051", ValueError, "socket path must be the path of a Unix socket"),
        ("@agboxd", ValueError, "socket path must be a path: the daemon's socket is a file"),
        (b"/agboxd.sock", TypeError, "socket path must be a path of text, not b'/agboxd.sock'"),
    ],
)
def test_socket_path_names_a_file(refused: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        FakeDaemon(socket_path=refused)


def test_socket_path_is_written_as_for_a_client(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setenv("RUN_DIR", str(folder))
    with FakeDaemon(socket_path="unix://$RUN_DIR/a%20b.sock") as daemon, connected(daemon) as raw:
        assert daemon.socket_path == f"{folder}/a b.sock"
        raw(methods.PING)


def test_repr_shows_the_socket_the_release_and_whether_it_is_running() -> None:
    daemon = FakeDaemon(reported_version="0.4.3-rc1", version="0.4.3")
    shown = f"<FakeDaemon socket={daemon.socket_path!r} release=0.4.3-rc1"
    assert repr(daemon) == f"{shown} not running>"
    with daemon:
        assert repr(daemon) == f"{shown} running>"
        daemon.kill()
        assert repr(daemon) == f"{shown} not running>"
    assert repr(daemon) == f"{shown} stopped>"


def test_long_temporary_folder_is_avoided(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = folder / ("x" * 60)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with FakeDaemon() as daemon:
        assert len(daemon.socket_path) < 60


def test_stale_socket_is_removed(folder: Path) -> None:
    path = folder / "agboxd.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with FakeDaemon(socket_path=path) as daemon, connected(daemon) as raw:
        raw(methods.PING)


def test_live_daemon_is_left_alone(folder: Path) -> None:
    path = folder / "agboxd.sock"
    with FakeDaemon(socket_path=path) as daemon, connected(daemon) as raw:
        second = FakeDaemon(socket_path=path)
        with pytest.raises(OSError, match="a daemon is already listening") as caught:
            second.start()
        assert caught.value.errno == errno.EADDRINUSE
        assert caught.value.filename == str(path)
        raw(methods.PING)


def test_socket_of_a_successor_is_left_alone(folder: Path) -> None:
    path = folder / "agboxd.sock"
    first = FakeDaemon(socket_path=path).start()
    path.unlink()
    with FakeDaemon(socket_path=path) as second:
        first.stop()
        with connected(second) as raw:
            raw(methods.PING)
    assert not path.exists()


def test_socket_that_is_gone_already(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with FakeDaemon(socket_path=folder / "agboxd.sock") as daemon:
        Path(daemon.socket_path).unlink()
    assert capfd.readouterr().err == ""


def test_other_files_are_left_alone(folder: Path) -> None:
    path = folder / "precious"
    path.write_text("data")
    with pytest.raises(FileExistsError, match="is not a socket"):
        FakeDaemon(socket_path=path).start()
    assert path.read_text() == "data"
    with FakeDaemon(socket_path=folder / "agboxd.sock") as daemon:
        Path(daemon.socket_path).unlink()
        Path(daemon.socket_path).write_text("data")
    assert (folder / "agboxd.sock").read_text() == "data"


def test_failed_bind_is_raised_in_the_callers_thread(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_file, "grpc_address", "unix:{}/none/s".format)
    with pytest.raises(RuntimeError, match="Failed to bind"):
        FakeDaemon(socket_path=folder / "agboxd.sock").start()
    assert list(folder.iterdir()) == []


def test_failed_stop_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: failures.append(args.exc_type))

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(socket_file.SocketFile, "close", fail)
    with FakeDaemon():
        pass
    assert failures == [ZeroDivisionError]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": "0.9"}, "daemon version '0.9' is not supported: use one of 0.2.0, 0.2.1, "),
        (
            {"exec_mode": "docker"},
            "exec_mode must be 'scripted', 'passthrough', 'isolated' or 'auto': ",
        ),
        ({"ready_delay": -1}, "ready_delay must be finite and not negative: -1"),
        ({"stop_delay": -1}, "stop_delay must be finite and not negative: -1"),
        ({"stop_delay": math.inf}, "stop_delay must be finite and not negative: inf"),
        ({"ready_delay": math.nan}, "ready_delay must be a number: nan"),
        ({"idle_ttl": math.nan}, "idle_ttl must be a number: nan"),
        ({"cleanup_ttl": math.nan}, "cleanup_ttl must be a number: nan"),
        ({"max_calls": -1}, "max_calls must be at least 0: -1"),
        ({"reported_version": ""}, "reported_version must not be empty: ''"),
        ({"host_paths": ["/srv", "rel"]}, "host_paths must be absolute: 'rel'"),
        ({"image_folders": ["rel"]}, "image_folders must be absolute: 'rel'"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FakeDaemon(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"missing_images": "a:1"}, "missing_images must be a collection of str, not 'a:1'"),
        ({"image_folders": "/srv"}, "image_folders must be a collection of str, not '/srv'"),
        ({"host_paths": b"/srv"}, "host_paths must be a collection of str, not b'/srv'"),
        ({"known_images": 5}, "known_images must be a collection of str, not 5"),
        ({"known_images": [1]}, "each item of known_images must be a string, not 1"),
        ({"missing_images": [1]}, "each item of missing_images must be a string, not 1"),
        ({"containers": [1]}, r"containers must be a mapping, not \[1\]"),
        ({"containers": {1: ContainerBehavior()}}, "each key of containers must be a string"),
        (
            {"containers": {"a": {"x": 1}}},
            r"\['a'\] must be a ContainerBehavior, not <dict>",
        ),
        ({"docker": 5}, "docker must be a DockerHost, not 5"),
        ({"docker": False}, "docker must be a DockerHost, not False"),
        ({"docker": "x" * 100}, r"a DockerHost, not 'x{60}'\.\.\. \(100 characters\)$"),
        ({"virtual_time": "no"}, "virtual_time must be True or False, not 'no'"),
        ({"ready_delay": "5"}, "ready_delay must be a number, not '5'"),
        ({"idle_ttl": "5"}, "idle_ttl must be a number, not '5'"),
        ({"cleanup_ttl": True}, "cleanup_ttl must be a number, not True"),
        ({"max_calls": True}, "max_calls must be an integer, not True"),
        ({"reported_version": 5}, "reported_version must be a string, not 5"),
    ],
)
def test_options_of_another_type(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        FakeDaemon(**options)


def test_messages_of_another_type(daemon: FakeDaemon) -> None:
    with pytest.raises(TypeError, match="must be bytes or a protobuf message, not 'text'"):
        daemon.emit("box-1", "text")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(TypeError, match="must be bytes or a protobuf message, not 5"):
        daemon.faults.answer_next("Ping", 5)  # type: ignore[arg-type]  # wrong on purpose


def test_unknown_rpc_is_unimplemented(daemon: FakeDaemon) -> None:
    with grpc.insecure_channel(f"unix:{daemon.socket_path}") as channel:
        call: Any = channel.unary_unary("/agbox.v1.SandboxService/Nope")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"")
    assert refusal(caught.value).code == "UNIMPLEMENTED"


def test_oversized_request_is_refused(raw: Raw) -> None:
    spec = pb.CreateSpec(image=IMAGE, labels={"big": "x" * (4 * 1024 * 1024)})
    refused = raw.refused(methods.CREATE_SANDBOX, create_spec=spec)
    assert refused.code == "RESOURCE_EXHAUSTED"


def test_daemon_can_be_used_from_a_match_function(raw: Raw) -> None:
    raw.ready()

    def match(_: object) -> bool:
        raw.daemon.emit("box-1", pb.SandboxEvent(event_type=pb.SANDBOX_SERVICE_FAILED))
        return True

    raw.daemon.on_exec(match)
    raw.start()
    assert raw.history()[3:5] == ["SANDBOX_SERVICE_FAILED", "EXEC_STARTED"]


def test_thousands_of_calls_at_once_are_not_shed(raw: Raw) -> None:
    raw.ready()
    with grpc.insecure_channel(f"unix:{raw.daemon.socket_path}") as channel:
        ping: Any = channel.unary_unary(methods.PING.path)
        calls = [ping.future(b"") for _ in range(2000)]
        assert len({call.result() for call in calls}) == 1
