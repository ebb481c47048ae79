"""Execs: their records, their ids over all sandboxes, and how they end."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from .._wire import v02_pb2 as pb
from ._background import Background
from ._errors import (
    exec_already_terminal,
    exec_id_already_exists,
    exec_not_found,
    exec_output_failed,
    invalid_argument,
    sandbox_not_ready,
)
from ._folders import make_folders
from ._ids import IdRegistry
from ._logs import log_paths
from ._sandbox import Sandbox

KILLED = 128 + 9
"""The exit code of what a stop or a delete kills."""


class CannotStartError(Exception):
    """The process could not even be started; there is no exit code."""


class Process(ABC):
    """What stands for the process of one exec."""

    @abstractmethod
    async def run(self) -> int:
        """Run to the end and return the exit code.

        Raises:
            CannotStartError: There was nothing to run.
        """


class Runner(ABC):
    """What executes commands."""

    @abstractmethod
    def process_for(self, item: Exec) -> Process:
        """Prepare the process of an exec that was just accepted."""

    @abstractmethod
    def kill(self, sandbox_id: str) -> None:
        """Kill all processes of a sandbox."""

    @abstractmethod
    async def remove(self, sandbox_id: str) -> None:
        """Remove the files of a deleted sandbox, processes first; the logs stay."""

    @abstractmethod
    async def aclose(self) -> None:
        """Remove every sandbox."""


class Exec:
    """One exec, from its acceptance until the record of its sandbox is purged."""

    def __init__(
        self,
        exec_id: str,
        sandbox: Sandbox,
        request: pb.CreateExecRequest,
        log_root: Path,
    ) -> None:
        self.id = exec_id
        self.sandbox = sandbox
        self.command = tuple(request.command)
        self.cwd = request.cwd
        self.env_overrides: Mapping[str, str] = dict(request.env_overrides)
        self.stdout_path, self.stderr_path = log_paths(log_root, sandbox.id, exec_id)
        self.state: pb.ExecState = pb.EXEC_STATE_RUNNING
        self.exit_code = 0
        self.error = ""
        self.task: asyncio.Task[None]

    @property
    def running(self) -> bool:
        """Whether it has not ended; a cancelled one has, though its process goes on."""
        return self.state == pb.EXEC_STATE_RUNNING

    def status(self) -> pb.ExecStatus:
        """What GetExec answers; the sequence is the sandbox's newest, not the exec's."""
        return pb.ExecStatus(
            exec_id=self.id,
            sandbox_id=self.sandbox.id,
            state=self.state,
            command=self.command,
            cwd=self.cwd,
            env_overrides=self.env_overrides,
            exit_code=self.exit_code,
            error=self.error,
            last_event_sequence=self.sandbox.log.head,
        )

    def started(self) -> None:
        """Record that the exec was accepted."""
        self._record(pb.EXEC_STARTED)

    def cancelled(self) -> None:
        """End as CANCELLED, whatever the process does."""
        self.state = pb.EXEC_STATE_CANCELLED
        self._record(pb.EXEC_CANCELLED)

    def exited(self, exit_code: int) -> None:
        """End with an exit code; only 0 is a success."""
        if exit_code:
            self.failed(f"docker exec failed: exit code {exit_code}", exit_code)
        else:
            self.state = pb.EXEC_STATE_FINISHED
            self._record(pb.EXEC_FINISHED)

    def failed(self, error: str, exit_code: int = 0, code: str = "EXEC_RUN_FAILED") -> None:
        """End as FAILED."""
        self.state = pb.EXEC_STATE_FAILED
        self.exit_code = exit_code
        self.error = error
        self._record(pb.EXEC_FAILED, error_code=code, error_message=error)

    def _record(
        self, event_type: pb.EventType, *, error_code: str = "", error_message: str = ""
    ) -> None:
        details = pb.ExecEventDetails(
            exec_id=self.id,
            exit_code=self.exit_code,
            exec_state=self.state,
            error_code=error_code,
            error_message=error_message,
        )
        self.sandbox.record(event_type, exec_details=details)


class Execs:
    """All execs of the daemon."""

    def __init__(self, background: Background, runner: Runner, log_root: Path) -> None:
        self._background = background
        self._runner = runner
        self._log_root = log_root
        self._ids = IdRegistry("exec_id", exec_id_already_exists)
        self._execs: dict[str, Exec] = {}

    def create(self, sandbox: Sandbox, request: pb.CreateExecRequest) -> Exec:
        """Accept an exec and set it going."""
        if sandbox.state != pb.SANDBOX_STATE_READY:
            raise sandbox_not_ready(sandbox.id)
        if not request.command:
            raise invalid_argument("command must not be empty")
        exec_id = self._ids.check(request.exec_id)
        item = Exec(exec_id, sandbox, request, self._log_root)
        process = self._runner.process_for(item)
        try:
            make_folders(item.stdout_path.parent)
        except OSError as error:
            raise exec_output_failed(str(error)) from error
        self._ids.take(exec_id)
        self._execs[exec_id] = sandbox.execs[exec_id] = item
        item.started()
        item.task = self._background.spawn(self._run(item, process))
        return item

    async def _run(self, item: Exec, process: Process) -> None:
        await self._background.step()
        if not item.running:
            return
        try:
            _refuse_relative(item.cwd)
            exit_code = await process.run()
        except (CannotStartError, OSError) as error:
            await self._background.step()
            if item.running:
                item.failed(str(error))
        else:
            await self._background.step()
            if item.running:
                item.exited(exit_code)

    def get(self, exec_id: str) -> Exec:
        """Look up an exec, ended or not."""
        if exec_id not in self._execs:
            raise exec_not_found(exec_id)
        return self._execs[exec_id]

    def cancel(self, exec_id: str) -> None:
        """End a running exec; its process, once started, is left alone."""
        item = self.get(exec_id)
        if not item.running:
            raise exec_already_terminal(exec_id)
        item.cancelled()

    def active(self, sandbox_id: str | None) -> list[Exec]:
        """The running execs by id: of one sandbox, or of all."""
        return sorted(
            (
                item
                for item in self._execs.values()
                if item.running and sandbox_id in (None, item.sandbox.id)
            ),
            key=lambda item: item.id,
        )

    def kill_all(self, sandbox: Sandbox) -> None:
        """End what runs in a sandbox whose container is gone."""
        for item in sandbox.execs.values():
            if item.running:
                item.exited(KILLED)
            item.task.cancel()
        self._runner.kill(sandbox.id)

    async def prepare(self, sandbox: Sandbox) -> None:
        """Make the file system of a sandbox."""

    async def run_hook(self, sandbox: Sandbox, script: str, envs: Mapping[str, str]) -> int:
        """Run a hook."""
        return 0

    def interrupted(self, sandbox: Sandbox) -> None:
        """Fail what ran when the daemon went down."""
        for item in sandbox.execs.values():
            if item.running:
                item.failed("exec was running when daemon restarted", code="DAEMON_RESTARTED")

    async def remove_files(self, sandbox: Sandbox) -> None:
        """Remove what the execs left on disk but their logs."""
        await self._runner.remove(sandbox.id)

    def forget(self, sandbox: Sandbox) -> None:
        """Drop the records of a purged sandbox; the ids stay taken."""
        for exec_id in sandbox.execs:
            del self._execs[exec_id]


def _refuse_relative(cwd: str) -> None:
    if cwd and not cwd.startswith("/"):
        raise CannotStartError(bad_cwd(cwd, "Cwd must be an absolute path"))


def bad_cwd(cwd: str, why: str) -> str:
    """Docker's complaint about a working directory."""
    return (
        "Error response from daemon: OCI runtime exec failed: exec failed: unable to start "
        f'container process: chdir to cwd ("{cwd}") set in config.json failed: {why}: unknown'
    )
