"""Log files of execs: no symlink in place of a log or of its folder is followed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import ExecContext, FakeDaemon
from agents_sandbox.testing._commands import logs

from .raw import Raw, connected

NAME = "exec-1.stdout.log"
PRECIOUS = {NAME: "precious"}


def contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of the host, with a file that is named like a log."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / NAME).write_text("precious")
    return folder


def link_to(victim: Path, folder: Path) -> None:
    """Put a symlink to a folder in place of another one."""
    shutil.rmtree(folder)
    folder.symlink_to(victim)


@pytest.fixture(params=["scripted", "passthrough"])
def raw(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Raw]:
    mode: Literal["scripted", "passthrough"] = request.param
    logs = tmp_path / "logs"
    with FakeDaemon(exec_mode=mode, exec_log_root=logs) as daemon, connected(daemon) as client:
        yield client


@pytest.mark.parametrize(
    "use",
    [
        logs.open_log,
        lambda path: logs.append_to_log(path, b"x"),
        logs.remove_log,
        lambda path: logs.make_log_folder(path.parent),
    ],
    ids=["open", "append", "remove", "make"],
)
def test_linked_folder_is_refused(
    use: Callable[[Path], object], tmp_path: Path, victim: Path
) -> None:
    (tmp_path / "box-1").symlink_to(victim)
    with pytest.raises(NotADirectoryError):
        use(tmp_path / "box-1" / NAME)
    assert contents(victim) == PRECIOUS


@pytest.mark.parametrize("reader", [True, False])
def test_fifo_in_place_of_a_log_is_refused_at_once(tmp_path: Path, reader: bool) -> None:
    os.mkfifo(tmp_path / NAME)
    descriptor = os.open(tmp_path / NAME, os.O_RDONLY | os.O_NONBLOCK) if reader else None
    with pytest.raises(OSError, match=NAME):
        logs.open_log(tmp_path / NAME)
    if descriptor is not None:
        os.close(descriptor)


def test_linked_root_is_the_users_own_choice(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "logs").symlink_to("real")
    with FakeDaemon(exec_log_root=tmp_path / "logs") as daemon, connected(daemon) as raw:
        raw.ready()
        raw.start()
        raw.finished()
    assert (tmp_path / "real" / "box-1" / NAME).exists()


def test_link_before_the_create_fails_it(raw: Raw, victim: Path) -> None:
    raw.daemon.exec_log_root.mkdir()
    (raw.daemon.exec_log_root / "box-1").symlink_to(victim)
    raw.create()
    (event,) = raw.wait_for(pb.SANDBOX_FAILED)[2:]
    assert str(raw.daemon.exec_log_root / "box-1") in event.sandbox_phase.error_message
    assert contents(victim) == PRECIOUS


def test_link_before_the_exec_refuses_it(raw: Raw, victim: Path) -> None:
    raw.ready()
    link_to(victim, raw.daemon.exec_log_root / "box-1")
    refused = raw.refused(methods.CREATE_EXEC, sandbox_id="box-1", command=["true"])
    assert refused.message.startswith("prepare exec artifact output: ")
    assert contents(victim) == PRECIOUS


def test_link_before_the_start_of_the_command_fails_the_exec(raw: Raw, victim: Path) -> None:
    raw.ready()
    with raw.daemon.paused():
        raw.start("echo", "overwritten", exec_id="exec-1")
        link_to(victim, raw.daemon.exec_log_root / "box-1")
    ended = raw.finished()
    assert ended.state == pb.EXEC_STATE_FAILED
    assert "Not a directory" in ended.error
    assert contents(victim) == PRECIOUS


def test_link_during_a_command_ends_its_output(raw: Raw, victim: Path) -> None:
    def handler(context: ExecContext) -> None:
        link_to(victim, raw.daemon.exec_log_root / "box-1")
        with pytest.raises(NotADirectoryError):
            context.write_stdout("overwritten")

    raw.daemon.on_exec(["x"]).call(handler)
    raw.ready()
    raw.start("x")
    assert raw.finished().state == pb.EXEC_STATE_FINISHED
    assert contents(victim) == PRECIOUS
