"""Records the calls that arrived and counts open streams.

The server's thread writes here, and the test's threads read.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..._shared.shown import OneLineRepr, one_line
from .._checks import check_count
from .._records.requests import shown_request


@dataclass(frozen=True, repr=False)
class RecordedCall(OneLineRepr):
    """One RPC as it arrived; `str()` shows it as a line."""

    method: str
    """The RPC's name, such as `CreateSandbox`."""
    message: Any
    """The request as a protobuf message of the daemon's wire dialect."""
    metadata: tuple[tuple[str, str | bytes], ...] = field(repr=False)
    """The metadata that the client sent, in order; keys are lower-case."""
    time_remaining: float | None
    """Seconds until the client's deadline when the call arrived; None: no deadline."""

    @property
    def request(self) -> Any:
        """The request, with the fields of the protocol, such as `sandbox_id`.

        That of a `CreateSandbox` is a `CreateSandboxRequest`, that of a `CreateExec` a
        `CreateExecRequest`, with the client's types; others are the `message`.
        """
        return shown_request(self.message)

    def __str__(self) -> str:
        return one_line(
            self.method, ((known.name, value) for known, value in self.message.ListFields())
        )


class Recorder:
    """Records calls, counts streams, and lets other threads wait for both.

    Args:
        max_calls: How many calls to keep, the newest ones; None: all. All calls are counted.

    Raises:
        TypeError: `max_calls` is not an integer.
        ValueError: `max_calls` is negative.
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
        """The calls that are kept, in order of arrival."""
        with self._changed:
            return tuple(self._calls)

    @property
    def open_streams(self) -> int:
        """The number of event streams that are open now."""
        with self._changed:
            return self._open_streams

    def add_call(self, call: RecordedCall) -> None:
        """Record a call."""
        with self._changed:
            self._calls.append(call)
            self._counts[call.method] += 1
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget all calls; open streams still count."""
        with self._changed:
            self._calls.clear()
            self._counts.clear()

    def stream_opened(self, sandbox_id: str) -> None:
        """Count a new event stream of a sandbox."""
        with self._changed:
            self._streams[sandbox_id] += 1
            self._open_streams += 1
            self._changed.notify_all()

    def stream_closed(self, sandbox_id: str) -> None:
        """Stop counting an event stream of a sandbox."""
        with self._changed:
            self._streams[sandbox_id] -= 1
            if not self._streams[sandbox_id]:
                del self._streams[sandbox_id]
            self._open_streams -= 1
            self._changed.notify_all()

    def count(self, method: str) -> int:
        """The number of calls of a method that arrived, kept or not."""
        with self._changed:
            return self._counts[method]

    def remaining_streams(self, timeout: float) -> dict[str, int]:
        """Wait up to `timeout` seconds for all streams to end; count the rest by sandbox.

        A stream that its client has cancelled ends here a moment later.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._open_streams, timeout)
            return dict(self._streams)

    def wait_until(
        self, condition: Callable[[], bool], timeout: float, describe: Callable[[], str]
    ) -> None:
        """Block until the condition holds.

        Args:
            condition: Called after each change.
            timeout: Seconds to wait at most.
            describe: Describes the present state, for the error.

        Raises:
            TimeoutError: It did not hold in time.
        """
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise TimeoutError(f"timed out after {timeout} s: {describe()}{blocked_loop()}")


def blocked_loop() -> str:
    """Explain a wait in vain in the thread of an event loop; empty in other threads."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return ""
    return (
        ". The wait blocked the event loop of this thread, which a client on it needs: "
        "use `await asyncio.to_thread(...)`"
    )
