"""Decimal numbers and quoted text, with the messages of Go's `strconv`."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress

# Python also accepts spaces around a number, digits of other scripts, and underscores.
_NUMBER_CHARS = re.compile(r"[-+.0-9A-Za-z]+")


def quoted(text: str) -> str:
    """Put text in double quotes and escape quotes and control characters."""
    return json.dumps(text, ensure_ascii=False)


def parse_float(text: str) -> float:
    """Read a decimal number, including infinities and NaN.

    Raises:
        ValueError: The text is not a number; the message is Go's.
    """
    fault = "invalid syntax"
    with suppress(ValueError):
        if _NUMBER_CHARS.fullmatch(text):
            number = float(text)
            if not math.isinf(number) or "inf" in text.lower():
                return number
            fault = "value out of range"
    raise ValueError(f"strconv.ParseFloat: parsing {quoted(text)}: {fault}")
