"""What happens to clients and fake daemons in a forked child.

A forked child has one thread, no running event loop, and copies of gRPC's connections. Those belong
to its parent: the child must neither use nor close them, because both would disturb the parent.
"""

from __future__ import annotations

import os
import threading

MUTEX = threading.RLock()
"""Guards a few statements at a time, never a call that waits.

All clients share it so that it can be held during a fork. Otherwise a child that is forked while
another thread holds it would find it locked forever. It is reentrant because a task that is started
while it is held may run immediately (`asyncio.eager_task_factory`).
"""

LOADING = threading.RLock()
"""Guards the first use of a public name that loads on first use.

It is held during a fork, too: a child that is forked while another thread loads a module would wait
for that module forever. And threads that load modules of one package in different order can find
each other's half loaded. Imports within functions are not guarded, but for those of a back-off: to
fork in the midst of one is as wrong as with any other import of the program.
"""

for _lock in (MUTEX, LOADING):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )

_kept: list[object] = []


def keep_unfinalized(thing: object) -> None:
    """Keep an object of the parent process, so that it is never finalized here."""
    _kept.append(thing)


_without_poller = False


def lose_poller() -> None:
    """Record that this process has no poller for gRPC's asyncio: it stayed in the parent."""
    global _without_poller  # noqa: PLW0603 - it is a state of the process
    _without_poller = True


def obstacle_to_asyncio() -> str | None:
    """Say why gRPC's asyncio cannot be used in this process; None: it can."""
    if not _without_poller:
        return None
    return (
        "this process was forked while an async client or a fake daemon was open or before gRPC "
        "had cleaned up after it, which gRPC's asyncio does not support: start processes with "
        "'spawn' or 'forkserver'"
    )
