"""A running command in the hands of a program."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from ... import _copies
from ..._aio import CleanUp, public
from ..._arguments import checks
from ..._arguments.durations import DurationLike, to_seconds
from ..._connection.rpc import concerning
from ..._deadline import Deadline
from ..._notes import add_note
from ..._output.chunk import STREAMS
from ..._output.result import MAX_OUTPUT_BYTES, ExecResult
from ..._output.tail import Tails
from ..._shared.shown import shown_id
from ..._tracebacks import ends_at_caller
from ...errors import (
    ExecAlreadyTerminalError,
    ExecNotFoundError,
    ExecNotKilledError,
    InvalidArgumentError,
    SandboxClientError,
    SandboxNotFoundError,
)
from ...models import ExecHandle
from .._block import Block
from .execution import Execution
from .output import ExecOutput
from .results import result_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from .._client import AgentsSandboxClient

# An interrupted request may still be on its way to the daemon.
_IN_FLIGHT_SECONDS = 0.05


class ExecProcess(Block):
    """One command: started, followed and ended.

    Made by `client.start_exec()` and the `start()` of a sandbox. It starts as a context manager,
    which ends the command at the exit of the block if it still runs. Without a block, it starts
    with `begin()`, or with the first use of `output()` or `wait()`, and nothing ends it.

    Args:
        client: The client.
        execution: The exec.
        keep: Whether the exit of a block leaves the command running.
        cleanup_seconds: How long the exit may take to end it.
    """

    __module__ = "agents_sandbox"

    def __init__(
        self,
        client: AgentsSandboxClient,
        execution: Execution,
        *,
        keep: bool,
        cleanup_seconds: float,
    ) -> None:
        self._client = client
        self._execution = execution
        self._keep = keep
        self._cleanup_seconds = cleanup_seconds
        self._clean_up = CleanUp(self._end_command)
        self._given_up = False

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
        """The id of its sandbox."""
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

    async def __aenter__(self) -> Self:
        # In the blocking flavour an interruption can come at any line, also of the inner handler.
        try:
            try:
                return await self.begin()
            except BaseException as error:
                await self._end(error)
                raise
        except BaseException as error:
            await self._end(error)
            raise

    @ends_at_caller
    def output(self, *, from_offsets: Mapping[str, int] | None = None) -> ExecOutput:
        """Follow the output as it is written.

        Args:
            from_offsets: Where to begin in `"stdout"` and in `"stderr"`, in bytes, such as the
                `offsets` of an iterator that did not reach the end. A stream that is not named
                begins at 0.

        Returns:
            An iterator of chunks. Its steps raise:
            `OutputUnavailableError`: a log cannot be read from here; `wait()` works all the same;
            `OperationTimeoutError`: the command did not end within its `timeout_seconds`;
            what `create_exec(wait=True)` raises.

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
            SandboxClientError: As in `create_exec`.
        """
        limit = checks.integer("max_output_bytes", max_output_bytes, maximum=sys.maxsize)
        seconds = _optional_seconds(timeout_seconds)
        execution = self._execution
        handle = await execution.begin()
        with concerning(self.sandbox_id, self.exec_id):
            ended = await execution.wait(seconds).until_reached(handle)
        return await result_of(execution.daemon, execution.see(ended), limit)

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
        return self._execution.see(
            await self._client.cancel_exec(self.exec_id, kill=True, timeout_seconds=timeout_seconds)
        )

    async def _end(self, raising: BaseException | None) -> None:
        """End the command if it runs and is not to be kept; note a failure on `raising`."""
        if self._keep or self._given_up or not self._execution.running:
            return
        try:
            await self._clean_up.finish(raising)
        except SandboxClientError as failure:
            self._given_up = True
            if raising is None:
                raise
            add_note(raising, f"exec {self.exec_id} may still be running: {failure}")

    async def _end_command(self) -> None:
        deadline = Deadline(self._cleanup_seconds)
        existed = await self._end_if_running(deadline)
        if not existed and not self._execution.accepted:
            await self._execution.pause(_IN_FLIGHT_SECONDS)
            await self._end_if_running(deadline)

    async def _end_if_running(self, deadline: Deadline) -> bool:
        """Kill the command, or else cancel it, and return whether it existed."""
        try:
            try:
                await self.kill(timeout_seconds=deadline.remaining())
            except ExecNotKilledError:
                await self.cancel(timeout_seconds=deadline.remaining())
        except ExecAlreadyTerminalError:
            self._execution.see(await self._client.get_exec(self.exec_id))
        except (ExecNotFoundError, SandboxNotFoundError):
            return False
        return True


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
