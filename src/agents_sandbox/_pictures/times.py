"""Durations and marks on a time axis, in units that people read."""

from __future__ import annotations

import math

_MINUTE, _HOUR, _DAY = 60, 3600, 86400

_STEPS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1, 2, 5, 10, 15, 30),
    *(_MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR),
    *(_DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY, 90 * _DAY, 365 * _DAY),
)
_MOST_MARKS = 6


def duration(seconds: float) -> str:
    """Render a duration, such as `"350 ms"`, `"1.5 s"`, `"2 min 5 s"` or `"3 d 4 h"`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms" if seconds else "0"
    if seconds < 9.95:
        return f"{round(seconds, 1):g} s"
    whole = round(seconds)
    for size, unit, smaller, its_unit in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {its_unit}" if rest else "")
    return f"{whole} s"


def marks(length: float) -> list[float]:
    """Choose marks for an axis from 0 to a length in seconds: at most seven, 0 included."""
    step = next((step for step in _STEPS if length <= step * _MOST_MARKS), None)
    if step is None:
        years = length / _MOST_MARKS / _STEPS[-1]
        step = _STEPS[-1] * 10 ** math.ceil(math.log10(years))
    return [number * step for number in range(int(length / step) + 1)]
