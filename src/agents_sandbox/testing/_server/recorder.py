"""What the daemon was asked: the calls it got and the streams that are open.

This is where the server's thread and the test's threads meet.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._checks import check_count


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
    """Remembers and counts; lets other threads wait for what is to come.

    Args:
        max_calls: How many calls to remember, the newest; None is all. All are counted.

    Raises:
        TypeError: The number is no integer.
        ValueError: It is negative.
    """

    def __init__(self, max_calls: int | None = None) -> None:
        if max_calls is not None:
            check_count("max_calls", max_calls, least=0)
        self._calls: deque[RecordedCall] = deque(maxlen=max_calls)
        self._counts: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()
        self._open_streams = 0
        self._changed = threading.Condition()

    @property
    def calls(self) -> tuple[RecordedCall, ...]:
        """The calls that are remembered, in order of arrival."""
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
            self._counts[call.method] += 1
            self._changed.notify_all()

    def stream_opened(self, sandbox_id: str) -> None:
        """Count an event stream of a sandbox."""
        with self._changed:
            self._streams[sandbox_id] += 1
            self._open_streams += 1
            self._changed.notify_all()

    def stream_closed(self, sandbox_id: str) -> None:
        """Count one event stream less."""
        with self._changed:
            self._streams[sandbox_id] -= 1
            if not self._streams[sandbox_id]:
                del self._streams[sandbox_id]
            self._open_streams -= 1
            self._changed.notify_all()

    def count(self, method: str) -> int:
        """How many calls of a method arrived, remembered or not."""
        with self._changed:
            return self._counts[method]

    def streams_left(self, timeout: float) -> dict[str, int]:
        """Give streams `timeout` seconds to end, then tell how many each sandbox still has.

        One that its client has cancelled ends here a moment later.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._open_streams, timeout)
            return dict(self._streams)

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
