"""Commands in the primary container of a sandbox, and the interfaces for running them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..._shared.shown import OneLineRepr, shown
from .._protocol.spec import Spec
from .copy_plan import PlannedCopy

ARGV_LIMIT = 300
"""How much of an argv a message shows, in characters."""

KILLED = 128 + 9
"""The exit code of a command that a stop or a delete killed."""

_LONGEST_ARGUMENT = 131_071
"""Bytes; Linux's MAX_ARG_STRLEN without the NUL at the end."""


class CommandError(Exception):
    """A command ended without an exit code."""


class CannotStartError(CommandError):
    """The process could not be started."""


class CannotPrepareError(Exception):
    """The files of a sandbox could not be created."""


@dataclass(frozen=True, eq=False, repr=False)
class Command(OneLineRepr):
    """One command: an exec or a hook."""

    sandbox_id: str
    spec: Spec
    """What the sandbox was created with."""
    argv: tuple[str, ...]
    cwd: str = ""
    """The requested directory; empty: the container's default."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the sandbox's environment."""
    stdout_path: Path | None = None
    """The log file; None: the output is discarded."""
    stderr_path: Path | None = None
    exec_id: str = ""
    """Empty for a hook."""
    kills: Callable[[], bool] | None = None
    """Kills the scripted exec that this command, the client's own script, is to kill.

    It returns whether that was still running. None for all other commands.
    """

    @property
    def full_env(self) -> dict[str, str]:
        """The sandbox's environment, overridden key by key.

        Docker takes each variable as one text, so a `=` in a name ends the name.
        """
        given = {**self.spec.envs, **self.env}
        texts = (f"{name}={value}".partition("=") for name, value in given.items())
        return {name: value for name, _, value in texts}

    @property
    def too_long(self) -> bool:
        """Whether the system starts no process with these arguments."""
        return any(len(os.fsencode(argument)) > _LONGEST_ARGUMENT for argument in self.argv)

    def __str__(self) -> str:
        return describe_command(self.sandbox_id, self.exec_id, self.argv)


def describe_command(sandbox_id: str, exec_id: str, argv: tuple[str, ...]) -> str:
    """Describe a command in one line, for reports of leaks."""
    kind = f"exec {exec_id}" if exec_id else "hook"
    return f"{kind} in sandbox {sandbox_id}: {shown(argv, ARGV_LIMIT)}"


class Process(ABC):
    """Takes the place of the process of one command."""

    on_host = False
    """Whether a process of the host runs the command."""

    @abstractmethod
    async def run(self) -> int:
        """Run to the end and return the exit code.

        Raises:
            CommandError: It has no exit code.
            OSError: It cannot be started, or cannot write its output.
        """


class Runner(ABC):
    """Runs commands."""

    @abstractmethod
    async def prepare(
        self, sandbox_id: str, spec: Spec, copies: Sequence[PlannedCopy] = ()
    ) -> None:
        """Create the files of a sandbox whose container was created.

        Args:
            sandbox_id: The sandbox.
            spec: What it is created with.
            copies: What its copies bring, in order.

        Raises:
            CannotPrepareError: It failed; no files are left.
        """

    @abstractmethod
    async def resume(self, sandbox_id: str, spec: Spec) -> None:
        """Let a sandbox whose processes were killed run commands again.

        Raises:
            CannotPrepareError: It failed.
        """

    @abstractmethod
    def process_for(self, command: Command) -> Process:
        """Make the process of a command that was just accepted."""

    @abstractmethod
    def kill(self, sandbox_id: str) -> None:
        """Kill all processes of a sandbox."""

    @abstractmethod
    async def remove(self, sandbox_id: str) -> None:
        """Kill the processes of a deleted sandbox and remove its files, but not its logs."""

    @abstractmethod
    def running(self) -> list[str]:
        """One line for each running process, including those of cancelled execs."""

    @abstractmethod
    async def aclose(self) -> None:
        """Remove every sandbox."""


_REFUSED = "Error response from daemon: OCI runtime exec failed: exec failed: "
_NO_FOLDER_HINT = (
    ": Are you trying to mount a directory onto a file (or vice-versa)? "
    "Check if the specified host path exists and is the expected type"
)


def relative_cwd() -> CannotStartError:
    """Docker's error for a working directory that is a relative path."""
    return CannotStartError(f"{_REFUSED}Cwd must be an absolute path: unknown")


def bad_cwd(cwd: str, why: str) -> CannotStartError:
    """Docker's error for a working directory that cannot be entered; the system's text says why."""
    hint = _NO_FOLDER_HINT if why == "not a directory" else ""
    return CannotStartError(
        f'{_REFUSED}unable to start container process: chdir to cwd ("{cwd}") set in config.json '
        f"failed: {why}: unknown{hint}"
    )
