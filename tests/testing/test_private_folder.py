"""The private folder of a killed daemon is removed by the next one; no other folder is."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._server.private_folder import PrivateFolder, remove_abandoned

from .raw import TIMEOUT

# A daemon that is killed while it runs a command.
PROGRAM = """
import os, signal
from pathlib import Path
from agents_sandbox import SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

daemon = FakeDaemon(exec_mode="passthrough").start()
client = SyncAgentsSandboxClient(daemon.socket_path)
sandbox = client.create_sandbox(image="a:1")
script = "echo $$; sleep 600"
log = Path(client.create_exec(sandbox.sandbox_id, ("sh", "-c", script)).stdout_log_path)
while not log.exists() or not log.read_text():
    pass
print(log.read_text(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, for this process and those that it starts."""
    # The folders of pytest's own `tmp_path` can be too long for a socket.
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def abandoned(base: Path) -> Path:
    """Make a folder like that of a killed daemon."""
    folder = base / "agboxd-abandoned"
    folder.mkdir(mode=0o700)
    (folder / "fake-agboxd.lock").write_text(os.uname().nodename)
    return folder


def test_next_daemon_cleans_up_after_a_killed_one(base: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (folder,) = base.iterdir()
    assert (folder / "agboxd.sock").is_socket()
    command = int(killed.stdout)
    ends = select.poll()
    if sys.platform == "linux":
        ends.register(os.pidfd_open(command), select.POLLIN)
    with FakeDaemon() as daemon:
        assert list(base.iterdir()) == [Path(daemon.socket_path).parent]
    if sys.platform == "linux":
        ((descriptor, _),) = ends.poll(TIMEOUT * 1000)
        os.close(descriptor)
    else:
        os.kill(command, signal.SIGKILL)


def test_only_the_first_daemon_of_a_process_looks(base: Path) -> None:
    with FakeDaemon():
        folder = abandoned(base)
        FakeDaemon().stop()
        assert folder.is_dir()
    remove_abandoned.__wrapped__(str(base))
    assert list(base.iterdir()) == []


def test_folder_of_a_running_daemon_stays(base: Path) -> None:
    private = PrivateFolder()
    remove_abandoned.__wrapped__(str(base))
    assert private.path.is_dir()
    private.remove()
    assert list(base.iterdir()) == []


def other_name(folder: Path) -> Path:
    return folder.rename(folder.with_name("other"))


def no_lock(folder: Path) -> Path:
    (folder / "fake-agboxd.lock").unlink()
    return folder


def linked_lock(folder: Path) -> Path:
    lock = folder / "fake-agboxd.lock"
    lock.rename(folder / "elsewhere")
    lock.symlink_to("elsewhere")
    return folder


def other_host(folder: Path) -> Path:
    (folder / "fake-agboxd.lock").write_text(f"{os.uname().nodename}-2")
    return folder


def open_to_others(folder: Path) -> Path:
    folder.chmod(0o701)
    return folder


def linked_folder(folder: Path) -> Path:
    elsewhere = other_name(folder)
    folder.symlink_to(elsewhere)
    return elsewhere


def file(folder: Path) -> Path:
    (folder / "fake-agboxd.lock").rename(folder.with_name("agboxd-file"))
    return folder.with_name("agboxd-file")


@pytest.mark.parametrize(
    "change",
    [other_name, no_lock, linked_lock, other_host, open_to_others, linked_folder, file],
)
def test_what_may_belong_to_something_else_stays(
    base: Path, change: Callable[[Path], Path]
) -> None:
    kept = change(abandoned(base))
    remove_abandoned.__wrapped__(str(base))
    assert kept.exists()


def test_folder_of_another_user_stays(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = abandoned(base)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    remove_abandoned.__wrapped__(str(base))
    assert folder.is_dir()


def test_folder_that_another_process_removes_first_is_left_to_it(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = abandoned(base)
    monkeypatch.setattr(fcntl, "flock", lambda *_: no_lock(folder))
    remove_abandoned.__wrapped__(str(base))
    assert folder.is_dir()


def test_folder_for_temporary_files_that_cannot_be_listed_is_skipped(base: Path) -> None:
    remove_abandoned.__wrapped__(str(base / "missing"))


def test_daemon_runs_where_files_cannot_be_locked(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        private = PrivateFolder()
    remove_abandoned.__wrapped__(str(base))
    assert private.path.is_dir()
    private.remove()
