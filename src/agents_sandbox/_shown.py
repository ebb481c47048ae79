"""What messages show of a value or text: one line of a sane length; pure."""

from __future__ import annotations

import re

# A message must fit on one line of a log, whatever was passed.
_CHARACTERS = 60
# A daemon's explanation may be longer: it can be all that there is.
_TEXT_CHARACTERS = 1000

# Visible ASCII, not longer than a valid id.
_PLAIN = re.compile(r"[!-~]{1,200}")


def shown(value: object, limit: int = _CHARACTERS) -> str:
    """Quote a value for a message; a long one is shortened."""
    if isinstance(value, str):
        quoted = repr(value[:limit])
        return quoted if len(value) <= limit else f"{quoted}... ({len(value)} characters)"
    try:
        quoted = repr(value)
    except ValueError:  # an integer with too many digits
        return f"<{type(value).__name__}>"
    return shortened(quoted, limit)


def shown_id(value: str | None) -> str:
    """Return an id for a message as it is; one that could not be an id is quoted and shortened."""
    return value if value is not None and _PLAIN.fullmatch(value) else shown(value)


def shortened(text: str, limit: int = _TEXT_CHARACTERS) -> str:
    """Return a text for a message, not quoted; a long one is shortened."""
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"
