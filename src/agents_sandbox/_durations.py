"""Durations as users write them: `timedelta`, seconds, or Go's `"1m30s"`."""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction
from typing import TypeAlias

from .errors import InvalidArgumentError

DurationLike: TypeAlias = timedelta | float | str
"""A `timedelta`, a number of seconds, or a Go duration string such as `"1m30s"`."""

# Source: Go's time.ParseDuration, whose strings the daemon's own configuration
# and config_yaml use. Both micro signs (U+00B5, U+03BC) are accepted there.
_MICROSECONDS = {
    "ns": Fraction(1, 1000),
    "us": Fraction(1),
    "\u00b5s": Fraction(1),
    "\u03bcs": Fraction(1),
    "ms": Fraction(1000),
    "s": Fraction(1_000_000),
    "m": Fraction(60_000_000),
    "h": Fraction(3_600_000_000),
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_WHOLE = re.compile(rf"([-+]?)(0|(?:{_PART.pattern})+)")


def parse_duration(text: str) -> timedelta:
    """Parse a Go duration string, exactly.

    Args:
        text: For example `"5s"`, `"1m30s"`, `"1.5h"`, `"250ms"` or `"0"`.

    Returns:
        The same duration.

    Raises:
        InvalidArgumentError: Not such a string, or finer than a microsecond,
            the resolution of `timedelta`.
    """
    whole = _WHOLE.fullmatch(text)
    if whole is None:
        raise InvalidArgumentError(
            f"invalid duration {text!r}: write a number with its unit (ns, us, ms, s, m, h), "
            'for example "5s" or "1m30s"'
        )
    try:
        total = sum(
            (Fraction(number) * _MICROSECONDS[unit] for number, unit in _PART.findall(whole[2])),
            Fraction(0),
        )
        duration = timedelta(microseconds=int(total) * (-1 if whole[1] == "-" else 1))
    except (OverflowError, ValueError) as error:  # ValueError: over 4,300 digits
        raise InvalidArgumentError(f"invalid duration {text[:40]!r}: too long") from error
    if total.denominator != 1:
        raise InvalidArgumentError(f"invalid duration {text!r}: finer than a microsecond")
    return duration


def to_timedelta(name: str, value: DurationLike) -> timedelta:
    """Convert any accepted form of a duration.

    Args:
        name: The parameter, for the error message.
        value: A `timedelta`, a number of seconds, or a Go duration string.

    Returns:
        The duration; numbers are rounded to the microsecond.

    Raises:
        InvalidArgumentError: Of another type, not finite, too long, or not a
            Go duration string.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except InvalidArgumentError as error:
            raise InvalidArgumentError(f"{name}: {error}") from error
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidArgumentError(
            f"{name} must be a timedelta, a number of seconds or a duration string "
            f'such as "5s", not {type(value).__name__}'
        )
    try:
        return timedelta(seconds=value)
    except (OverflowError, ValueError) as error:
        raise InvalidArgumentError(
            f"{name} is not a number of seconds that a timedelta can hold"
        ) from error
