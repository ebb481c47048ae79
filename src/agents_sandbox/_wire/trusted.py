"""What the daemon sent, as values of models, without the checks and copies that callers need.

The wire guarantees the types. What it does not guarantee, such as the range of a time, is the
codec's part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import IntEnum
from typing import Any, ParamSpec, TypeVar

from .._frozen import NO_ITEMS, FrozenMapping

FieldsT = ParamSpec("FieldsT")
ModelT = TypeVar("ModelT")
EnumT = TypeVar("EnumT", bound=IntEnum)


def trusted(kind: Callable[FieldsT, ModelT]) -> Callable[FieldsT, ModelT]:
    """Return a constructor of a model that only sets the fields.

    It has no defaults: the codec cannot forget a field. For type checkers, it takes what the public
    constructor takes.

    Args:
        kind: A dataclass whose slots are its fields.
    """
    model: Any = kind
    names = [field.name for field in fields(model)]
    # Written as `dataclass` writes constructors. Slots can set what a frozen model refuses. The
    # names with an underscore are not those of fields.
    lines = [
        f"def make({', '.join(names)}):",
        "    _model = _new(_kind)",
        *(f"    _set_{name}(_model, {name})" for name in names),
        "    return _model",
    ]
    setters = {f"_set_{name}": getattr(model, name).__set__ for name in names}
    namespace: dict[str, Any] = {"_new": object.__new__, "_kind": kind, **setters}
    exec("\n".join(lines), namespace)  # noqa: S102 - of names in our own source
    make: Callable[FieldsT, ModelT] = namespace["make"]
    return make


def frozen(items: Mapping[str, str]) -> FrozenMapping[str]:
    """Copy a map of a message."""
    if not items:
        return NO_ITEMS
    # `dict(items)` would go through `Mapping.keys`, which is slow. `__init__` would add nothing.
    return FrozenMapping.__new__(FrozenMapping, {key: items[key] for key in items})


class Members(dict[int, EnumT]):
    """The members of an enum by number; they are found ten times as fast as by calling it.

    A number that only a newer daemon knows becomes a member that is not kept, as in the enum.
    """

    def __init__(self, kind: type[EnumT]) -> None:
        super().__init__((member.value, member) for member in kind)
        self._kind = kind

    def __missing__(self, number: int) -> EnumT:
        return self._kind(number)
