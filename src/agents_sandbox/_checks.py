"""Arguments are checked here, before any RPC, and refused in the SDK's own words."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import TypeVar

from ._facts import ID, MAX_PORT
from ._frozen import FrozenMapping
from .errors import InvalidArgumentError

ItemT = TypeVar("ItemT")


def text(name: str, value: object) -> str:
    """Check one string: it must be a `str` that UTF-8 can carry."""
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} must be a str, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(f"{name} is not valid Unicode text: {value!r}") from error
    return value


def optional_text(name: str, value: object) -> str | None:
    """Check a string that may be left out, as None or empty."""
    return None if value is None else text(name, value) or None


def path(name: str, value: object) -> str:
    """Check a path given as `str` or `os.PathLike[str]` and return it as text."""
    checked = text(name, os.fspath(value) if isinstance(value, os.PathLike) else value)
    if "\0" in checked:
        raise InvalidArgumentError(f"{name} must not contain NUL: {checked!r}")
    return checked


def boolean(name: str, value: object) -> bool:
    """Check a flag: `"no"` is truthy, so only True and False will do."""
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{name} must be True or False, not {type(value).__name__}")
    return value


def texts(name: str, values: object) -> tuple[str, ...]:
    """Check an iterable of strings. A bare string is refused, not split into letters.

    So is what has no order of its own.
    """
    if isinstance(values, (str, bytes, Mapping, AbstractSet)) or not isinstance(values, Iterable):
        raise InvalidArgumentError(
            f"{name} must be a sequence of str, e.g. ('a', 'b'), not {type(values).__name__}"
        )
    return tuple(text(f"{name}[{index}]", value) for index, value in enumerate(values))


def text_mapping(name: str, values: object) -> FrozenMapping[str]:
    """Check a mapping of strings to strings and copy it, immutably."""
    if not isinstance(values, Mapping):
        raise InvalidArgumentError(
            f"{name} must be a mapping of str to str, not {type(values).__name__}"
        )
    return FrozenMapping(
        {text(f"{name} key", key): text(f"{name}[{key!r}]", values[key]) for key in values}
    )


def items(name: str, values: object, kind: type[ItemT]) -> tuple[ItemT, ...]:
    """Check an iterable whose items are all instances of one class."""
    if isinstance(values, Iterable) and not isinstance(values, (str, bytes)):
        copied = tuple(values)
        if all(isinstance(value, kind) for value in copied):
            return copied
    raise InvalidArgumentError(f"{name} must be a sequence of {kind.__name__}")


def lookup_id(name: str, value: object) -> str:
    """Check the id of something that exists: any text but the empty one."""
    checked = text(name, value)
    if not checked:
        raise InvalidArgumentError(f"{name} must not be empty")
    return checked


def new_id(name: str, value: object) -> str:
    """Check an id that the daemon is asked to give to something new."""
    checked = text(name, value)
    if ID.fullmatch(checked) is None:
        raise InvalidArgumentError(
            f"{name} must be 4 to 200 characters, start and end with a letter or digit, and "
            f"contain only ASCII letters, digits, hyphens or underscores: {checked!r}"
        )
    return checked


def integer(name: str, value: object, *, minimum: int = 0, maximum: int) -> int:
    """Check a whole number in minimum..maximum."""
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise InvalidArgumentError(f"{name} must be an int from {minimum} to {maximum}")
    return value


def port(name: str, value: object) -> int:
    """Check the number of a port."""
    return integer(name, value, minimum=1, maximum=MAX_PORT)


def seconds(name: str, value: object) -> float:
    """Check a timeout: a number of seconds above zero; `math.inf` means no bound."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise InvalidArgumentError(f"{name} must be a number of seconds above 0")
    return float(value) if value <= sys.float_info.max else math.inf
