"""Clocks that libraries which mock the date do not move.

Tests of our users mock the date, with freezegun, time-machine or `unittest.mock`. They mean their
own code. A call to a daemon takes as long as it takes, and the daemon's date is the real one.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress


def monotonic() -> float:
    """Seconds on a clock that never goes back."""
    # freezegun replaces `time.monotonic`, also where a module has bound it.
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def real_time() -> float:
    """Seconds since the epoch."""
    # time-machine moves this clock, too, and is the only one that then knows the real one.
    time_machine = sys.modules.get("time_machine")
    if time_machine is not None:
        with suppress(ValueError):  # it does not move it now
            seconds: float = time_machine.escape_hatch.time.time()
            return seconds
    return time.clock_gettime(time.CLOCK_REALTIME)


class GrpcTimeout(float):
    """Seconds from now, for gRPC.

    It passes the core a date as the deadline, `time.time() + timeout`. Where that date is mocked,
    the deadline has passed at once or never passes.
    """

    __slots__ = ()

    def __radd__(self, _: float) -> float:
        return real_time() + float(self)
