"""Snapshots of execs and sandboxes, in the client's types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..._frozen import FrozenMapping
from ..._shared.shown import OneLineRepr
from ..._wire import v02_pb2 as pb
from ..._wire.codec import decode_event, decode_exec
from ...models import ExecState, SandboxEvent, SandboxState
from .._commands.logs import read_log
from .._protocol.spec import WORKSPACE, Spec
from .._sandboxes.exec import Exec
from .._sandboxes.sandbox import Sandbox
from .specs import SandboxSpec, shown_spec

_OUTPUT_LIMIT = 1024 * 1024
"""In bytes; a command may write more than fits into memory."""


@dataclass(frozen=True, repr=False)
class ExecRecord(OneLineRepr):
    """One exec, as it was when `FakeDaemon.execs` was read.

    Attributes:
        exec_id: Its id.
        sandbox_id: Its sandbox.
        argv: The command.
        cwd: The working directory; `/workspace` if the exec requested none.
        env: The environment of the sandbox, overridden by the exec's.
        state: Its state.
        exit_code: The exit code; None while it runs, and if there is none.
        error: Why it failed, in the daemon's words; None otherwise.
        stdout: What it wrote to stdout so far, as UTF-8 with replacements. Beyond the first
            MiB, `... (<size> bytes)` takes the place of the rest; the log file has it.
        stderr: The same of stderr.
    """

    exec_id: str
    sandbox_id: str
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    state: ExecState
    exit_code: int | None = None
    error: str | None = None
    stdout: str = ""
    stderr: str = ""


@dataclass(frozen=True, repr=False)
class SandboxRecord(OneLineRepr):
    """One sandbox, as it was when `FakeDaemon.sandboxes` was read.

    Attributes:
        sandbox_id: Its id.
        state: Its state.
        spec: What it was created with, `config_yaml` included.
        error_code: Why it is FAILED, e.g. `"CONTAINER_DIED"`; None in other states.
        error_message: The same in words, or None.
        events: All its events, oldest first, as a client gets them.
    """

    sandbox_id: str
    state: SandboxState
    spec: SandboxSpec
    error_code: str | None = None
    error_message: str | None = None
    events: tuple[SandboxEvent, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class ExecSnapshot:
    """What the daemon's thread reads of an exec; the rest needs no lock."""

    status: pb.ExecStatus
    env: Mapping[str, str]
    stdout_path: Path | None
    stderr_path: Path | None

    @classmethod
    def of(cls, item: Exec) -> ExecSnapshot:
        """Read an exec."""
        command = item.command
        return cls(item.status(), command.full_env, command.stdout_path, command.stderr_path)

    def record(self) -> ExecRecord:
        """Make the record, with what the logs have now."""
        handle = decode_exec(self.status)
        return ExecRecord(
            exec_id=handle.exec_id,
            sandbox_id=handle.sandbox_id,
            argv=handle.command,
            cwd=handle.cwd or WORKSPACE,
            env=FrozenMapping(self.env),
            state=handle.state,
            exit_code=handle.exit_code,
            error=handle.error,
            stdout=_text(self.stdout_path),
            stderr=_text(self.stderr_path),
        )


def _text(path: Path | None) -> str:
    data, size = read_log(path, _OUTPUT_LIMIT)
    text = data.decode(errors="replace")
    return text if size <= _OUTPUT_LIMIT else f"{text}... ({size} bytes)"


@dataclass(frozen=True)
class SandboxSnapshot:
    """What the daemon's thread reads of a sandbox; the rest needs no lock."""

    sandbox_id: str
    state: int
    spec: Spec
    error_code: str
    error_message: str
    events: tuple[pb.SandboxEvent, ...]

    @classmethod
    def of(cls, sandbox: Sandbox) -> SandboxSnapshot:
        """Read a sandbox."""
        return cls(
            sandbox.id,
            sandbox.state,
            sandbox.spec,
            sandbox.error_code,
            sandbox.error_message,
            tuple(sandbox.log.events),
        )

    def record(self) -> SandboxRecord:
        """Make the record."""
        return SandboxRecord(
            sandbox_id=self.sandbox_id,
            state=SandboxState(self.state),
            spec=shown_spec(self.spec),
            error_code=self.error_code or None,
            error_message=self.error_message or None,
            # Daemons set `replay` on every event that they send.
            events=tuple(replace(decode_event(event), replay=True) for event in self.events),
        )
