"""Killing an exec with a second one: the daemon itself cancels execs and leaves them running."""

from __future__ import annotations

from ... import _deadline
from ..._arguments.creates import NO_LOGS, LogPaths, NewExec
from ..._deadline import Backoff, Budget, Deadline
from ..._enums import ExecState
from ..._goals.goal import too_late, within
from ..._notes import Remains
from ..._scripts.kill import kill_command
from ..._shared.helpers import KillExit
from ..._shared.shown import shortened, shown_id
from ...errors import (
    ExecAlreadyTerminalError,
    ExecNotFoundError,
    ExecNotKilledError,
    OperationTimeoutError,
    SandboxClientError,
    SandboxNotFoundError,
    SandboxNotReadyError,
)
from ...models import ExecHandle
from .._daemon import Daemon
from .._feeds import Feeds
from .._waits import ExecWait
from .results import result_of

_PROBLEMS = {
    KillExit.NOT_FOUND: (
        "not_found",
        "its processes cannot be recognised: it has redirected its output, or removed its logs",
    ),
    KillExit.NOT_PERMITTED: (
        "not_permitted",
        "some of its processes belong to another user and still run",
    ),
    KillExit.NO_PROC: ("no_proc", "the sandbox has no /proc, which only Linux has"),
    126: ("no_shell", "sh cannot be started in the sandbox"),
    127: ("no_shell", "sh was not found in the sandbox"),
}


class Killer:
    """Kills one exec.

    Args:
        daemon: The daemon.
        feeds: The event streams to share.
        exec_id: The exec.
        budget: How long the kill may take.
    """

    def __init__(self, daemon: Daemon, feeds: Feeds, exec_id: str, budget: Budget) -> None:
        self._daemon = daemon
        self._feeds = feeds
        self._id = exec_id
        self._budget = budget
        self._appearing = Deadline(_deadline.APPEARING_SECONDS)
        self._backoff = Backoff()

    async def kill(self, log_path: str | None = None) -> None:
        """Kill all processes of the exec, whose end the daemon is about to report.

        Args:
            log_path: The path of its stdout log on the daemon's host, if known.

        Raises:
            ExecAlreadyTerminalError: It has already ended.
            ExecNotKilledError: It could not be killed; nothing else was done.
            OperationTimeoutError: The time is over.
        """
        while True:
            handle = await self._running()
            path = handle.stdout_log_path or log_path
            code, why = await self._run_script(handle, path)
            if code == KillExit.KILLED:
                return
            if code != KillExit.NOT_PERMITTED:
                await self._running()
            if code != KillExit.NOT_FOUND or self._appearing.expired():
                raise self._error(handle, code, why)
            await self._daemon.pause(self._backoff.pause(self._budget.operation))

    async def until_ended(self, logs: LogPaths = NO_LOGS) -> ExecHandle:
        """Wait until the daemon has reported the end of the killed exec.

        Args:
            logs: Its log paths, if known.

        Raises:
            ExecNotKilledError: It has not ended all the same.
            OperationTimeoutError: The time is over.
        """
        budget = self._budget.within(_deadline.KILL_SECONDS)
        wait_for = ExecWait(self._daemon, self._feeds, self._id, budget, logs=logs)
        try:
            return await wait_for.until_reached()
        except OperationTimeoutError as timeout:
            if self._budget.operation.expired():
                raise
            reason = f"its processes were killed, and it did not end {_in_kill_seconds()}"
            raise self._not_killed(timeout.sandbox_id, "timeout", reason) from timeout

    async def _running(self) -> ExecHandle:
        handle = await self._daemon.get_exec(self._id, self._budget.rpc())
        if not handle.state.is_terminal:
            return handle
        cancelled = (
            f"exec {shown_id(self._id)} was cancelled, and its process may run on: to end that, "
            "stop or delete its sandbox"
        )
        raise ExecAlreadyTerminalError(
            self._id,
            message=cancelled if handle.state is ExecState.CANCELLED else None,
            sandbox_id=handle.sandbox_id,
        )

    async def _run_script(
        self, handle: ExecHandle, log_path: str | None
    ) -> tuple[int | None, str | None]:
        """Run the script and return its exit code, or None and why there is none."""
        sandbox_id = handle.sandbox_id
        command = kill_command(self._id, log_path or f"{sandbox_id}/{self._id}.stdout.log")
        budget = self._budget.within(_deadline.KILL_SECONDS)
        try:
            new = NewExec(sandbox_id, command, cwd="/")
            created, logs = await self._daemon.create_exec(new, budget.rpc(), Remains())
            wait_for = ExecWait(self._daemon, self._feeds, created, budget, sandbox_id, logs)
            ended = await wait_for.until_reached()
        except (SandboxNotReadyError, SandboxNotFoundError):
            await self._running()  # it has ended with its sandbox
            raise
        except OperationTimeoutError as timeout:
            raise self._late(handle) from timeout
        if ended.state is ExecState.FINISHED:
            return KillExit.KILLED, None
        return ended.exit_code, ended.error

    def _late(self, handle: ExecHandle) -> SandboxClientError:
        if not self._budget.operation.expired():
            reason = f"the kill did not end {_in_kill_seconds()}"
            return self._not_killed(handle.sandbox_id, "timeout", reason)
        bound = self._budget.operation.bound
        return too_late(
            f"exec {shown_id(self._id)} was not killed {within(bound)}",
            "It may still be running: check with get_exec",
            bound,
            handle,
            None,
            sandbox_id=handle.sandbox_id,
            exec_id=self._id,
        )

    def _error(self, handle: ExecHandle, code: int | None, why: str | None) -> SandboxClientError:
        failed = "failed", shortened(why or f"the kill ended with exit code {code}")
        problem, reason = failed if code is None else _PROBLEMS.get(code, failed)
        return self._not_killed(handle.sandbox_id, problem, reason)

    def _not_killed(self, sandbox_id: str | None, problem: str, reason: str) -> ExecNotKilledError:
        return ExecNotKilledError(
            self._id,
            message=f"exec {shown_id(self._id)} could not be killed: {reason}. To end it for "
            "certain, stop or delete its sandbox",
            problem=problem,
            sandbox_id=sandbox_id,
        )


