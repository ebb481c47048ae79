"""Processes of commands that really run."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

from .command import Command


class Child:
    """A started command and the process group that it leads.

    Args:
        command: The command.
        pid: Its pid on the host.
        ended: Set to the exit code; negative if a signal ended the command.
    """

    def __init__(self, command: Command, pid: int, ended: asyncio.Future[int]) -> None:
        self.command = command
        self.ended = ended
        self._pid = pid

    def is_alive(self) -> bool:
        """Return whether the command or another process of its group is running."""
        # If a process has the pid after the command has ended, it is an unrelated one: a pid
        # is reused only when its group is empty.
        return not self.ended.done() or (not _exists(self._pid) and _exists(-self._pid))

    def kill(self) -> None:
        """Kill the whole group, even if its leader has ended."""
        if self.is_alive():
            kill_group(self._pid)


def kill_group(pid: int) -> None:
    """Kill a process group, if it exists and belongs to this user."""
    with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a zombie
        os.killpg(pid, signal.SIGKILL)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
