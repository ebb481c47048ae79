"""Checks of arguments; every error names the argument and its value."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TypeVar

from .._shared.shown import shown

T = TypeVar("T")


def check_type(name: str, value: object, kind: type, wanted: str) -> None:
    """Check the type of a value.

    Args:
        name: The argument.
        value: Its value.
        kind: The required type; for `int`, a `bool` is refused.
        wanted: The required type in words.

    Raises:
        TypeError: It has another type.
    """
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{name} must be {wanted}, not {shown(value)}")


def check_flag(name: str, value: object) -> None:
    """Check a flag. Only True and False are accepted, because `"no"` is truthy.

    Raises:
        TypeError: It is something else.
    """
    check_type(name, value, bool, "True or False")


def check_count(name: str, value: int, *, least: int = 1) -> None:
    """Check an integer that has a minimum.

    Raises:
        TypeError: It is not an integer.
        ValueError: It is less than `least`.
    """
    check_type(name, value, int, "an integer")
    if value < least:
        raise ValueError(f"{name} must be at least {least}: {shown(value)}")


def check_number(name: str, value: float) -> None:
    """Check a number, which may be infinite.

    Raises:
        TypeError: It is neither an int nor a float.
        ValueError: It is NaN.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {shown(value)}")
    if math.isnan(value):
        raise ValueError(f"{name} must be a number: {shown(value)}")


def check_seconds(name: str, value: float) -> None:
    """Check a time to wait.

    Raises:
        TypeError: It is not a number.
        ValueError: It is negative, infinite or NaN.
    """
    check_number(name, value)
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be finite and not negative: {shown(value)}")


def checked_set(name: str, values: Collection[T], kind: type[T], wanted: str) -> frozenset[T]:
    """Check a collection of values of one type and return it as a set.

    Args:
        name: The argument.
        values: Its value.
        kind: The required type of each item.
        wanted: That type in words.

    Raises:
        TypeError: It is a string or not a collection, or an item has another type.
    """
    if isinstance(values, (str, bytes)) or not isinstance(values, Collection):
        raise TypeError(f"{name} must be a collection of {kind.__name__}, not {shown(values)}")
    for value in values:
        check_type(f"each item of {name}", value, kind, wanted)
    return frozenset(values)
