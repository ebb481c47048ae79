"""Decimal numbers and quoted text, with the messages of Go's `strconv`."""

from __future__ import annotations

import json
import re
from contextlib import suppress

# Python also accepts spaces around a number, and digits of other scripts.
_NUMBER_CHARS = re.compile(r"[-+.\w]+", re.ASCII)


def quoted(text: str) -> str:
    """Put text in double quotes and escape quotes and control characters."""
    return json.dumps(text, ensure_ascii=False)


def parse_float(text: str) -> float:
    """Read a decimal number, including infinities and NaN.

    Raises:
        ValueError: The text is not a number; the message is Go's.
    """
    with suppress(ValueError):
        if _NUMBER_CHARS.fullmatch(text):
            return float(text)
    raise ValueError(f"strconv.ParseFloat: parsing {quoted(text)}: invalid syntax")
