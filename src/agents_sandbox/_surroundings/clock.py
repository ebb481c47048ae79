"""Clocks that libraries which mock the date do not move.

Tests of our users mock the date, with freezegun, time-machine or `unittest.mock`. They mean their
own code. A call to a daemon takes as long as it takes, and the daemon's date is the real one.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from functools import partial

# freezegun replaces `time.monotonic`, also where a module has bound it.
monotonic = partial(time.clock_gettime, time.CLOCK_MONOTONIC)
"""Seconds on a clock that never goes back."""


def real_time() -> float:
    """Seconds since the epoch."""
    # time-machine moves this clock, too, and is the only one that then knows the real one.
    time_machine = sys.modules.get("time_machine")
    if time_machine is not None:
        with suppress(ValueError):  # it does not move it now
            seconds: float = time_machine.escape_hatch.time.time()
            return seconds
    return time.clock_gettime(time.CLOCK_REALTIME)


def grpc_timeout(seconds: float) -> float:
    """Return a number of seconds from now as gRPC has to get it.

    gRPC passes its core a date as the deadline, `time.time() + timeout`. Where that date is mocked,
    the deadline has passed at once or never passes.
    """
    # time-machine moves the clock that the real function reads. Others replace the function,
    # perhaps before this module is imported: the real one knows its module.
    real = getattr(time.time, "__self__", None) is time and time.time.__name__ == "time"
    mocked = not real or "time_machine" in sys.modules
    return _GrpcTimeout(seconds) if mocked else seconds


class _GrpcTimeout(float):
    """Makes the date by the real clock."""

    __slots__ = ()

    def __radd__(self, _: float) -> float:
        return real_time() + float(self)
