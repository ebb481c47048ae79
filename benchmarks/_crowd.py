"""Many sandboxes with an open event stream on each, at the same time."""

from __future__ import annotations

import time
from dataclasses import dataclass

from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from ._client import LIVE
from ._memory import resident_bytes
from ._remote import Remote


@dataclass(frozen=True)
class Crowd:
    """What was measured; times in seconds."""

    count: int
    create_time: float
    bytes_per_sandbox: float
    open_time: float
    bytes_per_stream: float
    live_time: float
    """From the first live event sent to the last one received."""
    resident: int
    """Bytes of the process with all streams open."""


def measure_crowd(daemon: FakeDaemon, remote: Remote, count: int, timeout: float) -> Crowd:
    """Create `count` sandboxes, follow each, send one live event to all, close.

    Args:
        daemon: The daemon, in this process.
        remote: Its client.
        count: How many sandboxes, and streams.
        timeout: Seconds that the daemon may take to count the streams.

    Raises:
        ShedError: A stream ended before it was closed.
        TimeoutError: Not all streams were open at once, or not all ended.
        RemoteError: The client could not do its part.
    """
    sandbox_ids = [f"crowd-{number}" for number in range(count)]
    empty, started = resident_bytes(), time.perf_counter()
    remote("create", sandbox_ids)
    daemon.wait_for_streams(0, timeout=timeout)
    created, create_time = resident_bytes(), time.perf_counter() - started

    started = time.perf_counter()
    remote.lossless("open_streams", sandbox_ids)
    daemon.wait_for_streams(count, timeout=timeout)
    opened, open_time = resident_bytes(), time.perf_counter() - started

    started = time.perf_counter()
    for sandbox_id in sandbox_ids:
        daemon.emit(sandbox_id, pb.SandboxEvent(event_type=LIVE))
    remote.lossless("live_events")
    live_time = time.perf_counter() - started

    remote.lossless("close_streams")
    daemon.wait_for_streams(0, timeout=timeout)
    return Crowd(
        count=count,
        create_time=create_time,
        bytes_per_sandbox=(created - empty) / count,
        open_time=open_time,
        bytes_per_stream=(opened - created) / count,
        live_time=live_time,
        resident=opened,
    )
