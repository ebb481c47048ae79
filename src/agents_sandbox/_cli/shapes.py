"""What is printed of a value: as JSON, and as text of one line without control characters; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any

from .._shared.shown import HIDDEN, SECRETS


def json_line(value: object, **more: object) -> str:
    """Return a model or a dict, and more of its fields, as one line of JSON."""
    return json.dumps(_shape(value) | _shape(more))


def _shape(value: Any) -> Any:
    if is_dataclass(value):
        return {
            field.name: _hidden(found) if field.name in SECRETS else _shape(found)
            for field in fields(value)
            for found in [getattr(value, field.name)]
        }
    if isinstance(value, Enum):
        return value.name if value.value else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {name: _shape(item) for name, item in sorted(value.items())}
    if isinstance(value, (list, tuple)):
        return [_shape(item) for item in value]
    return value


def _hidden(value: object) -> object:
    """Return the names of variables, which are no secrets."""
    return sorted(value) if isinstance(value, Mapping) else value and HIDDEN


def text(value: object) -> str:
    """Return a value as text for programs; `-` for none."""
    if isinstance(value, Enum):
        shown = value.name
    elif isinstance(value, datetime):
        shown = value.isoformat(timespec="seconds")
    elif isinstance(value, Mapping):
        shown = " ".join(named(value))
    else:
        shown = "" if value is None else str(value)
    return printable(shown) or "-"


def named(value: Mapping[str, str]) -> list[str]:
    """Return labels as NAME=VALUE, in an order that does not change."""
    return [f"{name}={item}" for name, item in sorted(value.items())]


def printable(shown: str) -> str:
    """Escape what a terminal would obey, or a program that reads lines and tabs."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in shown
    )


def age(since: datetime) -> str:
    """Return how long ago something was, such as `3m`."""
    seconds = max(0, int((datetime.now(timezone.utc) - since).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
