"""Tracebacks that users can read: their own lines, one of ours, and the message."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from types import FrameType, FunctionType
from typing import Any, TypeVar, cast

from ._telemetry import recording
from .errors import SandboxClientError

CallableT = TypeVar("CallableT", bound=Callable[..., Any])
ClassT = TypeVar("ClassT", bound=type)

_PACKAGE = __file__.rpartition("_tracebacks")[0]


def ends_at_caller(function: CallableT, name: str = "") -> CallableT:
    """Decorate a public function that is no coroutine: errors of ours do not show our frames.

    The arguments are in none of the frames that are left: tools that report errors show them, and
    some are secrets.

    Args:
        function: The function.
        name: Under which its calls are recorded, if anything is; empty: they are not.
    """

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True  # for pytest, which shows the caller then
        handled = sys.exc_info()[1]
        recorder = recording.recorder
        try:
            if recorder is None or not name:
                return function(*args, **kwargs)
            with recorder.call(name) as recorded, recorded:
                recorded.begin()
                recorded.result = function(*args, **kwargs)
                return recorded.result
        except SandboxClientError as caught:
            error = trimmed(caught, handled)
            del args, kwargs
            try:
                raise error
            finally:
                del error  # its traceback refers to this frame

    return cast("CallableT", call)


def trimmed(error: SandboxClientError, context: BaseException | None) -> SandboxClientError:
    """Drop from an error what only this SDK understands, and return it.

    These are our frames, the errors that we handled on the way, and the causes of its cause. What
    they report is in the message and in the attributes.

    Args:
        error: The error.
        context: What the caller handles at the moment.
    """
    cause = error.__cause__
    if cause is not None:
        cause.__traceback__ = cause.__context__ = cause.__cause__ = None
    error.__traceback__ = None
    error.__context__, error.__suppress_context__ = context, cause is not None
    return error


def level_of_caller() -> int:
    """Return the `stacklevel` of a warning, for the line that called this SDK."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - as `warnings` itself does
    level = 1
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
        level += 1
    return level


def names_its_methods(public: ClassT) -> ClassT:
    """Decorate a class: Python names it for all its methods, in errors, warnings and tasks.

    So it does for a wrong keyword and for a call that nobody waits for. It would name the private
    base that defines the method, which users do not know.
    """
    for base in public.__mro__:
        for name, value in vars(base).items():
            method: Any = value
            while isinstance(method, FunctionType):
                method.__module__ = public.__module__  # where `pickle` looks
                method.__qualname__ = f"{public.__name__}.{name}"
                method = getattr(method, "__wrapped__", None)
    return public
