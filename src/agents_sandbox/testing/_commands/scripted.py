"""Scripted commands: they follow the scripts of the test, and nothing runs on the host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from ..._shared.helpers import KillExit, is_for_files, killed_exec
from .._protocol.spec import Spec
from .._time.clock import Sleep
from .command import CannotStartError, Command, Process, Runner
from .copy_plan import PlannedCopy
from .files import FilesRunner
from .handlers import ExecContext, ExecHandler, HandlerError, Output, run_handler
from .on_exec import Plan, StartFailure, Wait
from .scripts import Scripts, Unscripted


class UnscriptedRunner(Runner):
    """Runs commands without a script: they print nothing and exit with 0, or fail.

    The client's own commands for files really work on the files of the sandbox.

    Args:
        scripts: Is told about each command.
        files: Runs the commands for files.
        fail: Whether the other commands cannot be started, and are errors of the test.
    """

    def __init__(self, scripts: Scripts, files: FilesRunner, *, fail: bool = False) -> None:
        self._scripts = scripts
        self._files = files
        self._fail = fail

    async def prepare(
        self, sandbox_id: str, spec: Spec, copies: Sequence[PlannedCopy] = ()
    ) -> None:
        """Remember what the copies bring."""
        await self._files.prepare(sandbox_id, spec, copies)

    async def resume(self, sandbox_id: str, spec: Spec) -> None:
        """Do nothing: there are no processes."""

    def process_for(self, command: Command) -> Process:
        """Make a process that does nothing, or cannot be started, unless it is the client's own."""
        if killed_exec(command.argv) is not None:
            return _KillProcess(command, lambda: False)
        if is_for_files(command.request):
            return self._files.process_for(command)
        return self._unscripted(command, _stdin_of(command, self))

    def _unscripted(self, command: Command, _stdin: bytes) -> Process:
        if not self._fail:
            self._scripts.note_unscripted(command)
            return _SilentProcess(command)
        noted = self._report(command)
        why = "unscripted command: no on_exec() matches it"
        return _RefusedProcess("; close: ".join((why, *noted.close)))

    def _report(self, command: Command, close: Sequence[str] | None = None) -> Unscripted:
        """Let a command fail the test; `close` says what came close, if the scripts do not."""
        noted = self._scripts.note_unscripted(command, close)
        self._scripts.keep_error(AssertionError(f"unscripted command: {noted}"))
        return noted

    def take_file(self, command: Command, path: str) -> bytes:
        """Read and remove a file of a command's sandbox."""
        return self._files.take_file(command, path)

    def kill(self, sandbox_id: str) -> None:
        """Kill the commands for files."""
        self._files.kill(sandbox_id)

    async def remove(self, sandbox_id: str) -> None:
        """Remove the files of a deleted sandbox."""
        await self._files.remove(sandbox_id)

    def running(self) -> list[str]:
        """The commands for files; every other one ends immediately."""
        return self._files.running()

    async def aclose(self) -> None:
        """Remove every sandbox."""
        await self._files.aclose()


def _stdin_of(command: Command, runner: Runner) -> bytes:
    """Read the input of a command that does not really run, and remove its file."""
    stdin = command.stdin
    if stdin is None:
        return b""
    if not stdin.is_in_file:
        return stdin.decoded()
    with suppress(OSError):  # an interrupted client has removed it
        return runner.take_file(command, stdin.file)
    return b""


class _SilentProcess(Process):
    def __init__(self, command: Command) -> None:
        self._command = command

    async def run(self) -> int:
        Output(self._command).close()
        return 0


class _KillProcess(Process):
    """The client's own script that kills an exec."""

    def __init__(self, command: Command, kill: Callable[[], bool]) -> None:
        self._command = command
        self._kill = kill

    async def run(self) -> int:
        Output(self._command).close()
        return KillExit.KILLED if self._kill() else KillExit.NOT_FOUND


class _RefusedProcess(Process):
    def __init__(self, why: str) -> None:
        self._why = why

    async def run(self) -> int:
        raise CannotStartError(self._why)


class ScriptedRunner(Runner):
    """Runs the scripts that match, and leaves other commands to another runner.

    Args:
        scripts: The scripts.
        fallback: Runs the commands that no script matches, and owns the files of the sandboxes.
        sleep: Waits for the delays of the scripts.
        note: Is told about each command that a script matches, and its input.
    """

    def __init__(
        self,
        scripts: Scripts,
        fallback: Runner,
        sleep: Sleep = asyncio.sleep,
        note: Callable[[Command, bytes], None] = lambda _command, _stdin: None,
    ) -> None:
        self._note = note
        self._scripts = scripts
        self._fallback = fallback
        self._sleep = sleep

    async def prepare(
        self, sandbox_id: str, spec: Spec, copies: Sequence[PlannedCopy] = ()
    ) -> None:
        """Create the files of a sandbox whose container was created."""
        await self._fallback.prepare(sandbox_id, spec, copies)

    async def resume(self, sandbox_id: str, spec: Spec) -> None:
        """Let a sandbox run commands again."""
        await self._fallback.resume(sandbox_id, spec)

    def process_for(self, command: Command) -> Process:
        """Make a process that runs the script that matches, or one of the other runner."""
        # No script is for the client's own work on files: a test knows its agent's commands.
        plan = None if is_for_files(command.request) else self._scripts.plan_for(command)
        if plan is not None:
            stdin = _stdin_of(command, self)
            self._note(command, stdin)
            return ScriptedProcess(command, plan, self._scripts, self._sleep, stdin)
        if command.kills is not None:
            return _KillProcess(command, command.kills)
        return self._fallback.process_for(command)

    def take_file(self, command: Command, path: str) -> bytes:
        """Read and remove a file of a command's sandbox."""
        return self._fallback.take_file(command, path)

    def kill(self, sandbox_id: str) -> None:
        """Kill the processes of the host; scripts end with their tasks."""
        self._fallback.kill(sandbox_id)

    async def remove(self, sandbox_id: str) -> None:
        """Remove the files of a deleted sandbox."""
        await self._fallback.remove(sandbox_id)

    def running(self) -> list[str]:
        """The processes of the host; a script leaves none."""
        return self._fallback.running()

    async def aclose(self) -> None:
        """Remove every sandbox."""
        await self._fallback.aclose()


class ScriptedProcess(Process):
    """Runs one script for one command."""

    def __init__(
        self,
        command: Command,
        plan: Plan,
        scripts: Scripts,
        sleep: Sleep,
        stdin: bytes = b"",
    ) -> None:
        self._stdin = stdin
        self._command = command
        self._plan = plan
        self._scripts = scripts
        self._sleep = sleep

    async def run(self) -> int:
        """Do one step after the other; a cancellation ends the script."""
        end = self._plan.end
        if isinstance(end, StartFailure):
            await self._sleep(self._plan.seconds)
            raise CannotStartError(end.message)
        output = Output(self._command)
        try:
            for step in self._plan.steps:
                if isinstance(step, Wait):
                    await self._sleep(step.seconds)
                else:
                    output.write(step.stream, step.data)
            return await self._end(end, output)
        finally:
            output.close()

    async def _end(self, end: int | ExecHandler | None, output: Output) -> int:
        if isinstance(end, int):
            return end
        if end is None:
            forever: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            return await forever
        try:
            context = ExecContext(self._command, output, self._sleep, self._stdin)
            return await run_handler(end, context)
        except HandlerError as error:
            self._scripts.keep_error(error.__cause__ or error)
            raise
