"""What the judges of all calls share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from agents_sandbox import DaemonUnavailableError

from .records import CallRecord
from .truth import History

Complaints: TypeAlias = Iterator[str]


def fresh(call: CallRecord, history: History, sequence: int) -> Complaints:
    """A snapshot must be no older than its call, and not from the future."""
    if not history.head_before(call.begun) <= sequence <= history.head_before(call.ended + 2):
        yield f"a snapshot after event {sequence} cannot be of that time"


def unavailable(call: CallRecord, *, may_be: bool) -> Complaints:
    """A call that may be retried must succeed: no daemon of these runs is unavailable for long."""
    if isinstance(call.error, DaemonUnavailableError) and not may_be:
        yield "the call is harmless to repeat"
