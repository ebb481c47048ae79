"""Options of the client that environment variables can set."""

from __future__ import annotations

import os

from .._shared.shown import shown
from ..errors import InvalidArgumentError
from .durations import DurationLike, to_seconds

SOCKET = "AGENTS_SANDBOX_SOCKET"
LOG = "AGENTS_SANDBOX_LOG"

_TIMEOUTS = {
    "timeout_seconds": "AGENTS_SANDBOX_TIMEOUT",
    "operation_timeout_seconds": "AGENTS_SANDBOX_OPERATION_TIMEOUT",
}

_LEVELS = ("info", "debug")


class Default(float):
    """The default of a timeout, to tell it from the same number given by the caller.

    None as the default would not show users the number.
    """

    __slots__ = ()


def variable(name: str) -> str | None:
    """Return the value of an environment variable; None if it is not set or empty."""
    return os.environ.get(name) or None


def timeout(name: str, given: DurationLike) -> float:
    """Return a timeout in seconds: the argument, or else the environment's, or else the default.

    Args:
        name: The parameter.
        given: Its value.

    Raises:
        InvalidArgumentError: The value is not acceptable; the message says where it comes from.
    """
    if isinstance(given, Default):
        source = _TIMEOUTS[name]
        text = variable(source)
        if text is not None:
            return to_seconds(source, _duration(text))
    return to_seconds(name, given)


def _duration(text: str) -> DurationLike:
    try:
        return float(text)
    except ValueError:
        return text


def log_level() -> str | None:
    """Return the level that AGENTS_SANDBOX_LOG sets: "INFO" or "DEBUG"; None: none.

    Raises:
        InvalidArgumentError: The variable has another value.
    """
    level = variable(LOG)
    if level is None:
        return None
    if level.lower() not in _LEVELS:
        raise InvalidArgumentError(f"{LOG} must be {' or '.join(_LEVELS)}, not {shown(level)}")
    return level.upper()
