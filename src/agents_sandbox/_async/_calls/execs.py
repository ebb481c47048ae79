"""The calls about execs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, overload

from ..._aio import public
from ..._arguments import checks
from ..._arguments.creates import NewExec
from ..._arguments.durations import DurationLike
from ..._arguments.ids import ExecIdLike, SandboxIdLike, exec_id_of, sandbox_id_of
from ..._connection.rpc import concerning
from ..._deadline import CLEANUP_SECONDS, Budget
from ..._goals.exec_end import may_be_running
from ..._notes import Remains
from ..._output.result import MAX_OUTPUT_BYTES, ExecResult
from ..._tracebacks import ends_at_caller
from ...errors import OperationTimeoutError
from ...models import ExecHandle
from .._execs.results import result_of
from .._waits import ExecWait
from .base import Calls

if TYPE_CHECKING:
    from .._execs.process import ExecProcess
    from .._sandboxes.file_commands import Input


class ExecCalls(Calls):
    """Runs, reads and ends commands."""

    @overload
    async def create_exec(
        self,
        sandbox_id: SandboxIdLike,
        command: Sequence[str],
        *,
        exec_id: str | None = None,
        cwd: str | os.PathLike[str] | None = "",
        env_overrides: Mapping[str, str] | None = None,
        wait: Literal[False] = False,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecHandle: ...

    @overload
    async def create_exec(
        self,
        sandbox_id: SandboxIdLike,
        command: Sequence[str],
        *,
        exec_id: str | None = None,
        cwd: str | os.PathLike[str] | None = "",
        env_overrides: Mapping[str, str] | None = None,
        wait: Literal[True],
        timeout_seconds: DurationLike | None = None,
    ) -> ExecResult: ...

    @overload
    async def create_exec(
        self,
        sandbox_id: SandboxIdLike,
        command: Sequence[str],
        *,
        exec_id: str | None = None,
        cwd: str | os.PathLike[str] | None = "",
        env_overrides: Mapping[str, str] | None = None,
        wait: bool,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecHandle: ...

    @public
    async def create_exec(
        self,
        sandbox_id: SandboxIdLike,
        command: Sequence[str],
        *,
        exec_id: str | None = None,
        cwd: str | os.PathLike[str] | None = "",
        env_overrides: Mapping[str, str] | None = None,
        wait: bool = False,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecHandle:
        """Start a command in a READY sandbox.

        Args:
            sandbox_id: The sandbox: its id, or an object that has it, such as a handle.
            command: The command as an argv; no shell is involved.
            exec_id: Like `sandbox_id` in `create_sandbox`, and unique over all
                sandboxes. None: a new UUID.
            cwd: Absolute working directory in the sandbox; empty or None:
                `/workspace`.
            env_overrides: Environment variables that override the sandbox's.
            wait: Whether to wait until the command ends.
            timeout_seconds: Timeout of this call with its wait, in seconds;
                None: the client's `exec_timeout_seconds`, by default no bound.
                The timeout does not end the command.

        Returns:
            An `ExecResult` with the output; with `wait=False` a snapshot taken
            after the daemon accepted the request, which may still be RUNNING. A
            command that fails raises no error: check `state` and `exit_code`.

        Raises:
            InvalidArgumentError: The SDK or the daemon refuses an argument.
            SandboxNotFoundError: The sandbox does not exist.
            SandboxNotReadyError: It is not READY, or it was stopped or deleted
                during the wait and the daemon never reported the exec's end.
            SandboxFailedError: The same, after the sandbox failed.
            ExecConflictError: The exec id was used before.
            OperationTimeoutError: The command did not end in time; it continues.
            DaemonUnavailableError: No daemon answers at the socket; without a
                bound, for `operation_timeout_seconds`.
        """
        checks.boolean("wait", wait)
        new = NewExec(sandbox_id, command, exec_id=exec_id, cwd=cwd, env_overrides=env_overrides)
        if wait:
            return await self._run(new, self._exec_budget(timeout_seconds), MAX_OUTPUT_BYTES)
        budget = self._budget(timeout_seconds)
        with Remains() as remains:
            created, logs = await self._daemon.create_exec(new, budget.rpc(), remains)
            remains.note = may_be_running(created)
            with concerning(new.sandbox_id, created):
                return await self._daemon.get_exec(created, budget.rpc(), logs)

    async def _run(
        self,
        new: NewExec,
        budget: Budget,
        max_output_bytes: int,
        on_stdout: Callable[[str], object] | None = None,
        on_stderr: Callable[[str], object] | None = None,
        kill_on_timeout: bool = False,
    ) -> ExecResult:
        if on_stdout is not None or on_stderr is not None:
            from .._execs.callbacks import run_with_callbacks
            from .._execs.execution import Started

            execution = Started(self._daemon, self._feeds, new, lambda: budget)
            return await run_with_callbacks(
                execution, on_stdout, on_stderr, max_output_bytes, kill_on_timeout
            )
        # An id of the caller may be that of another exec, until the daemon accepts it.
        ours = new.id_is_ours
        with Remains() as remains:
            try:
                created, logs = await self._daemon.create_exec(new, budget.rpc(), remains)
                ours = True
                remains.note = may_be_running(created)
                with concerning(new.sandbox_id, created):
                    wait_for = ExecWait(
                        self._daemon, self._feeds, created, budget, new.sandbox_id, logs
                    )
                    ended = await wait_for.until_reached()
            except OperationTimeoutError as timeout:
                if not (kill_on_timeout and ours):
                    raise
                from .._execs.kill import kill_after

                created = remains.id or new.exec_id
                late = await kill_after(
                    self._daemon, self._feeds, created, timeout, max_output_bytes
                )
                raise late from late.__cause__
            return await result_of(self._daemon, ended, max_output_bytes)

    @public
    async def run(
        self,
        sandbox_id: SandboxIdLike,
        command: Sequence[str],
        *,
        exec_id: str | None = None,
        cwd: str | os.PathLike[str] | None = "",
        env_overrides: Mapping[str, str] | None = None,
        input: str | bytes | None = None,  # noqa: A002 - as in `subprocess.run`
        check: bool = False,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
        on_stdout: Callable[[str], object] | None = None,
        on_stderr: Callable[[str], object] | None = None,
        kill_on_timeout: bool = False,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecResult:
        """Run a command in a READY sandbox and wait until it ends.

        Args:
            sandbox_id: The sandbox: its id, or an object that has it, such as a handle.
            command: The command as an argv; no shell is involved.
            exec_id: As in `create_exec`.
            cwd: As in `create_exec`.
            env_overrides: As in `create_exec`.
            input: What the command reads from its standard input, up to 8 MiB; text is encoded as
                UTF-8. None: its standard input is not connected.
            check: Whether a command that does not exit with 0 raises an error.
            max_output_bytes: How much of each stream to keep: the end of it, 16 MiB by default.
            on_stdout: Called with the text of the standard output as it is written, piece by piece.
                If it raises, the call ends with that error; the command continues.
            on_stderr: The same for the standard error. There is no order between the two.
            kill_on_timeout: Whether the timeout kills the command, as
                `cancel_exec` does with `kill`. Then the call may take up to
                15 s longer, and the error's `last_handle` is the result: FAILED
                with exit code 137, and with the output so far. An interruption
                of the call does not kill.
            timeout_seconds: Timeout of this call, in seconds; None: the client's
                `exec_timeout_seconds`, by default no bound. Unless `kill_on_timeout`
                is set, the timeout does not end the command: `wait_for_exec` goes
                on waiting.

        Returns:
            The ended exec, with its `exit_code` and its output.

        Raises:
            ExecFailedError: With `check`, the command did not exit with 0; has the result.
            SandboxFileError: The image lacks what `input` needs: `sh`, `base64`, `rm`, `/tmp`.
            OutputUnavailableError: There is a function to call, and the output cannot be read from
                here.
            SandboxClientError: As in `create_exec`.
        """
        checks.boolean("check", check)
        checks.boolean("kill_on_timeout", kill_on_timeout)
        limit = checks.integer("max_output_bytes", max_output_bytes, maximum=sys.maxsize)
        new = NewExec(sandbox_id, command, exec_id=exec_id, cwd=cwd, env_overrides=env_overrides)
        checks.optional_function("on_stdout", on_stdout)
        checks.optional_function("on_stderr", on_stderr)
        data = None if input is None else checks.data("input", input)
        budget = self._exec_budget(timeout_seconds)
        run = partial(
            self._run,
            budget=budget,
            max_output_bytes=limit,
            on_stdout=on_stdout,
            on_stderr=on_stderr,
            kill_on_timeout=kill_on_timeout,
        )
        if data is None:
            result = await run(new)
        else:
            from .._sandboxes.file_commands import Input

            given = Input(self._client, new, data)
            result = await given.used_by(run, budget.operation)
            given.check(result)
        return result.check() if check else result

    @ends_at_caller
    def start_exec(
        self,
        sandbox_id: SandboxIdLike,
        command: Sequence[str],
        *,
        exec_id: str | None = None,
        cwd: str | os.PathLike[str] | None = "",
        env_overrides: Mapping[str, str] | None = None,
        input: str | bytes | None = None,  # noqa: A002 - as in `subprocess.run`
        keep: bool = False,
        cleanup_timeout_seconds: DurationLike = 10.0,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecProcess:
        """Return an object that starts a command in a READY sandbox, and follows its output.

        No I/O: it starts as a context manager, or with its `begin()`. The exit of the block ends
        the command if it still runs, also if the block was interrupted while it started. Only an
        exec with an id of your own is left then, with a note: it may be another one.

        Args:
            sandbox_id: The sandbox: its id, or an object that has it, such as a handle.
            command: The command as an argv; no shell is involved.
            exec_id: As in `create_exec`.
            cwd: As in `create_exec`.
            env_overrides: As in `create_exec`.
            input: As in `run`. If the image lacks what it needs, the start or `wait()` raises a
                `SandboxFileError`.
            keep: Whether the exit of a block leaves the command running.
            cleanup_timeout_seconds: How long the exit of a block may take to end the command, in
                seconds.
            timeout_seconds: How long the command may take from its start, in seconds: after that,
                `output()` and `wait()` raise `OperationTimeoutError`; None: the client's
                `exec_timeout_seconds`, by default no limit.

        Raises:
            InvalidArgumentError: An argument is not acceptable.
        """
        from .._execs.execution import Started
        from .._execs.process import ExecProcess

        checks.boolean("keep", keep)
        new = NewExec(sandbox_id, command, exec_id=exec_id, cwd=cwd, env_overrides=env_overrides)
        seconds = self._explicit(timeout_seconds)
        given: Input | None = None
        if input is not None:
            from .._sandboxes.file_commands import Input

            given = Input(self._client, new, checks.data("input", input))
        execution = Started(
            self._daemon, self._feeds, new, lambda: self._exec_budget(seconds), given
        )
        return ExecProcess(
            self._client,
            execution,
            keep=keep,
            time_to_end=self._time_to_delete(cleanup_timeout_seconds),
        )

    @ends_at_caller
    def attach_exec(
        self, exec_id: ExecIdLike, *, timeout_seconds: DurationLike | None = None
    ) -> ExecProcess:
        """Return an object for an exec that somebody else has started. No I/O.

        It follows the output, waits for the end, and cancels or kills. The exit of a block leaves
        the command running.

        Args:
            exec_id: The exec: its id, or an object that has it, such as a handle.
            timeout_seconds: How long `output()` and `wait()` may take from the first use, in
                seconds; None: the client's `exec_timeout_seconds`, by default no limit.

        Raises:
            InvalidArgumentError: An argument is not acceptable.
        """
        from .._execs.execution import Attached
        from .._execs.process import ExecProcess

        sandbox_id = exec_id.sandbox_id if isinstance(exec_id, ExecHandle) else ""
        seconds = self._explicit(timeout_seconds)
        execution = Attached(
            self._daemon,
            self._feeds,
            exec_id_of(exec_id),
            sandbox_id,
            lambda: self._exec_budget(seconds),
        )
        return ExecProcess(
            self._client,
            execution,
            keep=True,
            time_to_end=self._time_to_delete(CLEANUP_SECONDS),
        )

    @public
    async def wait_for_exec(
        self,
        exec_id: ExecIdLike,
        *,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecResult:
        """Wait until an exec ends, whoever started it.

        It goes on where another wait has timed out, and waits for what `create_exec` began. If the
        exec has ended already, it returns at once.

        Args:
            exec_id: The exec: its id, or an object that has it, such as a handle.
            max_output_bytes: How much of each stream to keep: the end of it, 16 MiB by default.
            timeout_seconds: Timeout of this call, in seconds; None: the client's
                `exec_timeout_seconds`, by default no bound.

        Returns:
            The ended exec, with its `exit_code` and its output.

        Raises:
            ExecNotFoundError: It does not exist.
            SandboxNotReadyError: Its sandbox was stopped or deleted during the wait, and the
                daemon never reported the exec's end.
            SandboxFailedError: The same, after the sandbox failed.
            OperationTimeoutError: It did not end in time; it continues.
            DaemonUnavailableError: No daemon answers at the socket; without a bound, for
                `operation_timeout_seconds`.
        """
        exec_id = exec_id_of(exec_id)
        limit = checks.integer("max_output_bytes", max_output_bytes, maximum=sys.maxsize)
        with concerning(exec_id=exec_id):
            wait_for = ExecWait(
                self._daemon, self._feeds, exec_id, self._exec_budget(timeout_seconds)
            )
            return await result_of(self._daemon, await wait_for.until_reached(), limit)

    @public
    async def cancel_exec(
        self,
        exec_id: ExecIdLike,
        *,
        kill: bool = False,
        wait: bool = True,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecHandle:
        """Cancel a running exec. The daemon does not kill its process, unless `kill` asks for it.

        Args:
            exec_id: The exec: its id, or an object that has it, such as a handle.
            kill: Whether to kill the command and its children instead, with
                SIGKILL: the exec ends FAILED with exit code 137. A second exec
                does it, for 10 s at most. If that is not possible, nothing else
                is done. What was cancelled before cannot be killed.
            wait: Whether to wait until it is in a terminal state.
            timeout_seconds: Timeout of this call with its wait, in seconds;
                None: the client's `operation_timeout_seconds`.

        Returns:
            The exec after the cancel.

        Raises:
            ExecNotFoundError: It does not exist.
            ExecAlreadyTerminalError: It has already ended; a subclass of
                `ExecNotRunningError`.
            ExecNotKilledError: It could not be killed; `problem` says why.
            OperationTimeoutError: It did not end in time.
            DaemonUnavailableError: No daemon answers at the socket.
        """
        checks.boolean("wait", wait)
        checks.boolean("kill", kill)
        exec_id = exec_id_of(exec_id)
        budget = self._budget(timeout_seconds)
        with concerning(exec_id=exec_id):
            if kill:
                from .._execs.kill import Killer

                killer = Killer(self._daemon, self._feeds, exec_id, budget)
                await killer.kill()
                if wait:
                    return await killer.until_ended()
            else:
                await self._daemon.cancel_exec(exec_id, budget.rpc())
            if not wait:
                return await self._daemon.get_exec(exec_id, budget.rpc())
            return await ExecWait(self._daemon, self._feeds, exec_id, budget).until_reached()

    @public
    async def get_exec(
        self, exec_id: ExecIdLike, *, timeout_seconds: DurationLike | None = None
    ) -> ExecHandle:
        """Read an exec. It can be read until its sandbox is purged.

        Args:
            exec_id: The exec: its id, or an object that has it, such as a handle.
            timeout_seconds: Timeout of this call, in seconds; None: the client's.

        Returns:
            The latest authoritative snapshot.

        Raises:
            ExecNotFoundError: It does not exist.
            DaemonUnavailableError: No daemon answers at the socket.
            OperationTimeoutError: It did not answer in time.
        """
        return await self._daemon.get_exec(exec_id_of(exec_id), self._query(timeout_seconds))

    @public
    async def list_active_execs(
        self,
        *,
        sandbox_id: SandboxIdLike | None = None,
        timeout_seconds: DurationLike | None = None,
    ) -> list[ExecHandle]:
        """List running execs, by id.

        Args:
            sandbox_id: List only the execs of this sandbox; an unknown sandbox
                has none. None: list those of all sandboxes.
            timeout_seconds: Timeout of this call, in seconds; None: the client's.

        Returns:
            The latest authoritative snapshots.

        Raises:
            DaemonUnavailableError: No daemon answers at the socket.
            OperationTimeoutError: It did not answer in time.
        """
        one = None if sandbox_id is None else sandbox_id_of(sandbox_id)
        return await self._daemon.list_active_execs(one, self._query(timeout_seconds))
