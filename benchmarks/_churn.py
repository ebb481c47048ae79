"""Waves of sandboxes that come and go, and the memory that stays behind."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agents_sandbox.testing import FakeDaemon

from ._memory import resident_bytes
from ._remote import Remote, ShedError

# How daemon 0.2.1 ends the stream of a sandbox that was purged.
_PURGED = "NOT_FOUND"


def waves(
    daemon: FakeDaemon, remote: Remote, count: int, size: int, timeout: float
) -> Iterator[int]:
    """Let `count` waves of `size` sandboxes live and die; yield the memory after each.

    Each sandbox is created, runs an exec, is deleted and purged while a stream follows it.

    Raises:
        ShedError: A stream was ended by something else than the purge.
        TimeoutError: Streams stayed open.
        RemoteError: The client could not do its part.
    """
    for wave in range(count):
        sandbox_ids = [f"wave-{wave}-{number}" for number in range(size)]
        remote("live_and_die", sandbox_ids)
        for sandbox_id in sandbox_ids:
            daemon.purge(sandbox_id)
        ends: Counter[str] = remote("stream_ends")
        if ends != {_PURGED: size}:
            raise ShedError(f"the streams of wave {wave + 1} ended so: {dict(ends)}")
        daemon.wait_for_streams(0, timeout=timeout)
        yield resident_bytes()


@dataclass(frozen=True)
class Growth:
    """The memory after each wave, compared."""

    first: int
    """The least bytes in the first third of the waves that count."""
    last: int
    """The least bytes in the last third."""
    bytes_per_sandbox: float
    """The slope between them all."""

    @property
    def ratio(self) -> float:
        """How much larger the last third is than the first: 1 is flat."""
        return self.last / self.first


def growth(memory: Sequence[int], warm_up: int, size: int) -> Growth:
    """Compare the waves after the first `warm_up` ones.

    Args:
        memory: Bytes after each wave; three or more beyond the warm-up.
        warm_up: Waves that fill the allocator's pools and do not count.
        size: Sandboxes in each wave.
    """
    counted = memory[warm_up:]
    third = len(counted) // 3
    slope = statistics.linear_regression(range(len(counted)), counted).slope
    # The least, not the mean: what the allocator has not given back yet comes and goes.
    return Growth(min(counted[:third]), min(counted[-third:]), slope / size)
