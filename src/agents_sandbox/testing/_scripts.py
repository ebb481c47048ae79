"""What scripted execs do: `on_exec(...)` and the process that plays the script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ._execs import Exec, Process, Runner
from ._logs import open_log

ExecMatch = Sequence[str] | Callable[[Sequence[str]], bool]
"""An exact argv, or a function that is given the argv and says yes or no."""


@dataclass(frozen=True)
class ExecPlan:
    """What a scripted exec writes, how it ends and when."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int = 0
    seconds: float | None = 0.0
    """How long it runs; None is for ever."""


class ExecScript:
    """Says what the execs it was registered for do. Each method returns the script itself.

    Without further words an exec writes nothing and exits with 0 at once.
    """

    def __init__(self) -> None:
        self._plan = ExecPlan()

    @property
    def plan(self) -> ExecPlan:
        """What the script amounts to so far."""
        return self._plan

    def stdout(self, data: str | bytes) -> ExecScript:
        """Write `data` to stdout as soon as the process starts; repeated calls add up."""
        self._plan = replace(self._plan, stdout=self._plan.stdout + _as_bytes(data))
        return self

    def stderr(self, data: str | bytes) -> ExecScript:
        """Write `data` to stderr as soon as the process starts; repeated calls add up."""
        self._plan = replace(self._plan, stderr=self._plan.stderr + _as_bytes(data))
        return self

    def exit(self, code: int) -> ExecScript:
        """Exit with `code`; all but 0 make the exec fail.

        Raises:
            ValueError: The code is not in 0..255.
        """
        if code not in range(256):
            raise ValueError(f"exit code must be in 0..255, not {code!r}")
        self._plan = replace(self._plan, exit_code=code)
        return self

    def after(self, seconds: float) -> ExecScript:
        """Run for `seconds` before the exit.

        Raises:
            ValueError: The time is negative.
        """
        if not seconds >= 0:  # so put for NaN
            raise ValueError(f"seconds must not be negative: {seconds!r}")
        self._plan = replace(self._plan, seconds=seconds)
        return self

    def never(self) -> ExecScript:
        """Run until the sandbox is stopped or deleted."""
        self._plan = replace(self._plan, seconds=None)
        return self


def _as_bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


class ScriptedRunner(Runner):
    """Plays scripts instead of running anything."""

    def __init__(self) -> None:
        self._scripts: list[tuple[Callable[[Sequence[str]], bool], ExecScript]] = []

    def on_exec(self, match: ExecMatch) -> ExecScript:
        """Register a new script; it goes before those registered earlier.

        Raises:
            TypeError: `match` is a plain string, which is no argv.
        """
        script = ExecScript()
        self._scripts.append((_predicate(match), script))
        return script

    def process_for(self, item: Exec) -> ScriptedProcess:
        """Pick the script that was registered last among those that match."""
        scripts = (script for match, script in reversed(self._scripts) if match(item.command))
        return ScriptedProcess(item, next(scripts, ExecScript()).plan)

    def kill(self, sandbox_id: str) -> None:
        """There is no process to kill."""

    async def remove(self, sandbox_id: str) -> None:
        """There is nothing on disk but the logs."""

    async def aclose(self) -> None:
        """There is nothing to close."""


def _predicate(match: ExecMatch) -> Callable[[Sequence[str]], bool]:
    if isinstance(match, str):
        raise TypeError(f"match must be an argv such as ['sh', '-c', ...], not a string: {match!r}")
    if callable(match):
        return match
    argv = tuple(match)
    return lambda command: tuple(command) == argv


class ScriptedProcess(Process):
    """Plays one script for one exec."""

    def __init__(self, item: Exec, plan: ExecPlan) -> None:
        self._item = item
        self._plan = plan

    async def run(self) -> int:
        """Write the logs, wait as long as the script says, return the exit code."""
        for path, data in (
            (self._item.stdout_path, self._plan.stdout),
            (self._item.stderr_path, self._plan.stderr),
        ):
            with open_log(path) as log:
                log.write(data)
        if self._plan.seconds is None:
            await asyncio.Event().wait()
        await asyncio.sleep(self._plan.seconds or 0.0)
        return self._plan.exit_code
