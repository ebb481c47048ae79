"""Processes that left their process group, as daemons do with `setsid`."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .command import describe_command

MARK = "FAKE_AGBOXD_EXEC"
"""An environment variable: `<folder of the sandbox>/<exec id>`. Child processes inherit it."""


@dataclass(frozen=True)
class Stray:
    """A process that has the mark."""

    pid: int
    sandbox_id: str
    exec_id: str
    argv: tuple[str, ...]

    def __str__(self) -> str:
        return describe_command(self.sandbox_id, self.exec_id, self.argv)


def find_strays(folder: Path) -> list[Stray]:
    """Find processes whose mark names a folder below the given one.

    Only Linux shows the environment of processes; elsewhere it finds none. It also misses
    processes that cleared their environment.
    """
    wanted = os.fsencode(f"{MARK}={folder}/")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended, or another user's
            environment = (process / "environ").read_bytes().split(b"\0")
            mark = next((item for item in environment if item.startswith(wanted)), None)
            if mark is not None:
                _, sandbox_id, exec_id = os.fsdecode(mark).rsplit("/", 2)
                argv = os.fsdecode((process / "cmdline").read_bytes()).split("\0")[:-1]
                found.append(Stray(int(process.name), sandbox_id, exec_id, tuple(argv)))
    return found


def kill_strays(folder: Path) -> None:
    """Kill all processes whose mark names a folder below the given one."""
    killed: set[int] = set()
    # Repeat until there is no new one: a process can fork before it is killed.
    while pids := {stray.pid for stray in find_strays(folder)} - killed:
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed |= pids
