"""Runs commands as they were recorded."""

from __future__ import annotations

from collections.abc import Sequence

from .._commands.command import Command, Process
from .._commands.copy_plan import PlannedCopy
from .._commands.files import FilesRunner
from .._commands.on_exec import Plan, StartFailure
from .._commands.scripted import ScriptedProcess, UnscriptedRunner
from .._commands.scripts import Scripts
from .._protocol.spec import Spec
from .._time.clock import Sleep
from .player import Player


class CassetteRunner(UnscriptedRunner):
    """Runs the commands of a test that no script matches: the cassette has them, or they fail.

    Args:
        scripts: Is told about commands that the cassette lacks.
        files: Runs the commands for files.
        player: Plays the cassette.
        sleep: Waits for the durations.
    """

    def __init__(self, scripts: Scripts, files: FilesRunner, player: Player, sleep: Sleep) -> None:
        super().__init__(scripts, files)
        self._player = player
        self._sleep = sleep

    async def prepare(
        self, sandbox_id: str, spec: Spec, copies: Sequence[PlannedCopy] = ()
    ) -> None:
        """Take the sandbox for a recorded one."""
        await super().prepare(sandbox_id, spec, copies)
        self._player.add(sandbox_id, spec)

    def skip(self, command: Command, stdin: bytes) -> None:
        """Use up the take of a command that does something else."""
        if command.exec_id:
            self._player.plan_for(command, stdin)

    def _unscripted(self, command: Command, stdin: bytes) -> Process:
        # Of hooks, daemons keep no output, and so cassettes have none.
        plan = self._player.plan_for(command, stdin) if command.exec_id else Plan()
        if plan is None:
            close = self._player.explain(command, stdin)
            self._report(command, close)
            why = "\n".join(("the cassette has no such take; the closest one:", *close))
            plan = Plan(end=StartFailure(why))
        return ScriptedProcess(command, plan, self._scripts, self._sleep)
