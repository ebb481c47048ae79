"""Sizes written the way Docker reads them."""

from __future__ import annotations

import re

from .strconv import parse_float

# Source: go-units' RAMInBytes. The unit is what follows the last of these.
_NUMBER_CHARS = "0123456789. "
_UNIT = re.compile(r"b?|(?P<prefix>[kmgtp])(?:i?b)?")
_PREFIXES = "kmgtp"
_MAX_UNIT_BYTES = 3
_OVERFLOW = 1 << 63


def ram_in_bytes(text: str) -> int:
    """Read a size such as `64m`, `1.5 GiB` or `4096`; units are powers of 1024.

    Raises:
        ValueError: The text is no size, with the words of Docker's parser.
    """
    end = max(map(text.rfind, _NUMBER_CHARS)) + 1
    if not end:
        raise ValueError(f"invalid size: '{text}'")
    number = parse_float(text[:end].removesuffix(" "))
    if number < 0:
        raise ValueError(f"invalid size: '{text}'")
    size = number * _multiplier(text[end:])
    # What an int64 cannot hold becomes the smallest one on the daemon's platforms.
    return int(size) if size < _OVERFLOW else -_OVERFLOW


def _multiplier(suffix: str) -> int:
    if len(suffix.encode()) > _MAX_UNIT_BYTES:
        raise ValueError(f"invalid suffix: '{suffix}'")
    unit = _UNIT.fullmatch(suffix.lower())
    if unit is None:
        raise ValueError(f"invalid suffix: '{suffix.lower()}'")
    prefix = unit["prefix"]
    return 1024 ** (_PREFIXES.index(prefix) + 1) if prefix else 1
