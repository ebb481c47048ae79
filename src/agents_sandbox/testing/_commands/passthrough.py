"""Pass-through: commands really run, in a folder that replaces the sandbox's file system."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..._shared.helpers import PATH_INDEX, decoded_path, encoded_path, is_for_files
from .._protocol.spec import WORKSPACE, Spec
from .child import Child, kill_group
from .command import CannotStartError, Command, bad_cwd
from .copy_plan import PlannedCopy
from .filesystem import FileSystem
from .logs import open_log, remove_log
from .real import FILES, RealRunner, as_in_docker
from .strays import kill_strays
from .threads import in_thread


class PassThroughRunner(RealRunner):
    """Runs commands without any protection."""

    def _files(self, sandbox_id: str, spec: Spec) -> FileSystem:
        return FileSystem(self._root / sandbox_id, spec, self._host_paths)

    async def _build(self, sandbox_id: str, spec: Spec, copies: Sequence[PlannedCopy]) -> None:
        await in_thread(partial(self._files(sandbox_id, spec).build, copies), FILES)

    async def resume(self, sandbox_id: str, spec: Spec) -> None:
        """Do nothing: the files are there."""

    async def start(self, command: Command) -> Child:
        """Start a command in its own process group."""
        files = self._files(command.sandbox_id, command.spec)
        wanted = command.cwd or WORKSPACE
        cwd = files.host_path(wanted)
        argv = self._argv(command, files)
        own = {name: files.rewritten(value) for name, value in command.full_env.items()}
        if "TMPDIR" in os.environ:
            own.setdefault("TMPDIR", os.environ["TMPDIR"])
        env = self._environment(command, str(files.home), own)
        try:
            child = _start(command, cwd, argv, env)
        except OSError as error:
            if error.filename != cwd:
                raise
            raise bad_cwd(wanted, os.strerror(error.errno or 0).lower()) from error
        self._watch(child)
        return child

    def _argv(self, command: Command, files: FileSystem) -> list[str]:
        """Return the argv with paths of the host."""
        request = list(command.request)
        if is_for_files(request):  # its script and its data contain no paths
            path = os.fsdecode(decoded_path(request[PATH_INDEX]))
            request[PATH_INDEX] = encoded_path(os.fsencode(files.rewritten(path)))
            return request
        own = len(request) - len(command.argv)
        return request[:own] + [files.rewritten(argument) for argument in command.argv]

    def _kill(self, sandbox_id: str | None) -> Collection[asyncio.Future[Any]]:
        """Kill the process groups, and on Linux also processes that left them."""
        if sandbox_id is None:
            children = set[Child]().union(*self._children.values())
        else:
            children = self._children.get(sandbox_id, set())
        for child in children:
            child.kill()
        if self._children if sandbox_id is None else sandbox_id in self._children:
            kill_strays(self._root / (sandbox_id or ""))
        return [child.ended for child in children]


def _start(command: Command, cwd: Path, argv: list[str], env: dict[str, str]) -> Child:
    with open_log(command.stdout_path) as stdout, open_log(command.stderr_path) as stderr:
        try:
            popen = subprocess.Popen(  # noqa: S603 - the purpose of passthrough
                as_in_docker(argv),
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
    try:
        ended = in_thread(popen.wait, f"fake-agboxd-exec-{popen.pid}")
    except RuntimeError as error:  # some Pythons start no threads at interpreter exit
        kill_group(popen.pid)
        popen.wait()
        raise CannotStartError(str(error)) from error
    return Child(command, popen.pid, ended)
