"""What the server and the clients agree on."""

from __future__ import annotations

VERSION = "0.2.1"
"""The release of the daemon that the server plays, and of the published peer."""

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
SANDBOX_ID = "bench-sandbox"
"""A sandbox that is READY, with three services and four labels."""
EVENTS_ID = "bench-events"
"""A sandbox with a long history of events."""
TOGETHER = "BENCH_TOGETHER"
"""A variable of execs: so many of one sandbox end at the same time."""
COUNT, HOLD, MAKE_READY = "count", "hold", "make ready"
"""Orders to the server, which answers each with its counters: nothing more; no new sandbox becomes
READY from now on; all do.
"""

TIMEOUT = 600.0
"""Time limit of each call, in seconds. All clients set one, as programs should."""

KEEP_GARBAGE = "--keep-garbage"
"""An option of the clients: Python's garbage collector is off while they make calls."""
