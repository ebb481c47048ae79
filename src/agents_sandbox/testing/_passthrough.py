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
from ._logs import open_log

WORKSPACE = "/workspace"

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
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def start(self, item: Exec, cwd: Path) -> Child:
        """Start the command of an exec in a process group of its own."""
        child = Child(item, cwd)
        self._children.setdefault(item.sandbox.id, []).append(child)
        return child

    def kill(self, sandbox_id: str) -> None:
        """Kill every process group of the sandbox."""
        for child in self._children.get(sandbox_id, ()):
            child.kill()

    async def remove(self, sandbox_id: str) -> None:
        """Kill what is left, wait for it to be gone, remove the workspace."""
        self.kill(sandbox_id)
        for child in tuple(self._children.get(sandbox_id, ())):
            await child.wait()
        self._children.pop(sandbox_id, None)
        shutil.rmtree(self._root / sandbox_id, ignore_errors=True)

    async def aclose(self) -> None:
        """Remove every sandbox."""
        for sandbox_id in tuple(self._children):
            await self.remove(sandbox_id)


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
        code = await child.wait()
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
        self._ended: asyncio.Future[int] = loop.create_future()
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
        threading.Thread(target=self._watch, args=(loop,), daemon=True).start()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        code = self._popen.wait()
        loop.call_soon_threadsafe(self._ended.set_result, code)

    async def wait(self) -> int:
        """The exit code; negative if a signal ended it."""
        return await asyncio.shield(self._ended)

    def kill(self) -> None:
        """Kill the whole group, also when its leader is gone already."""
        if self._ended.done() and _exists(self._popen.pid):
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
