"""Commands in the primary container of a sandbox, and what stands for running them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .._protocol.spec import Spec

KILLED = 128 + 9
"""The exit code of what a stop or a delete kills."""


class CommandError(Exception):
    """A command came to an end without an exit code."""


class CannotStartError(CommandError):
    """The process could not even be started."""


class CannotPrepareError(Exception):
    """The files of a sandbox could not be laid out."""


@dataclass(frozen=True, eq=False)
class Command:
    """One command, be it an exec or a hook."""

    sandbox_id: str
    spec: Spec
    """What the sandbox was created with."""
    argv: tuple[str, ...]
    cwd: str = ""
    """As it was asked for; empty for the container's own."""
    env: Mapping[str, str] = field(default_factory=dict)
    """On top of the sandbox's own."""
    stdout_path: Path | None = None
    """Where the output goes; None loses it."""
    stderr_path: Path | None = None
    exec_id: str = ""
    """Empty for a hook."""

    @property
    def full_env(self) -> dict[str, str]:
        """The sandbox's own environment, overridden key by key."""
        return {**self.spec.envs, **self.env}

    def __str__(self) -> str:
        return described(self.sandbox_id, self.exec_id, self.argv)


def described(sandbox_id: str, exec_id: str, argv: tuple[str, ...]) -> str:
    """One line about a command, for those who look for what is left."""
    kind = f"exec {exec_id}" if exec_id else "hook"
    return f"{kind} in sandbox {sandbox_id}: {argv!r}"


class Process(ABC):
    """What stands for the process of one command."""

    @abstractmethod
    async def run(self) -> int:
        """Run to the end and return the exit code.

        Raises:
            CommandError: It has no exit code.
            OSError: It cannot be started, or cannot write its output.
        """


class Runner(ABC):
    """What executes commands."""

    @abstractmethod
    async def prepare(self, sandbox_id: str, spec: Spec) -> None:
        """Lay out the files of a sandbox whose container is made.

        Raises:
            CannotPrepareError: That failed; nothing of it is left.
        """

    @abstractmethod
    def process_for(self, command: Command) -> Process:
        """Make the process of a command that was just accepted."""

    @abstractmethod
    def kill(self, sandbox_id: str) -> None:
        """Kill all processes of a sandbox."""

    @abstractmethod
    async def remove(self, sandbox_id: str) -> None:
        """Remove the files of a deleted sandbox, processes first; the logs stay."""

    @abstractmethod
    def running(self) -> list[str]:
        """What still runs, one line each; also what goes on although it was cancelled."""

    @abstractmethod
    async def aclose(self) -> None:
        """Remove every sandbox."""


def bad_cwd(cwd: str, why: str) -> CannotStartError:
    """Docker's complaint about a working directory."""
    return CannotStartError(
        "Error response from daemon: OCI runtime exec failed: exec failed: unable to start "
        f'container process: chdir to cwd ("{cwd}") set in config.json failed: {why}: unknown'
    )
