"""Durations as users write them: `timedelta`, seconds, or Go's `"1m30s"`."""

from __future__ import annotations

import math
import sys
from datetime import timedelta
from typing import TypeAlias

from .._shared.go_durations import parse_nanoseconds
from .._shared.shown import shown
from ..errors import InvalidArgumentError, InvalidArgumentTypeError

DurationLike: TypeAlias = timedelta | float | str
"""A `timedelta`, a number of seconds, or a Go duration string such as `"1m30s"`."""

# Source: google/protobuf/duration.proto, the documented range of a Duration.
_MAX_DURATION = timedelta(seconds=315_576_000_000)


def parse_duration(text: str) -> timedelta:
    """Parse a Go duration string, exactly.

    Args:
        text: For example `"5s"`, `"1m30s"`, `"1.5h"`, `"250ms"` or `"0"`.

    Returns:
        The same duration.

    Raises:
        InvalidArgumentError: It is not such a string, or is finer than a
            microsecond, the resolution of `timedelta`.
    """
    try:
        microseconds = parse_nanoseconds(text) / 1000
        duration = timedelta(microseconds=int(microseconds))
    except ValueError:
        raise InvalidArgumentError(
            f"invalid duration {shown(text)}: write a number with its unit (ns, us, ms, s, m, h), "
            'for example "5s" or "1m30s"'
        ) from None
    except OverflowError:
        raise InvalidArgumentError(f"invalid duration {shown(text)}: too long") from None
    if microseconds.denominator != 1:
        raise InvalidArgumentError(f"invalid duration {shown(text)}: finer than a microsecond")
    return duration


def to_timedelta(name: str, value: DurationLike) -> timedelta:
    """Convert a duration from any of its accepted forms.

    Args:
        name: The parameter, for the error message.
        value: A `timedelta`, a number of seconds, or a Go duration string.

    Returns:
        The duration; numbers are rounded to the microsecond.

    Raises:
        InvalidArgumentError: It has another type, is not finite, is too long,
            or is not a Go duration string.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except InvalidArgumentError as error:
            raise InvalidArgumentError(f"{name}: {error}") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidArgumentTypeError(
            f"{name} must be a timedelta, a number of seconds or a duration string "
            f'such as "5s", not {shown(value)}'
        )
    try:
        return timedelta(seconds=value)
    except (OverflowError, ValueError):
        raise InvalidArgumentError(
            f"{name} is not a number of seconds that a timedelta can hold: {shown(value)}"
        ) from None


def to_seconds(name: str, value: DurationLike) -> float:
    """Convert a timeout from any of the accepted forms of a duration.

    Args:
        name: The parameter, for the error message.
        value: A number of seconds, which may be `math.inf`, a `timedelta` or a Go duration string.

    Returns:
        Its seconds; `math.inf` means no bound.

    Raises:
        InvalidArgumentError: It is no duration, or not above 0.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value
    else:
        seconds = to_timedelta(name, value).total_seconds()
    if not seconds > 0:  # refuses NaN too
        raise InvalidArgumentError(f"{name} must be above 0: {shown(value)}")
    return float(seconds) if seconds <= sys.float_info.max else math.inf


def check_range(name: str, value: timedelta | None) -> None:
    """Refuse a duration that the protocol cannot carry; None is accepted.

    Raises:
        InvalidArgumentError: It is negative or over 10,000 years.
    """
    if value is not None and not timedelta(0) <= value <= _MAX_DURATION:
        raise InvalidArgumentError(f"{name} must be from 0 to 10,000 years: {shown(value)}")
