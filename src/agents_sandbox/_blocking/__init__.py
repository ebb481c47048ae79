"""The blocking half of the primitive pair; `_aio` is the other half.

The two halves contain everything that differs between the flavours, under the same names and
with the same contracts.
"""

from __future__ import annotations

from .._tracebacks import ends_at_caller as public
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
