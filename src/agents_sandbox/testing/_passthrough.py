"""Pass-through execs: the command really runs, in a folder of the sandbox's own."""

from __future__ import annotations

import asyncio
import os
import posixpath
import shutil
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from ._execs import CannotStartError, Exec, Process, Runner, bad_cwd
from ._folders import make_folders
from ._logs import open_log

WORKSPACE = "/workspace"

_PATIENCE = 10.0
"""Seconds before a killed command is given up: one of another user's cannot be killed."""

# A container starts with a clean environment: from the host comes only what finds
# programs and says who and where the user is.
_HOST_ENV = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


class PassThroughRunner(Runner):
    """Runs commands on the host, as the user who runs the daemon. It protects nothing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._children: dict[str, list[Child]] = {}

    def process_for(self, item: Exec) -> HostProcess:
        """Prepare to run the command of an exec."""
        return HostProcess(item, self)

    def workspace(self, sandbox_id: str) -> Path:
        """The folder that stands for `/workspace`; it outlives a stop."""
        folder = self._root / sandbox_id
        make_folders(folder)
        return folder

    def start(self, item: Exec, cwd: Path) -> Child:
        """Start the command of an exec in a process group of its own."""
        child = Child(item, cwd)
        self._children.setdefault(item.sandbox.id, []).append(child)
        return child

    def kill(self, sandbox_id: str) -> None:
        """Kill every process group of the sandbox; a process that left its own lives on."""
        for child in self._children.get(sandbox_id, ()):
            child.kill()

    async def remove(self, sandbox_id: str) -> None:
        """Kill what is left, wait a while for it to be gone, remove the workspace."""
        self.kill(sandbox_id)
        ends = [child.ended for child in self._children.get(sandbox_id, ())]
        if ends:
            await asyncio.wait(ends, timeout=_PATIENCE)
        self._children.pop(sandbox_id, None)
        shutil.rmtree(self._root / sandbox_id, ignore_errors=True)

    async def aclose(self) -> None:
        """Remove every sandbox."""
        await asyncio.gather(*(self.remove(sandbox_id) for sandbox_id in tuple(self._children)))


class HostProcess(Process):
    """The process of one exec, before and while it runs on the host."""

    def __init__(self, item: Exec, runner: PassThroughRunner) -> None:
        self._item = item
        self._runner = runner

    async def run(self) -> int:
        """Run the command to its end; a cancellation leaves it running."""
        cwd = self._host_cwd()
        if not cwd.is_dir():
            raise CannotStartError(bad_cwd(self._item.cwd, "no such file or directory"))
        try:
            child = self._runner.start(self._item, cwd)
        except ValueError as error:  # a NUL, or `=` in a name
            raise CannotStartError(str(error)) from error
        code = await asyncio.shield(child.ended)
        return code if code >= 0 else 128 - code

    def _host_cwd(self) -> Path:
        workspace = self._runner.workspace(self._item.sandbox.id)
        cwd = posixpath.normpath(self._item.cwd or WORKSPACE)
        if cwd == WORKSPACE or cwd.startswith(f"{WORKSPACE}/"):
            return workspace / cwd[len(WORKSPACE) + 1 :]
        return Path(cwd)


class Child:
    """A started command and the process group that it leads."""

    def __init__(self, item: Exec, cwd: Path) -> None:
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = loop.create_future()
        """Set to the exit code; negative if a signal ended the command."""
        with open_log(item.stdout_path) as stdout, open_log(item.stderr_path) as stderr:
            self._popen = subprocess.Popen(  # noqa: S603 - what passthrough is for
                # `exec` makes a missing program the shell's complaint, code 127 or 126,
                # instead of a failed start.
                ["sh", "-c", 'exec "$@"', "--", *item.command],  # noqa: S607 - as in an image
                cwd=cwd,
                env=_environment(item),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        name = f"fake-agboxd-exec-{self._popen.pid}"
        threading.Thread(target=self._watch, name=name, args=(loop,), daemon=True).start()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        code = self._popen.wait()
        with suppress(RuntimeError):  # given up: the loop is closed
            loop.call_soon_threadsafe(self.ended.set_result, code)

    def kill(self) -> None:
        """Kill the whole group, also when its leader is gone already."""
        if self.ended.done() and _exists(self._popen.pid):
            return  # the group is empty: its number was given to a stranger
        with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a zombie
            os.killpg(self._popen.pid, signal.SIGKILL)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _environment(item: Exec) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in _HOST_ENV if name in os.environ},
        "HOST_UID": str(os.getuid()),
        "HOST_GID": str(os.getgid()),
        **item.sandbox.spec.envs,
        **item.env_overrides,
    }
