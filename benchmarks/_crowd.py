"""Measures many sandboxes at the same time, each with an open event stream."""

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
    """The measurements; times in seconds."""

    count: int
    create_time: float
    bytes_per_sandbox: float
    open_time: float
    bytes_per_stream: float
    live_time: float
    """From sending the first live event to receiving the last one."""
    resident: int
    """Resident bytes of the process while all streams are open."""


def measure_crowd(daemon: FakeDaemon, remote: Remote, count: int, timeout: float) -> Crowd:
    """Create `count` sandboxes, follow each, send one live event to each, close the streams.

    Args:
        daemon: The daemon, in this process.
        remote: The client, in another process.
        count: Number of sandboxes and of streams.
        timeout: Seconds to wait until the expected number of streams is open.

    Raises:
        ShedError: A stream ended before it was closed.
        TimeoutError: Not all streams were open at once, or not all ended.
        RemoteError: A command of the client failed.
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
