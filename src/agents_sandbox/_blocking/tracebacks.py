"""What users see of an error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from .._tracebacks import trimmed
from ..errors import SandboxClientError

_MethodT = TypeVar("_MethodT", bound=Callable[..., Any])


def public(method: _MethodT) -> _MethodT:
    """Decorate a public method: the traceback of an error of ours does not show our frames."""

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True  # for pytest, which shows the caller then
        handled = sys.exc_info()[1]
        try:
            return method(*args, **kwargs)
        except SandboxClientError as caught:
            error = trimmed(caught, handled)
            try:
                raise error
            finally:
                del error  # its traceback refers to this frame

    return cast("_MethodT", call)
