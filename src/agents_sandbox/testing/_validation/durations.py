"""Durations written the way Go's `time.ParseDuration` reads them."""

from __future__ import annotations

import re
from fractions import Fraction

from google.protobuf.duration_pb2 import Duration

_UNITS = {
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
_MAX = (1 << 63) - 1


def parse_duration(text: str) -> Duration:
    """Read a duration such as `1h30m`, `500ms` or `-1.5s`; a plain `0` needs no unit.

    Raises:
        ValueError: The text is no duration, with Go's own words.
    """
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    nanoseconds = 0 if unsigned == "0" else _parse_parts(unsigned, text)
    sign = -1 if text.startswith("-") else 1
    seconds, nanos = divmod(nanoseconds, 1_000_000_000)
    return Duration(seconds=sign * seconds, nanos=sign * nanos)


def _parse_parts(unsigned: str, text: str) -> int:
    total = Fraction(0)
    position = 0
    while position < len(unsigned) or not unsigned:
        part = _PART.match(unsigned, position)
        if part is None:
            raise ValueError(f'time: invalid duration "{text}"')
        unit = part["unit"]
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += Fraction(part["number"]) * _UNITS[unit]
        position = part.end()
    if total > _MAX:
        raise ValueError(f'time: invalid duration "{text}"')
    return int(total)


def format_duration(seconds: float) -> str:
    """Write a duration of 1 ms or more as Go's `Duration.String()` does, to the millisecond."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:g}s"
    if minutes:
        text = f"{minutes}m{text}"
    return text
