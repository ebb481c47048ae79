"""Scripted commands: nothing runs on the host, the scripts of the test are played."""

from __future__ import annotations

import asyncio

from .._protocol.spec import Spec
from .._time.clock import Sleep
from .command import CannotStartError, Command, Process, Runner
from .handlers import ExecContext, ExecHandler, HandlerError, Output, run_handler
from .on_exec import NoStart, Plan, Scripts, Wait


class SilentRunner(Runner):
    """Every command writes nothing and exits with 0; a sandbox has no files."""

    async def prepare(self, sandbox_id: str, spec: Spec) -> None:
        """There is nothing to lay out."""

    def process_for(self, command: Command) -> Process:
        """Make a process that does nothing."""
        return _SilentProcess(command)

    def kill(self, sandbox_id: str) -> None:
        """There is no process to kill."""

    async def remove(self, sandbox_id: str) -> None:
        """There is nothing on disk but the logs."""

    def running(self) -> list[str]:
        """Nothing runs for longer than a moment."""
        return []

    async def aclose(self) -> None:
        """There is nothing to close."""


class _SilentProcess(Process):
    def __init__(self, command: Command) -> None:
        self._command = command

    async def run(self) -> int:
        Output(self._command).close()
        return 0


class ScriptedRunner(Runner):
    """Plays the scripts that match; what none matches is left to another runner.

    Args:
        scripts: The scripts.
        rest: Runs what no script matches, and has the files of the sandboxes.
        sleep: Lets the time of the scripts pass.
    """

    def __init__(self, scripts: Scripts, rest: Runner, sleep: Sleep = asyncio.sleep) -> None:
        self._scripts = scripts
        self._rest = rest
        self._sleep = sleep

    async def prepare(self, sandbox_id: str, spec: Spec) -> None:
        """Lay out the files of a sandbox whose container is made."""
        await self._rest.prepare(sandbox_id, spec)

    def process_for(self, command: Command) -> Process:
        """Make a process that plays a script, if one matches."""
        plan = self._scripts.plan_for(command.argv)
        return self._rest.process_for(command) if plan is None else self._play(command, plan)

    def _play(self, command: Command, plan: Plan) -> ScriptedProcess:
        return ScriptedProcess(command, plan, self._scripts, self._sleep)

    def kill(self, sandbox_id: str) -> None:
        """Kill what really runs; scripts end with their tasks."""
        self._rest.kill(sandbox_id)

    async def remove(self, sandbox_id: str) -> None:
        """Remove the files of a deleted sandbox."""
        await self._rest.remove(sandbox_id)

    def running(self) -> list[str]:
        """What really runs; a script leaves nothing on the host."""
        return self._rest.running()

    async def aclose(self) -> None:
        """Remove every sandbox."""
        await self._rest.aclose()


class ScriptedProcess(Process):
    """Plays one script for one command."""

    def __init__(
        self,
        command: Command,
        plan: Plan,
        scripts: Scripts,
        sleep: Sleep,
    ) -> None:
        self._command = command
        self._plan = plan
        self._scripts = scripts
        self._sleep = sleep

    async def run(self) -> int:
        """Do one step after the other; a cancellation is the end."""
        end = self._plan.end
        if isinstance(end, NoStart):
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
            return await run_handler(end, ExecContext(self._command, output, self._sleep))
        except HandlerError as error:
            self._scripts.function_failed(error.__cause__ or error)
            raise
