"""One isolated sandbox while its processes run."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

from ..child import Child
from ..command import CannotStartError, Command, bad_cwd
from ..logs import open_log, remove_log
from .launching import Launcher, Mount


class Container:
    """An isolated sandbox from the start of its first process to the end of its last one.

    Args:
        root: The folder that becomes the root.
        mounts: What to mount in it, outer ones first.
        on_start: Called with each command that was started.

    Raises:
        OSError: The launcher cannot be started.
    """

    def __init__(
        self, root: Path, mounts: Collection[Mount], on_start: Callable[[Child], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        self._on_start = on_start
        self.ready: asyncio.Future[None] = loop.create_future()
        """Set when commands can be started; a `CannotStartError`: they cannot."""
        self.ended: asyncio.Future[None] = loop.create_future()
        """Set when none of its processes is left."""
        self.ending = False
        """Whether it was told to end."""
        self._loop = loop
        self._turn = asyncio.Lock()
        self._starting: deque[tuple[Command, asyncio.Future[Child]]] = deque()
        self._children: dict[int, Child] = {}
        self._launcher = Launcher(root, mounts)
        loop.add_reader(self._launcher.socket, self._receive)

    async def start(
        self, command: Command, argv: list[str], cwd: str, env: Mapping[str, str]
    ) -> Child:
        """Start a command as leader of a session and a process group.

        Raises:
            CannotStartError: The directory cannot be entered, the command has no form for the
                system, or the container ends.
            OSError: The system refuses to start it.
        """
        await asyncio.shield(self.ready)
        # One at a time: so the socket never fills up.
        async with self._turn:
            if self.ending or self.ended.done():
                raise _ended()
            request = {"argv": argv, "cwd": cwd, "env": {**env}}
            with open_log(command.stdout_path) as stdout, open_log(command.stderr_path) as stderr:
                try:
                    self._launcher.send(request, stdout, stderr)
                except OSError:
                    _remove_logs(command)
                    raise
            started: asyncio.Future[Child] = self._loop.create_future()
            self._starting.append((command, started))
            return await asyncio.shield(started)

    def end(self) -> None:
        """Kill all its processes; `ended` is set when that is done."""
        self.ending = True
        if not self.ended.done():
            self._launcher.end()

    def close(self) -> None:
        """Kill all its processes in another way, if `end()` did not do it."""
        if not self.ended.done():
            self._close()

    def _receive(self) -> None:
        kind, *facts = self._launcher.receive() or ("gone",)
        if kind == "gone":
            self._close()
        elif kind == "ready":
            self.ready.set_result(None)
        elif kind == "failed":
            self._fail(*facts)
        elif kind == "started":
            self._started(*facts)
        elif kind == "refused":
            self._refused(*facts)
        else:
            pid, status = facts
            self._children.pop(pid).ended.set_result(os.waitstatus_to_exitcode(status))

    def _fail(self, why: str) -> None:
        self.ready.set_exception(CannotStartError(why))
        self.ready.exception()  # perhaps nobody waits for it any more

    def _started(self, pid: int) -> None:
        command, started = self._starting.popleft()
        child = Child(command, pid, self._loop.create_future())
        self._children[pid] = child
        self._on_start(child)
        started.set_result(child)

    def _refused(self, step: str, number: int | None, why: str) -> None:
        command, started = self._starting.popleft()
        _remove_logs(command)
        if step == "chdir" and number:
            started.set_exception(bad_cwd(command.cwd, os.strerror(number).lower()))
        elif number:
            started.set_exception(OSError(number, os.strerror(number)))
        else:  # a NUL
            started.set_exception(CannotStartError(why))
        started.exception()

    def _close(self) -> None:
        self._loop.remove_reader(self._launcher.socket)
        self._launcher.close()
        if not self.ready.done():
            self._fail("the launcher of the sandbox has ended")
        for _, started in self._starting:
            started.set_exception(_ended())
            started.exception()
        for child in self._children.values():
            child.ended.set_result(-signal.SIGKILL)
        self.ended.set_result(None)


def _ended() -> CannotStartError:
    return CannotStartError("the processes of the sandbox were killed")


def _remove_logs(command: Command) -> None:
    for path in (command.stdout_path, command.stderr_path):
        with suppress(OSError):  # somebody else has removed it
            remove_log(path)
