"""The command line: `python -m agents_sandbox.testing`."""

from __future__ import annotations

import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from agents_sandbox._address import MAX_PATH_BYTES
from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing.__main__ import main

from .raw import TIMEOUT


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "agboxd.sock"


def ping(path: Path) -> pb.PingResponse:
    with grpc.insecure_channel(f"unix:{path}") as channel:
        call: Any = channel.unary_unary(methods.PING.path)
        return pb.PingResponse.FromString(call(b"", timeout=TIMEOUT, wait_for_ready=True))


def terminate_once_listening(path: Path) -> None:
    """Send this process a SIGTERM as soon as the program serves."""

    def terminate() -> None:
        # The channel waits for the socket, and the handlers are in place before it is there.
        ping(path)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=terminate).start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_a_signal(path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "agents_sandbox.testing", "--socket", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], TIMEOUT)
        assert readable
        assert str(path) in process.stdout.readline()
        assert ping(path).version == "0.2.1"
        process.send_signal(number)
        assert process.stdout.read() == ""
        assert process.wait(TIMEOUT) == 0
    assert not path.exists()


def test_options_reach_the_daemon(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: dict[str, object] = {}
    init = FakeDaemon.__init__

    def remember(self: FakeDaemon, **options: object) -> None:
        seen.update(options)
        # The options are whatever the program passes on; they are compared below.
        init(self, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(FakeDaemon, "__init__", remember)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    terminate_once_listening(path)
    arguments = (
        f"--socket {path} --daemon-version 0.2.1 --exec passthrough --exec-log-root {path}.logs "
        "--ready-delay 0.5 --stop-delay 1 --missing-image a:1 b:1 --missing-image c:1 "
        "--host-path /srv/data"
    )
    assert main(arguments.split()) == 0

    assert seen == {
        "version": "0.2.1",
        "socket_path": str(path),
        "exec_mode": "passthrough",
        "exec_log_root": f"{path}.logs",
        "ready_delay": 0.5,
        "stop_delay": 1.0,
        "missing_images": ["a:1", "b:1", "c:1"],
        "host_paths": ["/srv/data"],
        "max_calls": 0,
    }
    assert capsys.readouterr().out == f"fake agboxd 0.2.1 listening on {path}\n"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_module_is_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    # Left in place, the imported module would make runpy warn.
    monkeypatch.delitem(sys.modules, "agents_sandbox.testing.__main__")
    monkeypatch.setattr(sys, "argv", ["testing", "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("agents_sandbox.testing", run_name="__main__")
    assert caught.value.code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "the following arguments are required: --socket"),
        ("--socket=", "socket path must not be empty"),
        ("--socket /s --exec docker", "argument --exec: invalid choice: 'docker'"),
        (
            "--socket /s --daemon-version 9",
            "daemon version '9' is not supported, only: 0.2.0, 0.2.1, 0.3.0",
        ),
        ("--socket /s --ready-delay soon", "argument --ready-delay: invalid float value: 'soon'"),
        ("--socket /s --stop-delay=-1", "delays must not be negative"),
        (f"--socket /{'x' * MAX_PATH_BYTES}", f"long, the limit is {MAX_PATH_BYTES}"),
    ],
)
def test_bad_arguments(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_path_in_use(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeDaemon(socket_path=path):
        assert main(["--socket", str(path)]) == 1
        assert ping(path).daemon == "agboxd"
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert f"cannot listen on {path}: " in shown.err
    assert "a daemon is listening already" in shown.err


def test_unusable_path(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text("data")
    assert main(["--socket", str(path)]) == 1
    assert "exists and is not a socket" in capsys.readouterr().err
    assert path.read_text() == "data"


def test_failed_stop_is_not_taken_for_a_failed_start(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = FakeDaemon.stop

    def broken(daemon: FakeDaemon) -> None:
        stop(daemon)
        raise OSError("disk full")

    monkeypatch.setattr(FakeDaemon, "stop", broken)
    terminate_once_listening(path)
    with pytest.raises(OSError, match="disk full"):
        main(["--socket", str(path)])
    assert "cannot listen" not in capsys.readouterr().err
