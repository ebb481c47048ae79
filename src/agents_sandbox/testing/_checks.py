"""Checks of what tests hand in; whoever fails one is told the argument and its value."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TypeVar

T = TypeVar("T")


def check_type(name: str, value: object, kind: type, wanted: str) -> None:
    """Refuse a value of another type.

    Args:
        name: The argument.
        value: What was given for it.
        kind: The type that it must have; for `int`, a `bool` is of another type.
        wanted: The type in words.

    Raises:
        TypeError: It has another type.
    """
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{name} must be {wanted}, not {value!r}")


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False.

    Raises:
        TypeError: It is something else, be it truthy.
    """
    check_type(name, value, bool, "True or False")


def check_count(name: str, value: int, *, least: int = 1) -> None:
    """Refuse what is no integer, and one that is too small.

    Raises:
        TypeError: It is no integer.
        ValueError: It is less than `least`.
    """
    check_type(name, value, int, "an integer")
    if value < least:
        raise ValueError(f"{name} must be at least {least}: {value!r}")


def check_number(name: str, value: float) -> None:
    """Refuse what is no number; infinity is one.

    Raises:
        TypeError: It has another type than a number has.
        ValueError: It is NaN.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if math.isnan(value):
        raise ValueError(f"{name} must be a number: {value!r}")


def check_seconds(name: str, value: float) -> None:
    """Refuse what nobody can wait for.

    Raises:
        TypeError: It is no number.
        ValueError: It is negative, infinite or NaN.
    """
    check_number(name, value)
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be finite and not negative: {value!r}")


def checked_set(name: str, values: Collection[T], kind: type[T], wanted: str) -> frozenset[T]:
    """Return a collection of values of one type as a set.

    Args:
        name: The argument.
        values: What was given for it.
        kind: The type that each of them must have.
        wanted: That type in words.

    Raises:
        TypeError: It is a plain string, or no collection, or holds something else.
    """
    if isinstance(values, (str, bytes)) or not isinstance(values, Collection):
        raise TypeError(f"{name} must be a collection, each of it {wanted}, not {values!r}")
    for value in values:
        check_type(f"each of {name}", value, kind, wanted)
    return frozenset(values)
