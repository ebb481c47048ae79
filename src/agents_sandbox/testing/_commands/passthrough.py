"""Pass-through: commands really run, in a folder that stands for the sandbox's files."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from pathlib import Path

from .._host.folders import remove_tree
from .._protocol.spec import WORKSPACE, Spec
from .._time.clock import Clock
from .command import (
    CannotPrepareError,
    CannotStartError,
    Command,
    Process,
    Runner,
    bad_cwd,
)
from .filesystem import FileSystem
from .logs import open_log, remove_log
from .strays import MARK, find_strays, kill_strays
from .threads import in_thread

_FILES = "fake-agboxd-files"
"""The name of the threads that lay out and remove files."""

_PATIENCE = 10.0
"""Seconds before a killed command is given up: one of another user's cannot be killed."""

# A container starts with a clean environment: from the host comes only what finds
# programs and says who the user is and how to talk to them.
_HOST_ENV = ("PATH", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


class PassThroughRunner(Runner):
    """Runs commands on the host, as the user who runs the daemon. It protects nothing.

    Args:
        root: A folder for the files of all sandboxes.
        clock: The daemon's; it stands still while a hook runs.
        pretended: Sources of mounts and copies that count as empty folders where they
            are not there.
    """

    def __init__(self, root: Path, clock: Clock, pretended: Collection[str] = ()) -> None:
        self._root = root
        self.clock = clock
        self._pretended = pretended
        self._children: dict[str, set[Child]] = {}
        """By sandbox; one without an entry has run nothing yet."""
        self._preparing: set[str] = set()

    def _files(self, sandbox_id: str, spec: Spec) -> FileSystem:
        return FileSystem(self._root / sandbox_id, spec, self._pretended)

    async def prepare(self, sandbox_id: str, spec: Spec) -> None:
        """Lay out the mounts and copies; they stay until the sandbox is removed."""
        self._preparing.add(sandbox_id)
        try:
            await in_thread(self._files(sandbox_id, spec).build, _FILES)
        except (CannotPrepareError, OSError) as error:
            await self._remove_files(sandbox_id)
            raise CannotPrepareError(str(error)) from error
        finally:
            self._preparing.discard(sandbox_id)

    def process_for(self, command: Command) -> Process:
        """Prepare to run a command on the host."""
        return HostProcess(command, self._files(command.sandbox_id, command.spec), self)

    def start(self, command: Command, cwd: Path, argv: list[str], env: dict[str, str]) -> Child:
        """Start a command, marked and in a process group of its own."""
        sandbox_id = command.sandbox_id
        env[MARK] = f"{self._root}/{sandbox_id}/{command.exec_id}"
        child = Child(command, cwd, argv, env)
        children = self._children.setdefault(sandbox_id, set())
        children.add(child)

        def ended(_: asyncio.Future[int]) -> None:
            if not child.lives():
                children.discard(child)

        child.ended.add_done_callback(ended)
        return child

    def kill(self, sandbox_id: str) -> None:
        """Kill the process groups of a sandbox, and on Linux also what left its own."""
        if sandbox_id in self._children:
            _kill(self._children[sandbox_id], self._root / sandbox_id)

    async def remove(self, sandbox_id: str) -> None:
        """Kill what is left, wait a while for it to be gone, remove the files."""
        self.kill(sandbox_id)
        await _gone(self._children.pop(sandbox_id, set()))
        # A delete in the middle of a create finds nothing, and the create goes on.
        if sandbox_id not in self._preparing:
            await self._remove_files(sandbox_id)

    async def _remove_files(self, sandbox_id: str) -> None:
        await in_thread(partial(remove_tree, self._root / sandbox_id), _FILES)

    def running(self) -> list[str]:
        """What really runs, background jobs and what left its process group included."""
        commands = [
            child.command
            for children in self._children.values()
            for child in children
            if child.lives()
        ]
        told = {(command.sandbox_id, command.exec_id) for command in commands}
        strays = find_strays(self._root) if self._children else []
        return [
            *map(str, commands),
            *(str(stray) for stray in strays if (stray.sandbox_id, stray.exec_id) not in told),
        ]

    async def aclose(self) -> None:
        """Remove every sandbox."""
        if self._children:
            children = set[Child]().union(*self._children.values())
            _kill(children, self._root)
            await _gone(children)
        # Not in a thread: at the interpreter's exit there are none to be had.
        remove_tree(self._root)


class HostProcess(Process):
    """The process of one command, before and while it runs on the host."""

    def __init__(self, command: Command, files: FileSystem, runner: PassThroughRunner) -> None:
        self._command = command
        self._files = files
        self._runner = runner

    async def run(self) -> int:
        """Run the command to its end; a cancellation leaves it running."""
        command, files = self._command, self._files
        wanted = command.cwd or WORKSPACE
        cwd = files.host_path(wanted)
        if not cwd.is_dir():
            raise bad_cwd(wanted, "no such file or directory")
        argv = [files.rewritten(argument) for argument in command.argv]
        try:
            child = self._runner.start(command, cwd, argv, self._environment())
        except ValueError as error:  # a NUL, or `=` in a name
            raise CannotStartError(str(error)) from error
        ended = asyncio.shield(child.ended)
        # Nobody waits for the end of a hook of a companion, so none could tell how long.
        code = await (ended if command.exec_id else self._runner.clock.freeze_during(ended))
        return code if code >= 0 else 128 - code

    def _environment(self) -> dict[str, str]:
        own = self._command.full_env.items()
        return {
            **{name: os.environ[name] for name in _HOST_ENV if name in os.environ},
            "HOME": str(self._files.home),
            "HOST_UID": str(os.getuid()),
            "HOST_GID": str(os.getgid()),
            **{name: self._files.rewritten(value) for name, value in own},
        }


class Child:
    """A started command and the process group that it leads."""

    def __init__(self, command: Command, cwd: Path, argv: list[str], env: dict[str, str]) -> None:
        self.command = command
        with open_log(command.stdout_path) as stdout, open_log(command.stderr_path) as stderr:
            try:
                popen = subprocess.Popen(  # noqa: S603 - what passthrough is for
                    # `exec` makes a missing program the shell's complaint, code 127 or 126,
                    # instead of a failed start.
                    ["sh", "-c", 'exec "$@"', "--", *argv],  # noqa: S607 - as in an image
                    cwd=cwd,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    start_new_session=True,
                )
            except (OSError, ValueError):
                remove_log(command.stdout_path)
                remove_log(command.stderr_path)
                raise
        self._pid = popen.pid
        self.ended: asyncio.Future[int]
        """Set to the exit code; negative if a signal ended the command."""
        try:
            self.ended = in_thread(popen.wait, f"fake-agboxd-exec-{popen.pid}")
        except RuntimeError as error:  # at the interpreter's exit some Pythons refuse threads
            _kill_group(popen.pid)
            popen.wait()
            raise CannotStartError(str(error)) from error

    def lives(self) -> bool:
        """Whether the command or something else of its group is there."""
        # A process of that number, once the command has ended, is a stranger: the group is
        # empty, else its number were not given away.
        return not self.ended.done() or (not _exists(self._pid) and _exists(-self._pid))

    def kill(self) -> None:
        """Kill the whole group, also when its leader is gone already."""
        if self.lives():
            _kill_group(self._pid)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a zombie
        os.killpg(pid, signal.SIGKILL)


def _kill(children: Collection[Child], folder: Path) -> None:
    for child in children:
        child.kill()
    kill_strays(folder)


async def _gone(children: Collection[Child]) -> None:
    if children:
        await asyncio.wait([child.ended for child in children], timeout=_PATIENCE)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
