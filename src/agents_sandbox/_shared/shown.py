"""What messages and reprs show of a value: one short line, without secrets; pure."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from itertools import islice
from typing import Any

# A message must fit on one line of a log, whatever was passed.
_CHARACTERS = 60
# A daemon's explanation may be longer: it can be all that there is.
_TEXT_CHARACTERS = 1000
# In a repr; each item of a collection may be as long as this.
_ITEMS = 5
_ITEM_CHARACTERS = 200
# In a table.
_VALUE_CHARACTERS = 400

# Visible ASCII, not longer than a valid id.
_PLAIN = re.compile(r"[!-~]{1,200}")

# Fields whose values are secrets: tokens and passwords get into sandboxes as environment variables.
SECRETS = frozenset({"config_yaml", "env", "env_overrides", "envs"})
HIDDEN = "..."
"""Stands for the value of a secret."""


def shown(value: object, limit: int = _CHARACTERS) -> str:
    """Quote a value for a message; a long one is shortened."""
    if isinstance(value, str):
        quoted = repr(value[:limit])
        return quoted if len(value) <= limit else f"{quoted}... ({len(value)} characters)"
    kind = f"<{type(value).__name__}>"
    if isinstance(value, Mapping):  # perhaps of variables
        return kind
    try:
        quoted = repr(value)
    except Exception:  # noqa: BLE001 - of anybody's class, or an integer with too many digits
        return kind
    return shortened(" ".join(quoted.split()), limit)


def shown_id(value: str | None) -> str:
    """Return an id for a message as it is; one that could not be an id is quoted and shortened."""
    return value if value is not None and _PLAIN.fullmatch(value) else shown(value)


def shortened(text: str, limit: int = _TEXT_CHARACTERS) -> str:
    """Return a text for a message, not quoted; a long one is shortened."""
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def escaped(text: str) -> str:
    """Return a text for a log, not quoted: shortened, on one line, without control characters."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in shortened(text))


class OneLineRepr:
    """Gives a dataclass a repr of one line: the fields that differ from their defaults.

    Use it with `@dataclass(repr=False)`.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return one_line(type(self).__name__, telling_fields(self))

    def _repr_html_(self) -> str:
        from .markup import fields_table  # noqa: PLC0415 - notebooks alone need it

        return fields_table(type(self).__name__, told_fields(self))


def told_fields(model: object) -> Iterator[tuple[str, str]]:
    """Render the fields that differ from their defaults, for a table."""
    for name, value in telling_fields(model):
        yield name, value_text(name, value, _VALUE_CHARACTERS)


def telling_fields(model: Any) -> Iterator[tuple[str, object]]:
    """Find the fields of a dataclass that differ from their defaults, with their values."""
    kind: Any = type(model)
    defaults = _defaults(kind)
    names = (field.name for field in fields(model) if field.repr)
    # In a debugger, some attributes of a new object may be missing.
    values = ((name, getattr(model, name)) for name in names if hasattr(model, name))
    return ((name, value) for name, value in values if not _is_default(value, defaults[name]))


def one_line(kind: str, values: Iterable[tuple[str, object]]) -> str:
    """Render an object as its class and the given fields, without the values of secrets."""
    return f"{kind}({', '.join(f'{name}={field_text(name, value)}' for name, value in values)})"


_NO_DEFAULT = inspect.Parameter.empty


@cache
def _defaults(kind: Any) -> Mapping[str, object]:
    # Not those of the fields: some models have a constructor of their own.
    parameters = inspect.signature(kind).parameters
    return {
        field.name: parameters[field.name].default
        if field.name in parameters and field.default_factory is MISSING
        else _NO_DEFAULT
        for field in fields(kind)
    }


def _is_default(value: object, default: object) -> bool:
    if default is not _NO_DEFAULT:
        return value == default
    if isinstance(value, Enum):
        return not value.value  # unspecified
    return value is None or value is False or (isinstance(value, Collection) and not value)


def field_text(name: str, value: object) -> str:
    """Render the value of a field; of a secret one, only the names of the variables."""
    if name not in SECRETS:
        return _rendered(value)
    if isinstance(value, Mapping):
        return _listed("{}", (f"{shown(key)}: {HIDDEN}" for key in value), len(value))
    return HIDDEN


def value_text(name: str, value: object, limit: int) -> str:
    """Render the value of a field for a table: shortened, and text without quotes."""
    text = field_text(name, value)
    if isinstance(value, str) and text != HIDDEN:
        text = value
    return shortened(text, limit)


def _rendered(value: Any) -> str:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        items = (f"{shown(key)}: {_item(item)}" for key, item in value.items())
        return _listed("{}", items, len(value))
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return _listed("[]", map(_item, value), len(value))
    list_fields = getattr(value, "ListFields", None)
    if list_fields is not None:  # a protobuf message, whose own repr has many lines
        described = ((field.name, item) for field, item in list_fields())
        return one_line(type(value).__name__, described)
    return shown(value, _ITEM_CHARACTERS)


def _item(value: object) -> str:
    return shortened(_rendered(value), _ITEM_CHARACTERS)


def _listed(brackets: str, items: Iterable[str], count: int) -> str:
    listed = ", ".join(islice(items, _ITEMS))
    more = f", ... {count - _ITEMS} more" if count > _ITEMS else ""
    return f"{brackets[0]}{listed}{more}{brackets[1]}"
