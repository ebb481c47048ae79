"""What the daemon was asked: the calls it got and the streams that are open.

This is where the server's thread and the test's threads meet.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RecordedCall:
    """One RPC as it arrived."""

    method: str
    """The plain method name, such as `CreateSandbox`."""
    request: Any
    """The request's message; its fields are those of the protocol, such as `sandbox_id`."""
    metadata: tuple[tuple[str, str | bytes], ...]
    """What the client sent along, lower-case keys first to last."""
    time_remaining: float | None
    """Seconds that were left until the client's deadline; None without a deadline."""


class Recorder:
    """Remembers and counts; lets other threads wait for what is to come."""

    def __init__(self) -> None:
        self._calls: list[RecordedCall] = []
        self._open_streams = 0
        self._changed = threading.Condition()

    @property
    def calls(self) -> tuple[RecordedCall, ...]:
        """All calls in order of arrival."""
        with self._changed:
            return tuple(self._calls)

    @property
    def open_streams(self) -> int:
        """Event streams that are open now."""
        with self._changed:
            return self._open_streams

    def add_call(self, call: RecordedCall) -> None:
        """Remember a call."""
        with self._changed:
            self._calls.append(call)
            self._changed.notify_all()

    def add_stream(self, change: int) -> None:
        """Count a stream that opens (+1) or ends (-1)."""
        with self._changed:
            self._open_streams += change
            self._changed.notify_all()

    def count(self, method: str) -> int:
        """How many calls of a method arrived."""
        return sum(1 for call in self.calls if call.method == method)

    def wait_until(
        self, condition: Callable[[], bool], timeout: float, complaint: Callable[[], str]
    ) -> None:
        """Block until the condition holds.

        Raises:
            TimeoutError: It did not hold in `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise TimeoutError(f"after {timeout} s {complaint()}")
