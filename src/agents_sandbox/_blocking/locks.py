"""Waits on bare locks, which an interruption cannot corrupt.

Ctrl-C at the wrong moment corrupts a Condition, and so an Event and a Queue. `SimpleQueue` is safe,
but its `get(timeout=)` can wait forever if it wakes up without an item after its time has run out
(observed in Python 3.10 to 3.12, not in 3.13).
"""

from __future__ import annotations

import math
import threading
from contextlib import suppress

from .._deadline import Deadline

# A signal that arrives just before a wait begins is handled only after the wait. The main thread
# receives Ctrl-C, so it never waits longer than this in one go. gRPC does the same.
_INTERRUPTIBLE_SECONDS = 0.2


def in_main_thread() -> bool:
    """Whether this is the main thread, the only one in which signal handlers run."""
    return threading.current_thread() is threading.main_thread()


def closed_gate() -> threading.Lock:
    """Make a gate: a lock that is held until it is opened."""
    gate = threading.Lock()
    gate.acquire()
    return gate


def open_gate(gate: threading.Lock) -> None:
    """Let one waiting thread pass. Safe to repeat."""
    with suppress(RuntimeError):  # it was already open
        gate.release()


def acquire(lock: threading.Lock | threading.RLock, timeout: float | None) -> bool:
    """Acquire a lock; return False if that is not possible within `timeout` seconds."""
    if not in_main_thread():
        return lock.acquire(timeout=-1 if timeout is None else timeout)
    deadline = deadline_of(timeout)
    while not lock.acquire(timeout=deadline.within(_INTERRUPTIBLE_SECONDS).remaining() or 0.0):
        if deadline.expired():
            return False
    return True


def pass_through(gate: threading.Lock) -> None:
    """Wait in the main thread until a gate is open, however long that takes."""
    while not gate.acquire(timeout=_INTERRUPTIBLE_SECONDS):
        pass


def deadline_of(timeout: float | None) -> Deadline:
    """Return the deadline of a wait that begins now; None: no bound."""
    return Deadline(math.inf if timeout is None else timeout)
