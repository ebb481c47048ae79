"""What the calls of the client share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from ..._arguments.durations import DurationLike, to_seconds
from ..._deadline import Budget, Deadline
from .._daemon import Daemon
from .._feeds import Feeds

if TYPE_CHECKING:
    from .._client import AgentsSandboxClient


class Calls:
    """The daemon of a client, and how long its calls may take."""

    _daemon: Daemon
    _feeds: Feeds
    _timeout: float
    _operation_timeout: float
    _exec_timeout: float

    def _query(self, timeout_seconds: DurationLike | None) -> Deadline:
        return Deadline(self._explicit(timeout_seconds) or self._timeout)

    def _budget(self, timeout_seconds: DurationLike | None) -> Budget:
        return Budget(
            self._explicit(timeout_seconds),
            self._timeout,
            self._operation_timeout,
            self._operation_timeout,
        )

    def _exec_budget(self, timeout_seconds: DurationLike | None) -> Budget:
        return Budget(
            self._explicit(timeout_seconds),
            self._timeout,
            self._exec_timeout,
            self._operation_timeout,
        )

    def _time_to_delete(self, cleanup_timeout_seconds: DurationLike) -> Callable[[], Budget]:
        """Return what makes the budget of a clean-up when that begins."""
        seconds = to_seconds("cleanup_timeout_seconds", cleanup_timeout_seconds)
        return lambda: Budget(None, self._timeout, seconds, self._operation_timeout)

    def _explicit(self, timeout_seconds: DurationLike | None) -> float | None:
        return None if timeout_seconds is None else to_seconds("timeout_seconds", timeout_seconds)

    @property
    def _client(self) -> AgentsSandboxClient:
        return cast("AgentsSandboxClient", self)
