"""Numbers and quoted text the way Go's `strconv` reads and writes them."""

from __future__ import annotations

import math
import re

_ESCAPES = dict(zip('"\\\a\b\f\n\r\t\v', ("\\" + letter for letter in '"\\abfnrtv'), strict=True))

# Source: strconv.ParseFloat. An underscore stands between digits or after the `0x`; a
# hexadecimal number needs its exponent; NaN has no sign.
_DIGITS = r"[0-9](?:_?[0-9])*"
_HEX_DIGITS = r"[0-9a-f](?:_?[0-9a-f])*"
_SPECIAL = re.compile(r"[-+]?inf(?:inity)?|nan", re.IGNORECASE | re.ASCII)
_DECIMAL = re.compile(
    rf"[-+]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:e[-+]?{_DIGITS})?",
    re.IGNORECASE | re.ASCII,
)
_HEXADECIMAL = re.compile(
    rf"[-+]?0x(?:_?{_HEX_DIGITS}(?:\.(?:{_HEX_DIGITS})?)?|\.{_HEX_DIGITS})p[-+]?{_DIGITS}",
    re.IGNORECASE | re.ASCII,
)


def quoted(text: str) -> str:
    """Put text in double quotes, with escapes for what cannot be printed."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def parse_float(text: str) -> float:
    """Read a number as `strconv.ParseFloat` does, infinities and NaN included.

    Raises:
        ValueError: The text is no number or too large a one, with Go's own words.
    """
    if _SPECIAL.fullmatch(text):
        return float(text)
    value = _finite(text)
    if math.isinf(value):
        raise ValueError(f"strconv.ParseFloat: parsing {quoted(text)}: value out of range")
    return value


def _finite(text: str) -> float:
    plain = text.replace("_", "")
    if _DECIMAL.fullmatch(text):
        return float(plain)
    if not _HEXADECIMAL.fullmatch(text):
        raise ValueError(f"strconv.ParseFloat: parsing {quoted(text)}: invalid syntax")
    try:
        return float.fromhex(plain)
    except OverflowError:
        return math.inf
