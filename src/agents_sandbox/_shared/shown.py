"""What messages and reprs show of a value: one short line, without secrets; pure."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
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

# Visible ASCII, not longer than a valid id.
_PLAIN = re.compile(r"[!-~]{1,200}")

# Fields whose values are secrets: tokens and passwords get into sandboxes as environment variables.
_SECRETS = frozenset({"config_yaml", "env", "env_overrides", "envs"})


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


class OneLineRepr:
    """Gives a dataclass a repr of one line: the fields that differ from their defaults.

    Use it with `@dataclass(repr=False)`.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        model: Any = self
        kind: Any = type(self)
        defaults = _defaults(kind)
        names = (field.name for field in fields(model) if field.repr)
        # In a debugger, some attributes of a new object may be missing.
        values = ((name, getattr(model, name)) for name in names if hasattr(model, name))
        return one_line(
            kind.__name__,
            ((name, value) for name, value in values if not _is_default(value, defaults[name])),
        )


def one_line(kind: str, values: Iterable[tuple[str, object]]) -> str:
    """Render an object as its class and the given fields, without the values of secrets."""
    return f"{kind}({', '.join(f'{name}={_field(name, value)}' for name, value in values)})"


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


def _field(name: str, value: object) -> str:
    if name not in _SECRETS:
        return _rendered(value)
    if isinstance(value, Mapping):
        return _listed("{}", (f"{shown(key)}: ..." for key in value), len(value))
    return "..."


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
