"""The result of an exec: its final snapshot, with what is in its logs."""

from __future__ import annotations

from ..._aio import give_way
from ..._output.result import ExecResult, read_result
from ..._telemetry import reports
from ...errors import OutputUnavailableError
from ...models import ExecHandle
from .._daemon import Daemon


async def result_of(daemon: Daemon, handle: ExecHandle, limit: int) -> ExecResult:
    """Read the output of an exec that has ended.

    Args:
        daemon: The daemon.
        handle: Its final snapshot.
        limit: How many bytes of each stream to keep, those at its end.
    """
    if handle.exit_code is None:
        reports.no_exit_code(handle.exec_id, handle.state.name)
    try:
        reading = read_result(handle, daemon.where_logs_are(handle), limit)
    except OutputUnavailableError as trouble:
        reading = read_result(handle, trouble, limit)
    try:
        while True:
            next(reading)
            # Other work of this program waits meanwhile, and a log may have gigabytes.
            await give_way()
    except StopIteration as end:
        result: ExecResult = end.value
        return result
    finally:
        reading.close()
