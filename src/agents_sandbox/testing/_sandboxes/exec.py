"""The record of one exec, and its outcome."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from ..._wire import v02_pb2 as pb
from .._commands.command import Command
from .sandbox import Sandbox


@dataclass(frozen=True)
class Outcome:
    """How an exec ended."""

    state: pb.ExecState
    event_type: pb.EventType
    exit_code: int = 0
    error_code: str = ""
    error: str = ""


FINISHED = Outcome(pb.EXEC_STATE_FINISHED, pb.EXEC_FINISHED)
CANCELLED = Outcome(pb.EXEC_STATE_CANCELLED, pb.EXEC_CANCELLED)


def failed(error: str, *, exit_code: int = 0, error_code: str = "EXEC_RUN_FAILED") -> Outcome:
    """Make the outcome of an exec without an exit code, or with one that is not 0."""
    return Outcome(pb.EXEC_STATE_FAILED, pb.EXEC_FAILED, exit_code, error_code, error)


INTERRUPTED = failed("exec was running when daemon restarted", error_code="DAEMON_RESTARTED")


def exited(exit_code: int) -> Outcome:
    """Make the outcome of an exec whose process exited."""
    if not exit_code:
        return FINISHED
    return failed(f"docker exec failed: exit code {exit_code}", exit_code=exit_code)


class Exec:
    """The record of one exec, kept until the record of its sandbox is purged."""

    __slots__ = ("command", "outcome", "sandbox")

    def __init__(self, sandbox: Sandbox, command: Command) -> None:
        self.sandbox = sandbox
        self.command = command
        self.outcome: Outcome | None = None

    @property
    def id(self) -> str:
        """Its id, unique in the daemon."""
        return self.command.exec_id

    @property
    def running(self) -> bool:
        """Whether it has not ended; a cancelled one has, although its process continues."""
        return self.outcome is None

    def status(self) -> pb.ExecStatus:
        """Make the answer of GetExec; its sequence is the sandbox's newest, not the exec's."""
        command, outcome = self.command, self.outcome
        return pb.ExecStatus(
            exec_id=self.id,
            sandbox_id=command.sandbox_id,
            state=outcome.state if outcome else pb.EXEC_STATE_RUNNING,
            command=command.request,
            cwd=command.cwd,
            env_overrides=command.env,
            exit_code=outcome.exit_code if outcome else 0,
            error=outcome.error if outcome else "",
            last_event_sequence=self.sandbox.log.head,
        )

    def record_start(self) -> None:
        """Record that the exec was accepted."""
        self.sandbox.record(pb.EXEC_STARTED, exec_details=self._running())

    def snapshot(self, now: Timestamp) -> pb.SandboxEvent:
        """Make an EXEC_STARTED for a stream that begins while the exec is running."""
        sandbox = self.sandbox
        return pb.SandboxEvent(
            event_id=f"{sandbox.id}-snapshot-{self.id}",
            sequence=sandbox.log.head,
            sandbox_id=sandbox.id,
            event_type=pb.EXEC_STARTED,
            occurred_at=now,
            sandbox_state=sandbox.state,
            exec=self._running(),
        )

    def _running(self) -> pb.ExecEventDetails:
        return pb.ExecEventDetails(exec_id=self.id, exec_state=pb.EXEC_STATE_RUNNING)

    def end(self, outcome: Outcome) -> None:
        """Record the outcome, even if the process continues."""
        self.outcome = outcome
        sandbox = self.sandbox
        details = pb.ExecEventDetails(
            exec_id=self.id,
            exit_code=outcome.exit_code,
            exec_state=outcome.state,
            error_code=outcome.error_code,
            error_message=outcome.error,
        )
        sandbox.record(outcome.event_type, exec_details=details)
        if outcome.state != pb.EXEC_STATE_FAILED:  # retention ignores failed execs
            sandbox.last_exec_end = sandbox.log.events[-1].occurred_at