def _in_kill_seconds() -> str:
    return within(_deadline.KILL_SECONDS)


async def kill_after(
    daemon: Daemon,
    feeds: Feeds,
    exec_id: str,
    timeout: OperationTimeoutError,
    max_output_bytes: int,
) -> OperationTimeoutError:
    """Kill the exec that did not end in time, and return the timeout's error with the outcome.

    Args:
        daemon: The daemon.
        feeds: The event streams to share.
        exec_id: The exec.
        timeout: Its timeout.
        max_output_bytes: How much of each stream of output to keep.
    """
    seen = timeout.last_handle
    logs = NO_LOGS
    if isinstance(seen, ExecHandle):
        logs = LogPaths(seen.stdout_log_path, seen.stderr_log_path)
    seconds = _deadline.KILL_AFTER_SECONDS
    budget = Budget(seconds, seconds, seconds, seconds)
    killer = Killer(daemon, feeds, exec_id, budget)
    cause: SandboxClientError | None = None
    try:
        try:
            await killer.kill(logs.stdout)
            outcome = "and was killed"
        except ExecAlreadyTerminalError as ended:
            outcome = f"and could not be killed any more: {ended}"
        seen = await result_of(daemon, await killer.until_ended(logs), max_output_bytes)
    except ExecNotFoundError:
        return timeout  # it was never started
    except SandboxClientError as error:
        outcome, cause = f"and may still be running: {error}", error
    late = OperationTimeoutError(
        f"exec {shown_id(exec_id)} did not end {within(timeout.timeout_seconds)}, {outcome}",
        timeout_seconds=timeout.timeout_seconds,
        last_handle=seen,
        sandbox_id=timeout.sandbox_id,
        exec_id=exec_id,
    )
    late.__cause__ = cause
    return late
