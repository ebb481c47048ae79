"""Creates and deletes sandboxes in waves and measures the memory after each wave."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agents_sandbox.testing import FakeDaemon

from ._memory import resident_bytes
from ._remote import Remote, ShedError

# The status with which daemon 0.2.1 ends the stream of a purged sandbox.
_PURGED = "NOT_FOUND"


def waves(
    daemon: FakeDaemon, remote: Remote, count: int, size: int, timeout: float
) -> Iterator[int]:
    """Run `count` waves of `size` sandboxes; yield the memory in bytes after each wave.

    Each sandbox is created, runs an exec, is deleted and is purged, with an open stream.

    Raises:
        ShedError: A stream ended before the purge or with another status.
        TimeoutError: Streams stayed open.
        RemoteError: A command of the client failed.
    """
    for wave in range(count):
        sandbox_ids = [f"wave-{wave}-{number}" for number in range(size)]
        remote("live_and_die", sandbox_ids)
        for sandbox_id in sandbox_ids:
            daemon.purge(sandbox_id)
        ends: Counter[str] = remote("stream_ends")
        if ends != {_PURGED: size}:
            raise ShedError(f"streams of wave {wave + 1} ended with {dict(ends)}")
        daemon.wait_for_streams(0, timeout=timeout)
        yield resident_bytes()


@dataclass(frozen=True)
class Growth:
    """How the memory grew from wave to wave."""

    first: int
    """Minimum in the first third of the counted waves, in bytes."""
    last: int
    """Minimum in the last third, in bytes."""
    bytes_per_sandbox: float
    """Slope over all counted waves."""

    @property
    def ratio(self) -> float:
        """The last third divided by the first; 1 is flat."""
        return self.last / self.first


def growth(memory: Sequence[int], warm_up: int, size: int) -> Growth:
    """Compare the waves after the warm-up.

    Args:
        memory: Bytes after each wave, for at least three waves after the warm-up.
        warm_up: Number of waves to ignore: they fill the allocator's pools.
        size: Sandboxes in each wave.
    """
    counted = memory[warm_up:]
    third = len(counted) // 3
    slope = statistics.linear_regression(range(len(counted)), counted).slope
    # The minimum, not the mean: memory that the allocator has not yet returned varies.
    return Growth(min(counted[:third]), min(counted[-third:]), slope / size)
