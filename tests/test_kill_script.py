"""The script that kills an exec, in each shell that is here."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from agents_sandbox._scripts import kill as kill_script
from agents_sandbox._scripts.kill import kill_command
from agents_sandbox._shared.helpers import KillExit, killed_exec

from .commands import as_nobody
from .testing.fifo import Fifo
from .testing.raw import TIMEOUT

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no /proc"),
]
SHELLS = {"dash": ("dash",), "bash": ("bash", "--posix"), "busybox": ("busybox", "sh")}
TARGET = "target-exec"


SAVING = """
import os, sys, time
os.dup2(os.open(sys.argv[1], int(sys.argv[2])), 11)
for number in (1, 2):
    os.dup2(os.open("/dev/null", os.O_WRONLY), number)
fifo = open(sys.argv[3], "w")
print("up", file=fifo, flush=True)
time.sleep(1000)
"""


class Execs:
    """Processes like those of execs: each leads a session and writes to its own logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, exec_id: str, argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        outputs = (self.folder / f"{exec_id}.{name}.log" for name in ("stdout", "stderr"))
        with next(outputs).open("wb") as stdout, next(outputs).open("wb") as stderr:
            started = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                **options,
            )
        self._running.append(started)
        return started

    def kill(self, shell: Sequence[str], **options: Any) -> int:
        """Run the script and return its exit code."""
        # As the daemon of another host names it: only the end of the path is the same.
        path = f"/elsewhere/{self.folder.name}/{TARGET}.stdout.log"
        _, *rest = kill_command(TARGET, path)
        return self.start("kill-exec", [*shell, *rest], **options).wait(TIMEOUT)

    def close(self) -> None:
        for started in self._running:
            if started.poll() is None:
                os.killpg(started.pid, signal.SIGKILL)
            started.wait(TIMEOUT)


@pytest.fixture
def execs(tmp_path: Path) -> Iterator[Execs]:
    with closing(Execs(tmp_path)) as opened:
        yield opened


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    found = SHELLS[request.param]
    if shutil.which(found[0]) is None:
        pytest.skip(f"there is no {found[0]}")
    return found


def talking(fifo: Fifo, then: str, *more: str) -> list[str]:
    return ["sh", "-c", f'exec 3>"$0"; {then}', fifo.path, *more]


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Fifo]:
    with closing(Fifo(tmp_path / "fifo")) as opened:
        yield opened


def await_end(fifo: Fifo) -> None:
    while fifo.read():
        pass


