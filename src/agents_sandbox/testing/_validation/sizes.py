"""Sizes in Docker's format."""

from __future__ import annotations

import re
from fractions import Fraction

_SIZE = re.compile(r"(?P<number>[0-9]+\.?[0-9]*|\.[0-9]+) ?(?P<suffix>.*)", re.DOTALL)
_UNIT = re.compile(r"b?|(?P<prefix>[kmgtp])(?:i?b)?")
_PREFIXES = " kmgtp"
# Python reads no number of over 4,300 digits; 64 bits have 19.
_MAX_DIGITS = 1000


def ram_in_bytes(text: str) -> int:
    """Read a size such as `64m`, `1.5 GiB` or `4096`; units are powers of 1024.

    Raises:
        ValueError: The text is not a size; the message is that of Docker's parser.
    """
    size = _SIZE.fullmatch(text)
    if size is None or len(size["number"]) > _MAX_DIGITS:
        raise ValueError(f"invalid size: '{text}'")
    suffix = size["suffix"].lower()
    unit = _UNIT.fullmatch(suffix)
    if unit is None:
        raise ValueError(f"invalid suffix: '{suffix}'")
    return int(Fraction(size["number"]) * 1024 ** _PREFIXES.index(unit["prefix"] or " "))
