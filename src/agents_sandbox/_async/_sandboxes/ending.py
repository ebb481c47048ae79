"""The end of a block: what was made is deleted, whatever happens."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from ..._aio import CleanUp
from ..._deadline import Budget
from ..._notes import add_note
from ..._telemetry import reports
from ..._tracebacks import trimmed
from ...errors import (
    ClientClosedError,
    OperationTimeoutError,
    SandboxClientError,
)
from .._block import Block, report_leftover
from .._daemon import Daemon


class Ending(Block):
    """A context manager for what is deleted once, at the end of its block.

    Args:
        daemon: The daemon.
        time_to_delete: Makes the budget of the deletion when it begins.
    """

    def __init__(self, daemon: Daemon, time_to_delete: Callable[[], Budget]) -> None:
        self._daemon = daemon
        self._time_to_delete = time_to_delete
        self._budget: Budget | None = None
        self._clean_up = CleanUp(self._delete_whatever_happens)
        self._failures: list[SandboxClientError] = []

    @abstractmethod
    async def _delete(self, daemon: Daemon, budget: Budget) -> None:
        """Delete everything. It may be begun again."""

    @abstractmethod
    def _left(self) -> str:
        """Say what is left behind if that fails."""

    async def _end(self, raising: BaseException | None) -> None:
        """Delete everything, once, and report what failed."""
        try:
            await self._clean_up.finish(raising)
        except BaseException as interruption:
            await self._clean_up.finish(raising or interruption)
            self._report(raising or interruption)
            raise
        self._report(raising)

    def _report(self, raising: BaseException | None) -> None:
        failures, self._failures = self._failures, []
        if not failures:
            return
        if raising is None:
            for failure in failures:
                reports.leftover(self._left_by(failure), failure)
            first, *others = failures
            add_note(first, self._left_by(first))
            for other in others:
                add_note(first, f"another delete failed, too: {other}")
            raise trimmed(first, None)
        for failure in failures:
            report_leftover(self._left_by(failure), failure, raising)

    # The error of a timeout names the options of other calls.
    def _left_by(self, failure: SandboxClientError) -> str:
        late = isinstance(failure, OperationTimeoutError)
        why = " (the clean-up did not end within cleanup_timeout_seconds)" if late else ""
        return f"{self._left()}{why}"

    async def _delete_whatever_happens(self) -> None:
        # It has the same deadline when it is begun again.
        budget = self._budget = self._budget or self._time_to_delete()
        self._failures.clear()
        try:
            try:
                await self._delete(self._daemon, budget)
            except ClientClosedError:  # in the block, or by one that should have been around it
                await self._delete_over_another_connection(budget)
        except SandboxClientError as error:
            self._failures.append(error)

    async def _delete_over_another_connection(self, budget: Budget) -> None:
        daemon = self._daemon.reopened()
        try:
            await self._delete(daemon, budget)
        finally:
            await daemon.aclose()
