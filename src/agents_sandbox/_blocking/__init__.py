"""The blocking half of the primitive pair; `_aio` is the other half.

The two halves contain everything that differs between the flavours, under the same names and
with the same contracts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .._telemetry.recording import name_of
from .._tracebacks import ends_at_caller
from .channel import Channel, Stream
from .clean_up import CleanUp
from .waiting import Call, Mailbox, Reader, TimedLock, beside, give_way, notify

__all__ = [
    "Call",
    "Channel",
    "CleanUp",
    "Mailbox",
    "Reader",
    "Stream",
    "TimedLock",
    "beside",
    "give_way",
    "notify",
    "public",
]

_MethodT = TypeVar("_MethodT", bound=Callable[..., Any])


def public(method: _MethodT) -> _MethodT:
    """Decorate a public method: it is recorded, if anything is.

    The traceback of an error of ours does not show our frames.
    """
    return ends_at_caller(method, name_of(method))
