"""Sizes in Docker's format."""

from __future__ import annotations

import re

from .strconv import parse_float

_UNIT = re.compile(r"b?|(?P<prefix>[kmgtp])(?:i?b)?")
_PREFIXES = " kmgtp"
_MAX_SUFFIX = 3
_LIMIT = 1 << 63


def ram_in_bytes(text: str) -> int:
    """Read a size such as `64m`, `1.5 GiB`, `1e3k` or `4096`; units are powers of 1024.

    Returns:
        The size in bytes. Docker's parser counts in 64 bits: a larger size becomes negative.

    Raises:
        ValueError: The text is not a size; the message is that of Docker's parser.
    """
    # As Docker's parser does: the last digit, point or space ends the number.
    end = max(text.rfind(char) for char in "0123456789. ")
    if end < 0:
        raise ValueError(f"invalid size: '{text}'")
    number = parse_float(text[:end] if text[end] == " " else text[: end + 1])
    if number < 0:
        raise ValueError(f"invalid size: '{text}'")
    size = number * 1024 ** _PREFIXES.index(_unit(text[end + 1 :]))
    return int(size) if size < _LIMIT else -_LIMIT


def _unit(suffix: str) -> str:
    if len(suffix.encode()) > _MAX_SUFFIX:
        raise ValueError(f"invalid suffix: '{suffix}'")
    unit = _UNIT.fullmatch(suffix.lower())
    if unit is None:
        raise ValueError(f"invalid suffix: '{suffix.lower()}'")
    return unit["prefix"] or " "
