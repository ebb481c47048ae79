"""A running command in the hands of a program."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NoReturn, TypeGuard

from ... import _copies
from ..._aio import CleanUp, public
from ..._arguments import checks
from ..._arguments.durations import DurationLike, to_seconds
from ..._connection.rpc import concerning
from ..._deadline import Backoff, Budget, Deadline
from ..._enums import ExecState
from ..._goals.goal import within
from ..._notes import add_note
from ..._output.chunk import STREAMS
from ..._output.result import MAX_OUTPUT_BYTES, ExecResult
from ..._output.tail import Tails
from ..._shared.shown import shown_id
from ..._telemetry import reports
from ..._tracebacks import ends_at_caller
from ...errors import (
    ClientClosedError,
    DaemonUnavailableError,
    ExecAlreadyTerminalError,
    ExecNotFoundError,
    ExecNotKilledError,
    InvalidArgumentError,
    OperationTimeoutError,
    SandboxClientError,
    SandboxNotFoundError,
    SandboxNotReadyError,
)
from ...models import ExecHandle
from .._block import Block, begins_block, report_leftover
from .._daemon import Daemon
from .._feeds import Feeds
from .._waits import ExecWait
from .execution import Execution
from .kill import Killer
from .output import ExecOutput
from .results import result_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from .._client import AgentsSandboxClient

# An interrupted request may still be on its way to the daemon.
_IN_FLIGHT_SECONDS = 0.05

# What is left of the time if a kill hangs, for a cancel: it takes milliseconds.
_CANCEL_SECONDS = 2.0
_CANCEL_PART = 0.25

# After these, the daemon may still be able to cancel.
_NOT_KILLED = (ExecNotKilledError, OperationTimeoutError, SandboxNotReadyError)


class ExecProcess(Block):
    """One command: started, followed and ended.

    Made by `client.start_exec()`, by the `start()` of a sandbox, and, for a command that somebody
    else has started, by `client.attach_exec()`. It starts as a context manager,
    which ends the command at the exit of the block if it still runs. Without a block, it starts
    with `begin()`, or with the first use of `output()` or `wait()`, and nothing ends it.

    Args:
        client: The client.
        execution: The exec.
        keep: Whether the exit of a block leaves the command running.
        time_to_end: Makes the budget of that exit when it begins to end the command.
    """

    __module__ = "agents_sandbox"

    def __init__(
        self,
        client: AgentsSandboxClient,
        execution: Execution,
        *,
        keep: bool,
        time_to_end: Callable[[], Budget],
    ) -> None:
        self._client = client
        self._execution = execution
        self._keep = keep
        self._time_to_end = time_to_end
        self._time: Budget | None = None
        self._clean_up = CleanUp(self._end_command)
        self._given_up = False
        self._input_left = False
        self._not_killed: SandboxClientError | None = None

    def __repr__(self) -> str:
        handle = self.handle
        state = "not started" if handle is None else handle.state.name
        return f"<{type(self).__name__} {shown_id(self.exec_id)} {state}>"

    def __reduce__(self) -> NoReturn:
        _copies.refuse_copy(self, "pass its exec_id")

    @property
    def exec_id(self) -> str:
        """Its id, known before it starts.

        An id of ours that a crash of the daemon has burnt is replaced by another one at the start.
        """
        return self._execution.exec_id

    @property
    def sandbox_id(self) -> str:
        """The id of its sandbox; empty before the first use of an object from `attach_exec`."""
        return self._execution.sandbox_id

    @property
    def handle(self) -> ExecHandle | None:
        """The newest snapshot that this object has seen; None before the start. No I/O."""
        return self._execution.handle

    @property
    def exit_code(self) -> int | None:
        """The exit code, as in `handle`; None while it is not known. No I/O.

        It is known when `output()` has ended, and when `wait()`, `cancel()` or `kill()` return,
        unless the command was cancelled or could not be started.
        """
        return None if self.handle is None else self.handle.exit_code

    @public
    async def begin(self) -> Self:
        """Start the command, unless it was started, and return this object.

        Nobody ends it if this is interrupted outside of a block: the note of the interruption has
        its id.

        Raises:
            ExecConflictError: The id was used before, also by a start of this object that was
                interrupted.
            SandboxClientError: As in `create_exec`.
        """
        await self._execution.begin()
        return self

    @begins_block()
    async def __aenter__(self) -> Self:
        # The end of an earlier block, whose start failed or which gave up, is not that of this one.
        self._clean_up, self._time = CleanUp(self._end_command), None
        self._given_up, self._not_killed = False, None
        return await self.begin()

    @ends_at_caller
    def output(self, *, from_offsets: Mapping[str, int] | None = None) -> ExecOutput:
        """Follow the output as it is written.

        Args:
            from_offsets: Where to begin in `"stdout"` and in `"stderr"`, in bytes, such as the
                `offsets` of an iterator that did not reach the end. A stream that is not named
                begins at 0.

        Returns:
            An iterator of chunks. Its steps raise what `create_exec(wait=True)` raises,
            `OperationTimeoutError` if the command did not end within its `timeout_seconds`, and
            `OutputUnavailableError` if a log cannot be read from here; `wait()` works all the same.

        Raises:
            InvalidArgumentError: An argument is not acceptable.
        """
        return ExecOutput(self._execution, Tails(_checked_offsets(from_offsets)))

    @public
    async def wait(
        self,
        *,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
        timeout_seconds: DurationLike | None = None,
    ) -> ExecResult:
        """Wait until the command ends.

        Args:
            max_output_bytes: As in `run`.
            timeout_seconds: How long to wait, in seconds; None: as long as the command may take.

        Returns:
            The ended exec, with its `exit_code` and its output.

        Raises:
            OperationTimeoutError: It did not end in time; it continues.
            SandboxFileError: It was not started, because it would not have had its `input`.
            SandboxClientError: As in `create_exec`.
        """
        limit = checks.integer("max_output_bytes", max_output_bytes, maximum=sys.maxsize)
        seconds = _optional_seconds(timeout_seconds)
        execution = self._execution
        handle = await execution.begin()
        with concerning(self.sandbox_id, self.exec_id):
            ended = await execution.wait(seconds).until_reached(handle)
        result = await result_of(execution.daemon, execution.see(ended), limit)
        if execution.given is not None:
            execution.given.check(result)
        return result

    @public
    async def cancel(self, *, timeout_seconds: DurationLike | None = None) -> ExecHandle:
        """Cancel the exec; arguments and errors as in `cancel_exec`. Its process is not killed."""
        return self._execution.see(
            await self._client.cancel_exec(self.exec_id, timeout_seconds=timeout_seconds)
        )

    @public
    async def kill(self, *, timeout_seconds: DurationLike | None = None) -> ExecHandle:
        """Kill the command with all its children.

        Arguments and errors are those of `cancel_exec` with `kill=True`.
        """
        seconds = math.inf if timeout_seconds is None else timeout_seconds
        until = Deadline(to_seconds("timeout_seconds", seconds))
        # First, so that the end of the block goes on where an interruption ends this.
        self._input_left = self._execution.given is not None
        killed = self._execution.see(
            await self._client.cancel_exec(self.exec_id, kill=True, timeout_seconds=timeout_seconds)
        )
        await self._drop_input(until)
        return killed

    async def _drop_input(self, until: Deadline) -> None:
        if self._execution.given is not None:
            await self._execution.given.drop(until)
        self._input_left = False

    async def _end(self, raising: BaseException | None) -> None:
        """End the command if it runs and is not to be kept; note a failure on `raising`."""
        if self._keep or self._given_up:
            return
        ending = self._execution.running or self._input_left
        if ending:
            try:
                await self._clean_up.finish(raising)
            except SandboxClientError as failure:
                self._given_up = True
                left = f"exec {shown_id(self.exec_id)} may still be running"
                if raising is None:
                    reports.leftover(left, failure)
                    raise
                report_leftover(left, failure, raising)
                return
        why, self._not_killed = self._not_killed, None
        if why is not None:
            left = f"exec {shown_id(self.exec_id)} was cancelled, but may still be running"
            report_leftover(left, why, raising)
        elif ending and self._is_its_timeout(raising):  # which says that the command runs
            add_note(raising, "the end of the block has ended the command since")

    def _is_its_timeout(self, error: BaseException | None) -> TypeGuard[OperationTimeoutError]:
        return isinstance(error, OperationTimeoutError) and error.exec_id == self.exec_id

    async def _end_command(self) -> None:
        # It has the same deadline when it is begun again.
        budget = self._time = self._time or self._time_to_end()
        execution = self._execution
        try:
            try:
                if execution.running:
                    await self._end_over(execution.daemon, execution.feeds, budget)
            except ClientClosedError:  # in the block, or by one that should have been around it
                await self._end_over_another_connection(budget)
            await self._drop_input(budget.operation)
        except OperationTimeoutError as timeout:
            raise OperationTimeoutError(
                f"exec {shown_id(self.exec_id)} was not ended {within(budget.operation.bound)}: "
                "increase cleanup_timeout_seconds, or stop or delete its sandbox",
                timeout_seconds=budget.operation.bound,
                last_handle=self.handle,
                sandbox_id=self.sandbox_id,
                exec_id=self.exec_id,
            ) from timeout

    async def _end_over_another_connection(self, budget: Budget) -> None:
        daemon = self._execution.daemon.reopened()
        try:
            await self._end_over(daemon, Feeds(daemon, budget.rpc_seconds), budget)
        finally:
            await daemon.aclose()

    async def _end_over(self, daemon: Daemon, feeds: Feeds, budget: Budget) -> None:
        to_kill, backoff = _most_of(budget), Backoff()
        missing = self._execution.accepted
        while True:
            pause = backoff.pause(budget.operation)
            try:
                if await self._end_if_it_exists(daemon, feeds, budget, to_kill) or missing:
                    return
                missing, pause = True, _IN_FLIGHT_SECONDS
            except DaemonUnavailableError as error:
                if budget.operation.expired() or not daemon.may_recover(error):
                    raise
            except OperationTimeoutError:  # perhaps of one request only
                if budget.operation.expired():
                    raise
            await daemon.pause(pause)

    async def _end_if_it_exists(
        self, daemon: Daemon, feeds: Feeds, budget: Budget, to_kill: Budget
    ) -> bool:
        """Kill the command, or else cancel it, and return whether it existed."""
        exec_id, logs = self.exec_id, self._execution.logs
        try:
            try:
                killer = Killer(daemon, feeds, exec_id, to_kill)
                await killer.kill(logs.stdout)
                ended = await killer.until_ended(logs)
            except _NOT_KILLED as failure:
                late = isinstance(failure, OperationTimeoutError)
                if late and not to_kill.operation.expired():
                    raise
                # First: the answer to the cancel can be lost.
                if not isinstance(failure, SandboxNotReadyError):  # it has ended with its sandbox
                    why = self._killed_too_late() if late else failure
                    self._not_killed = why.with_traceback(None)
                await daemon.cancel_exec(exec_id, budget.rpc())
                wait_for = ExecWait(daemon, feeds, exec_id, budget, self.sandbox_id, logs)
                ended = await wait_for.until_reached()
        except ExecAlreadyTerminalError:
            ended = await daemon.get_exec(exec_id, budget.rpc(), logs)
        except (ExecNotFoundError, SandboxNotFoundError):
            return False
        if ended.state is not ExecState.CANCELLED:
            self._not_killed = None
        self._execution.see(ended)
        return True

    def _killed_too_late(self) -> ExecNotKilledError:
        return ExecNotKilledError(
            self.exec_id,
            message="there was not enough time to kill it: increase cleanup_timeout_seconds, or "
            "stop or delete its sandbox",
            problem="timeout",
            sandbox_id=self.sandbox_id,
        )


def _most_of(budget: Budget) -> Budget:
    left = budget.operation.remaining()
    return (
        budget if left is None else budget.within(left - min(_CANCEL_SECONDS, _CANCEL_PART * left))
    )


def _checked_offsets(offsets: Mapping[str, int] | None) -> dict[str, int]:
    given = dict(offsets or {})
    if unknown := given.keys() - set(STREAMS):
        raise InvalidArgumentError(
            f"from_offsets must name stdout and stderr only, not {sorted(map(repr, unknown))}"
        )
    return {
        stream: checks.integer(
            f"from_offsets[{stream!r}]", given.get(stream, 0), maximum=sys.maxsize
        )
        for stream in STREAMS
    }


def _optional_seconds(timeout_seconds: DurationLike | None) -> float | None:
    return None if timeout_seconds is None else to_seconds("timeout_seconds", timeout_seconds)
