"""The blocking half of the primitive pair; `_aio` is the other half.

The two halves contain everything that differs between the flavours, under the same names and
with the same contracts.
"""

from __future__ import annotations

from .channel import Channel, Stream
from .tracebacks import public
from .waiting import Call, Mailbox, Reader, TimedLock

__all__ = ["Call", "Channel", "Mailbox", "Reader", "Stream", "TimedLock", "public"]
