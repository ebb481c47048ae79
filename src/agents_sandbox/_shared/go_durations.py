"""A parser for Go's `time.ParseDuration`, shared by the client and the fake daemon."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

# Go accepts both micro signs.
_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # micro sign
    "\u03bcs": 1_000,  # Greek mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"(?P<number>[0-9]+\.?[0-9]*|\.[0-9]+)(?P<unit>[^0-9.]*)")


def parse_nanoseconds(text: str) -> Fraction:
    """Parse a duration such as `1h30m`, `500ms` or `-1.5s`; a plain `0` needs no unit.

    Args:
        text: The duration.

    Returns:
        Its exact nanoseconds. Callers decide which range and resolution they accept.

    Raises:
        ValueError: The text is not a duration; with Go's own message.
        OverflowError: A number in it has thousands of digits.
    """
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    total = _exact("0") if unsigned == "0" else _sum_of_parts(unsigned, text)
    return -total if text.startswith("-") else total


def _sum_of_parts(unsigned: str, text: str) -> Fraction:
    total = _exact("0")
    position = 0
    while position < len(unsigned) or not unsigned:
        part = _PART.match(unsigned, position)
        if part is None:
            raise ValueError(f'time: invalid duration "{text}"')
        unit = part["unit"]
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _NANOSECONDS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += _exact(part["number"]) * _NANOSECONDS[unit]
        position = part.end()
    return total


def _exact(number: str) -> Fraction:
    from fractions import Fraction  # noqa: PLC0415 - loads decimal, and few durations are text

    try:
        return Fraction(number)
    except ValueError as error:  # Python's own limit, 4,300 digits
        raise OverflowError("a number has too many digits") from error
