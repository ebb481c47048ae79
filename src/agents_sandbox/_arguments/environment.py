"""Options of the client that environment variables can set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial

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
        seconds = _timeout_of(_TIMEOUTS[name])
        if seconds is not None:
            return seconds
    return to_seconds(name, given)


def _timeout_of(source: str) -> float | None:
    text = variable(source)
    return None if text is None else to_seconds(source, _duration(text))


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


def bad_variables() -> Iterator[tuple[str, InvalidArgumentError]]:
    """Find the variables whose values the client refuses, except the socket's."""
    readers: dict[str, Callable[[], object]] = {LOG: log_level}
    for source in _TIMEOUTS.values():
        readers[source] = partial(_timeout_of, source)
    for name, read in readers.items():
        try:
            read()
        except InvalidArgumentError as error:
            yield name, error
