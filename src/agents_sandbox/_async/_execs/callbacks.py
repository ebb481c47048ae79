"""Runs a command and hands its output to functions of the user."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ..._aio import notify
from ..._notes import add_note, noting_remains
from ..._output.chunk import STREAMS
from ..._output.result import ExecResult
from ..._output.tail import Tails
from ..._shared.shown import shown_id
from ...errors import OperationTimeoutError
from .execution import Execution
from .output import ExecOutput
from .results import result_of

Callback: TypeAlias = Callable[[str], object]


async def run_with_callbacks(
    execution: Execution, on_stdout: Callback | None, on_stderr: Callback | None, limit: int
) -> ExecResult:
    """Run a command to its end.

    Args:
        execution: The exec.
        on_stdout: What to call with the text of the standard output, piece by piece.
        on_stderr: The same for the standard error.
        limit: How much of the output the result has, in bytes of each stream.

    Raises:
        OperationTimeoutError: The command, with the calls, took too long.
    """
    both = zip(STREAMS, (on_stdout, on_stderr), strict=True)
    callbacks: dict[str, Callback] = {
        stream: callback for stream, callback in both if callback is not None
    }
    with noting_remains() as remains:
        await execution.begin()
        remains.note = f"exec {execution.exec_id} was started: check with get_exec"
        async with ExecOutput(execution, Tails(dict.fromkeys(callbacks, 0))) as output:
            async for chunk in output:
                try:
                    if chunk.text:
                        await notify(callbacks[chunk.stream], chunk.text)
                except BaseException as error:
                    remains.note = None
                    if execution.running:
                        note = f"exec {execution.exec_id} still runs: end it with cancel_exec"
                        add_note(error, note)
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
