"""The daemon's clock."""

from __future__ import annotations

import time

from google.protobuf.timestamp_pb2 import Timestamp


class Clock:
    """Wall-clock time that never repeats and never goes back.

    Lists are ordered by it, so two sandboxes must not share a moment.
    """

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> Timestamp:
        """The current time, later than every time handed out before."""
        self._last = max(self._last + 1, time.time_ns())
        seconds, nanos = divmod(self._last, 1_000_000_000)
        return Timestamp(seconds=seconds, nanos=nanos)
