"""What becomes of the clients when their process forks.

A forked child has one thread, no event loop that runs, and copies of gRPC's connections that
belong to its parent. It must neither use nor even close those: both would disturb the parent.
"""

from __future__ import annotations

import os
import threading

MUTEX = threading.RLock()
"""Guards a few statements at a time, never a call that waits.

There is one for all clients, so that it can be held during a fork: a child that is forked while
another thread is inside would find it locked for ever. It can be entered again because a task
that is started inside may run at once (`asyncio.eager_task_factory`).
"""

os.register_at_fork(
    before=MUTEX.acquire, after_in_parent=MUTEX.release, after_in_child=MUTEX.release
)

_left_alone: list[object] = []


def leave_alone(thing: object) -> None:
    """Keep what belongs to the parent process, and so from being finalized here."""
    _left_alone.append(thing)
