"""Runs a command and hands its output to functions of the user."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from ..._aio import Call, notify
from ..._goals.exec_end import may_be_running
from ..._notes import Remains, add_note
from ..._output.chunk import STREAMS, OutputChunk
from ..._output.result import ExecResult
from ..._output.tail import Tails
from ..._shared.shown import shown_id
from ...errors import OperationTimeoutError
from .execution import Execution
from .kill import kill_after
from .output import ExecOutput
from .results import result_of

Callback: TypeAlias = Callable[[str], object]
_ItemT = TypeVar("_ItemT")


async def run_with_callbacks(
    execution: Execution,
    on_stdout: Callback | None,
    on_stderr: Callback | None,
    limit: int,
    kill_on_timeout: bool,
) -> ExecResult:
    """Run a command to its end.

    Args:
        execution: The exec.
        on_stdout: What to call with the text of the standard output, piece by piece.
        on_stderr: The same for the standard error.
        limit: How much of the output the result has, in bytes of each stream.
        kill_on_timeout: Whether to kill the command if it takes too long.

    Raises:
        OperationTimeoutError: The command, with the calls, took too long.
    """
    both = zip(STREAMS, (on_stdout, on_stderr), strict=True)
    callbacks: dict[str, Callback] = {
        stream: callback for stream, callback in both if callback is not None
    }

    output = ExecOutput(execution, Tails(dict.fromkeys(callbacks, 0)))

    # Around what waits for this exec, and around nothing else: a callback has timeouts of its own.
    async def in_time(step: Call[_ItemT]) -> _ItemT:
        try:
            return await step()
        except OperationTimeoutError as timeout:
            if not (kill_on_timeout and execution.ours):
                raise
            late = await kill_after(
                execution.daemon, execution.feeds, execution.exec_id, timeout, limit
            )
            raise late from late.__cause__

    async def next_chunk() -> OutputChunk | None:
        try:
            return await output.__anext__()
        except StopAsyncIteration:
            return None

    with Remains() as remains:
        await in_time(execution.begin)
        remains.note = may_be_running(execution.exec_id)
        async with output:
            while (chunk := await in_time(next_chunk)) is not None:
                try:
                    if chunk.text:
                        await notify(callbacks[chunk.stream], chunk.text)
                except BaseException as error:
                    remains.note = None
                    if execution.running:
                        add_note(error, may_be_running(execution.exec_id))
                    raise
                _check_time(execution)
        handle = await execution.begin()  # the last snapshot, which the output has read
        return await result_of(execution.daemon, handle, limit)


# A command can leave a file of any size behind: it costs nothing if most of it is a hole.
def _check_time(execution: Execution) -> None:
    time = execution.budget.operation
    if time.expired() and not execution.running:
        raise OperationTimeoutError(
            f"the output of exec {shown_id(execution.exec_id)} was not delivered within "
            f"{time.bound:g} s: make the callbacks faster, or increase timeout_seconds",
            timeout_seconds=time.bound,
            last_handle=execution.handle,
        )