def test_all_of_an_exec_die_and_nothing_else(
    execs: Execs, fifo: Fifo, shell: tuple[str, ...], tmp_path: Path
) -> None:
    log = str(tmp_path / f"{TARGET}.stdout.log")
    with closing(Fifo(tmp_path / "other fifo")) as others:
        body = "(setsid sh -c 'echo up >&3; sleep 1000; :' &); sleep 1000 & sleep 1000; :"
        target = execs.start(TARGET, talking(fifo, body))
        assert fifo.read() == b"up\n"
        # Other execs may read the log, and even write to it.
        read = 'exec 4<"$1"; echo up >&3; sleep 1000; :'
        reader = execs.start("reader", talking(others, read, log))
        assert others.read() == b"up\n"
        write = '(setsid sleep 1000 >>"$1" &); sleep 1000 >>"$1" & echo up >&3; wait'
        writer = execs.start("writer", talking(others, write, log))
        assert others.read() == b"up\n"
        assert execs.kill(shell) == KillExit.KILLED
        assert target.wait(TIMEOUT) == -signal.SIGKILL
        await_end(fifo)
        assert (reader.poll(), writer.poll()) == (None, None)
        assert len(children(writer.pid)) == 1
        assert execs.kill(shell) == KillExit.NOT_FOUND
        execs.close()
        kill_orphans(log)
        await_end(others)


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def kill_orphans(log: str) -> None:
    """Kill what writes to a log: the orphan of another exec, which the script may also spare."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "fd" / "1").samefile(log):
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue


def test_command_without_its_logs_is_left(
    execs: Execs, fifo: Fifo, shell: tuple[str, ...], tmp_path: Path
) -> None:
    """Its argv does not identify it: a command that the daemon has forgotten may have the same."""
    target = execs.start(TARGET, talking(fifo, "exec >/dev/null; echo up >&3; sleep 1000; :"))
    assert fifo.read() == b"up\n"
    if os.getuid() == 0:
        assert execs.kill(as_nobody(shell), cwd="/") == KillExit.NOT_FOUND
    errors = tmp_path / f"{TARGET}.stderr.log"
    errors.rename(tmp_path / "moved")
    assert execs.kill(shell) == KillExit.NOT_FOUND
    assert target.poll() is None
    (tmp_path / "moved").rename(errors)
    assert execs.kill(shell) == KillExit.KILLED
    assert target.wait(TIMEOUT) == -signal.SIGKILL
    await_end(fifo)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_process_of_another_user_is_reported(fifo: Fifo, shell: tuple[str, ...]) -> None:
    with (
        TemporaryDirectory() as folder,  # unlike `tmp_path`, one that others can enter
        closing(Execs(Path(folder))) as execs,
    ):
        Path(folder).chmod(0o755)
        leader = as_nobody(["sh", "-c", "echo up >&3; sleep 1000; :"])
        target = execs.start(TARGET, talking(fifo, 'sleep 1000 & exec "$@"', *leader))
        assert fifo.read() == b"up\n"
        assert execs.kill(as_nobody(shell), cwd="/") == KillExit.NOT_PERMITTED
        assert target.wait(TIMEOUT) == -signal.SIGKILL
        os.killpg(target.pid, signal.SIGKILL)  # root's own is still there
        await_end(fifo)


def test_shell_may_have_saved_its_output(
    execs: Execs, fifo: Fifo, shell: tuple[str, ...], tmp_path: Path
) -> None:
    """As some shells do while a command has another one."""
    log = tmp_path / f"{TARGET}.stdout.log"
    with closing(Fifo(tmp_path / "other fifo")) as others:
        target = [sys.executable, "-c", SAVING, str(log), str(os.O_WRONLY), fifo.path]
        reads = [*target[:4], str(os.O_RDONLY), others.path]
        log.touch()
        reader = execs.start("reader", reads)
        assert others.read() == b"up\n"
        assert execs.kill(shell) == KillExit.NOT_FOUND
        started = execs.start(TARGET, target)
        assert fifo.read() == b"up\n"
        assert execs.kill(shell) == KillExit.KILLED
        assert started.wait(TIMEOUT) == -signal.SIGKILL
        assert reader.poll() is None


def test_log_is_found_below_any_mount(
    tmp_path: Path, shell: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = tmp_path / "a 5b" / "\\0407\t1\n2"
    mount.mkdir(parents=True)
    escaped = "".join(f"\\{ord(char):03o}" if char in " \t\n\\" else char for char in str(mount))
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 2 0:3 / /nowhere\\0401 rw\n4 5 0:6 /some {escaped} rw,relatime - x y\n")
    script = kill_script._SCRIPT.replace("/proc/self/mountinfo", str(mounts))
    monkeypatch.setattr(kill_script, "_SCRIPT", script)
    with closing(Execs(mount)) as execs:
        target = execs.start(TARGET, ["sleep", "1000"])
        assert execs.kill(shell) == KillExit.KILLED
        assert target.wait(TIMEOUT) == -signal.SIGKILL


def test_argv_says_which_exec_it_kills() -> None:
    argv = kill_command("exec-1", "box-1/exec-1.stdout.log")
    assert killed_exec(argv) == "exec-1"
    assert argv[-1] == "box-1/exec-1.stdout.log"
    assert killed_exec(argv[:4]) is None
    assert killed_exec(("bash", *argv[1:])) is None
    assert killed_exec(("sh", "-c", "echo", "name", "exec-1")) is None
