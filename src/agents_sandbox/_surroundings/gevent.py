"""gevent replaces the threads of a process by greenlets, which all stop when gRPC's core waits."""

from __future__ import annotations

import sys
from _queue import SimpleQueue
from typing import Any

_PATCHED = "gevent has patched the threads of this process"


def obstacle_to_grpc() -> str | None:
    """Say why gRPC's blocking calls would hang in this process; None: they do not."""
    core: Any = sys.modules.get("grpc._cython.cygrpc")
    if not _patches_threads() or core.g_gevent_activated:
        return None
    return (
        f"{_PATCHED}, and gRPC's calls would hang: call grpc.experimental.gevent.init_gevent() "
        "right after gevent.monkey.patch_all(), before gRPC is used"
    )


def obstacle_to_asyncio() -> str | None:
    """Say why gRPC's asyncio would hang in this process; None: it does not."""
    return f"{_PATCHED}, and gRPC's asyncio would hang" if _patches_threads() else None


def thread_queue() -> SimpleQueue[Any]:
    """Make a queue between the threads of this process, whichever kind they are."""
    # gevent replaces `queue.SimpleQueue` also where it leaves threads alone, and real threads wait
    # at its own one forever.
    if not _patches_threads():
        return SimpleQueue()
    import queue  # noqa: PLC0415 - its Python half is for this case alone

    return queue.SimpleQueue()


def _patches_threads() -> bool:
    monkey: Any = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))
