"""Decimal numbers and quoted text, with the words of Go's `strconv`."""

from __future__ import annotations

import json
import re
from contextlib import suppress

# Python also reads numbers with spaces around them, and digits of other scripts.
_NUMBER_CHARS = re.compile(r"[-+.\w]+", re.ASCII)


def quoted(text: str) -> str:
    """Put text in double quotes, with escapes for quotes and control characters."""
    return json.dumps(text, ensure_ascii=False)


def parse_float(text: str) -> float:
    """Read a decimal number, infinities and NaN included.

    Raises:
        ValueError: The text is no number, with Go's own words.
    """
    with suppress(ValueError):
        if _NUMBER_CHARS.fullmatch(text):
            return float(text)
    raise ValueError(f"strconv.ParseFloat: parsing {quoted(text)}: invalid syntax")
