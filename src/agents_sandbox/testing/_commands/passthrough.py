"""Pass-through: commands really run, in a folder that replaces the sandbox's file system."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Collection, Sequence
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
from .copy_plan import PlannedCopy
from .filesystem import FileSystem
from .logs import open_log, remove_log
from .strays import MARK, find_strays, kill_strays
from .threads import in_thread

_FILES = "fake-agboxd-files"
"""The name of the threads that create and remove files."""

_KILL_TIMEOUT = 10.0
"""Seconds to wait for killed commands: those of another user cannot be killed."""

# A container starts with a clean environment. Of the host's, keep only what programs need to
# be found and to know the user, the language and the time zone.
_HOST_ENV = ("PATH", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


class PassThroughRunner(Runner):
    """Runs commands on the host, as the user who runs the daemon, without any protection.

    Args:
        root: A folder for the files of all sandboxes.
        clock: The daemon's clock; it is frozen while a hook runs.
        host_paths: Sources of mounts and copies that count as empty folders if they do not
            exist.
    """

    def __init__(self, root: Path, clock: Clock, host_paths: Collection[str] = ()) -> None:
        self._root = root
        self.clock = clock
        self._host_paths = host_paths
        self._children: dict[str, set[Child]] = {}
        """By sandbox; sandboxes that have run nothing have no entry."""
        self._preparing: set[str] = set()

    def _files(self, sandbox_id: str, spec: Spec) -> FileSystem:
        return FileSystem(self._root / sandbox_id, spec, self._host_paths)

    async def prepare(
        self, sandbox_id: str, spec: Spec, copies: Sequence[PlannedCopy] = ()
    ) -> None:
        """Create the mounts and copies; they stay until the sandbox is removed."""
        self._preparing.add(sandbox_id)
        try:
            await in_thread(partial(self._files(sandbox_id, spec).build, copies), _FILES)
        except (CannotPrepareError, OSError) as error:
            await self._remove_files(sandbox_id)
            raise CannotPrepareError(str(error)) from error
        finally:
            self._preparing.discard(sandbox_id)

    def process_for(self, command: Command) -> Process:
        """Make the process of a command, without starting it."""
        return HostProcess(command, self._files(command.sandbox_id, command.spec), self)

    def start(self, command: Command, cwd: Path, argv: list[str], env: dict[str, str]) -> Child:
        """Start a command with the mark and in its own process group."""
        sandbox_id = command.sandbox_id
        env[MARK] = f"{self._root}/{sandbox_id}/{command.exec_id}"
        child = Child(command, cwd, argv, env)
        children = self._children.setdefault(sandbox_id, set())
        children.add(child)

        def ended(_: asyncio.Future[int]) -> None:
            if not child.is_alive():
                children.discard(child)

        child.ended.add_done_callback(ended)
        return child

    def kill(self, sandbox_id: str) -> None:
        """Kill the process groups of a sandbox, and on Linux also processes that left them."""
        if sandbox_id in self._children:
            _kill(self._children[sandbox_id], self._root / sandbox_id)

    async def remove(self, sandbox_id: str) -> None:
        """Kill what still runs, wait for it to end, and remove the files."""
        self.kill(sandbox_id)
        await _wait_until_ended(self._children.pop(sandbox_id, set()))
        # A delete during a create finds no files, and the create continues.
        if sandbox_id not in self._preparing:
            await self._remove_files(sandbox_id)

    async def _remove_files(self, sandbox_id: str) -> None:
        await in_thread(partial(remove_tree, self._root / sandbox_id), _FILES)

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
            *(str(stray) for stray in strays if (stray.sandbox_id, stray.exec_id) not in listed),
        ]

    async def aclose(self) -> None:
        """Remove every sandbox."""
        if self._children:
            children = set[Child]().union(*self._children.values())
            _kill(children, self._root)
            await _wait_until_ended(children)
        # Not in a thread: at interpreter exit, none can be started.
        remove_tree(self._root)


class HostProcess(Process):
    """The process of one command on the host, before its start and while it runs."""

    def __init__(self, command: Command, files: FileSystem, runner: PassThroughRunner) -> None:
        self._command = command
        self._files = files
        self._runner = runner

    async def run(self) -> int:
        """Run the command to its end; a cancellation does not stop the process."""
        command, files = self._command, self._files
        wanted = command.cwd or WORKSPACE
        cwd = files.host_path(wanted)
        argv = [files.rewritten(argument) for argument in command.argv]
        try:
            child = self._runner.start(command, cwd, argv, self._environment())
        except ValueError as error:  # a NUL
            raise CannotStartError(str(error)) from error
        except OSError as error:
            if error.filename != cwd:
                raise
            raise bad_cwd(wanted, os.strerror(error.errno or 0).lower()) from error
        ended = asyncio.shield(child.ended)
        clock = self._runner.clock
        # Freeze for hooks: a test cannot wait for the end of a companion's hook.
        code = await (clock.hesitate_during if command.exec_id else clock.freeze_during)(ended)
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
                popen = subprocess.Popen(  # noqa: S603 - the purpose of passthrough
                    # With `exec`, a missing program is an error of the shell, code 127 or 126,
                    # and not a failed start.
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
        except RuntimeError as error:  # some Pythons start no threads at interpreter exit
            _kill_group(popen.pid)
            popen.wait()
            raise CannotStartError(str(error)) from error

    def is_alive(self) -> bool:
        """Return whether the command or another process of its group is running."""
        # If a process has the pid after the command has ended, it is an unrelated one: a pid
        # is reused only when its group is empty.
        return not self.ended.done() or (not _exists(self._pid) and _exists(-self._pid))

    def kill(self) -> None:
        """Kill the whole group, even if its leader has ended."""
        if self.is_alive():
            _kill_group(self._pid)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a zombie
        os.killpg(pid, signal.SIGKILL)


def _kill(children: Collection[Child], folder: Path) -> None:
    for child in children:
        child.kill()
    kill_strays(folder)


async def _wait_until_ended(children: Collection[Child]) -> None:
    if children:
        await asyncio.wait([child.ended for child in children], timeout=_KILL_TIMEOUT)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
