"""The async half of the primitive pair; `_blocking` is the other half.

The two halves contain everything that differs between the flavours, under the same names and
with the same contracts. `_async` uses only these names.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from .._telemetry import recording
from .._tracebacks import trimmed
from ..errors import SandboxClientError
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
    name = recording.name_of(method)

    @wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True  # for pytest, which shows the caller then
        handled = sys.exc_info()[1]
        coroutine = method(*args, **kwargs)
        del args, kwargs  # tools that report errors show them, and some are secrets
        recorder = recording.recorder
        try:
            if recorder is None or not name:
                return await coroutine
            with recorder.call(name) as recorded, recorded:
                recorded.begin()
                recorded.result = await coroutine
                return recorded.result
        except SandboxClientError as caught:
            error = trimmed(caught, handled)
            try:
                raise error
            finally:
                del error  # its traceback refers to this frame

    return cast("_MethodT", call)
