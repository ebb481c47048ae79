"""What the ways to really run commands have in common."""

from __future__ import annotations

import asyncio
import os
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .._host.folders import remove_tree
from .._protocol.spec import Spec
from .._time.clock import Clock
from .child import Child
from .command import CannotPrepareError, CannotStartError, Command, Process, Runner
from .copy_plan import PlannedCopy
from .strays import MARK, find_strays
from .threads import in_thread

FILES = "fake-agboxd-files"
"""The name of the threads that create and remove files."""

_KILL_TIMEOUT = 10.0
"""Seconds to wait for killed commands: those of another user cannot be killed."""

# A container starts with a clean environment. Of the host's, keep only what programs need to
# be found and to know the user, the language and the time zone.
_HOST_ENV = ("PATH", "USER", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")


class RealRunner(Runner):
    """Runs commands on the host, as the user who runs the daemon.

    Args:
        root: A folder for the files of all sandboxes.
        clock: The daemon's clock; it is frozen while a hook runs.
        host_paths: Sources of mounts and copies that count as empty folders if they do not
            exist.
    """

    def __init__(self, root: Path, clock: Clock, host_paths: Collection[str] = ()) -> None:
        self.clock = clock
        self._root = root
        self._host_paths = host_paths
        self._children: dict[str, set[Child]] = {}
        """By sandbox; sandboxes that have run nothing have no entry."""
        self._preparing: set[str] = set()
        self.starting: set[Command] = set()
        """Commands that are about to run."""

    @abstractmethod
    async def _build(self, sandbox_id: str, spec: Spec, copies: Sequence[PlannedCopy]) -> None:
        """Create the files of a sandbox, with what its copies bring, in order.

        Raises:
            CannotPrepareError: They cannot be created.
            OSError: They cannot be read or written.
        """

    @abstractmethod
    async def start(self, command: Command) -> Child:
        """Start a command.

        Raises:
            CannotStartError: Its directory cannot be entered, or its sandbox ends.
            OSError: The system refuses to start it.
            ValueError: A text of it contains a NUL.
        """

    @abstractmethod
    def _kill(self, sandbox_id: str | None) -> Collection[asyncio.Future[Any]]:
        """Kill the processes of a sandbox, None: of all; return what is set when they ended."""

    async def prepare(
        self, sandbox_id: str, spec: Spec, copies: Sequence[PlannedCopy] = ()
    ) -> None:
        """Create the mounts and copies; they stay until the sandbox is removed."""
        self._preparing.add(sandbox_id)
        try:
            await self._build(sandbox_id, spec, copies)
        except (CannotPrepareError, OSError) as error:
            await self._remove_files(sandbox_id)
            raise CannotPrepareError(str(error)) from error
        finally:
            self._preparing.discard(sandbox_id)

    def process_for(self, command: Command) -> Process:
        """Make the process of a command, without starting it."""
        return RealProcess(command, self)

    def _environment(self, command: Command, home: str, own: Mapping[str, str]) -> dict[str, str]:
        """Add the sandbox's own variables to those that every command has."""
        return {
            **{name: os.environ[name] for name in _HOST_ENV if name in os.environ},
            "HOME": home,
            "HOST_UID": str(os.getuid()),
            "HOST_GID": str(os.getgid()),
            **own,
            MARK: f"{self._root}/{command.sandbox_id}/{command.exec_id}",
        }

    def _watch(self, child: Child) -> None:
        """Remember a started command for as long as its process group exists."""
        children = self._children.setdefault(child.command.sandbox_id, set())
        children.add(child)

        def ended(_: asyncio.Future[int]) -> None:
            if not child.is_alive():
                children.discard(child)

        child.ended.add_done_callback(ended)

    def kill(self, sandbox_id: str) -> None:
        """Kill all processes of a sandbox."""
        self._kill(sandbox_id)

    async def remove(self, sandbox_id: str) -> None:
        """Kill what still runs, wait for it to end, and remove the files."""
        await _wait(self._kill(sandbox_id))
        self._children.pop(sandbox_id, None)
        # A delete during a create finds no files, and the create continues.
        if sandbox_id not in self._preparing:
            await self._remove_files(sandbox_id)

    async def _remove_files(self, sandbox_id: str) -> None:
        await in_thread(partial(remove_tree, self._root / sandbox_id), FILES)

    def running(self) -> list[str]:
        """What runs, including background jobs and processes that left their process group."""
        commands = [
            child.command
            for children in self._children.values()
            for child in children
            if child.is_alive()
        ]
        listed = {(command.sandbox_id, command.exec_id) for command in commands}
        strays = find_strays(self._root) if self._children else []
        return [
            *map(str, commands),
            *map(str, self.starting),
            *(
                str(stray)
                for stray in strays
                # Others have been killed, and are about to end.
                if stray.sandbox_id in self._children
                and (stray.sandbox_id, stray.exec_id) not in listed
            ),
        ]

    async def aclose(self) -> None:
        """Remove every sandbox."""
        await _wait(self._kill(None))
        # Not in a thread: at interpreter exit, none can be started.
        remove_tree(self._root)


class RealProcess(Process):
    """The process of one command, before its start and while it runs."""

    on_host = True

    def __init__(self, command: Command, runner: RealRunner) -> None:
        self._command = command
        self._runner = runner

    async def run(self) -> int:
        """Run the command to its end; a cancellation does not stop the process."""
        clock = self._runner.clock
        # Freeze for hooks: a test cannot wait for the end of a companion's hook.
        take_time = clock.hesitate_during if self._command.exec_id else clock.freeze_during
        code = await take_time(self._run())
        return code if code >= 0 else 128 - code

    async def _run(self) -> int:
        self._runner.starting.add(self._command)
        try:
            child = await self._runner.start(self._command)
        except ValueError as error:  # a NUL
            raise CannotStartError(str(error)) from error
        finally:
            self._runner.starting.discard(self._command)
        return await asyncio.shield(child.ended)


def as_in_docker(argv: Sequence[str]) -> list[str]:
    """Let a shell start the program, as the daemon does.

    So a missing program is an error of the shell, code 127 or 126, and not a failed start.
    """
    return ["sh", "-c", 'exec "$@"', "--", *argv]


async def _wait(ends: Collection[asyncio.Future[Any]]) -> None:
    if ends:
        await asyncio.wait(ends, timeout=_KILL_TIMEOUT)
