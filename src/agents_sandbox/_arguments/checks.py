"""Checks of arguments, made before any RPC; every refusal is an `InvalidArgumentError`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import TypeVar

from .._frozen import NO_ITEMS, FrozenMapping
from .._shared.facts import ID, MAX_PORT
from .._shared.shown import shown
from ..errors import InvalidArgumentError, InvalidArgumentTypeError

ItemT = TypeVar("ItemT")


def text(name: str, value: object) -> str:
    """Check one string: it must be a `str` that UTF-8 can encode."""
    if not isinstance(value, str):
        raise InvalidArgumentTypeError(
            f"{name} must be a str, not {type(value).__name__}{_attribute_meant(name, value)}"
        )
    # Without the value, which may be a secret, and without Python's error, which contains it.
    if (position := _surrogate(value)) is not None:
        raise InvalidArgumentError(
            f"{name} is not valid Unicode text: it has a lone surrogate at index {position}"
        )
    return value


# A handle that is passed for an id has an attribute of that name.
def _attribute_meant(name: str, value: object) -> str:
    return f": pass its .{name}" if isinstance(getattr(value, name, None), str) else ""


def _surrogate(value: str) -> int | None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None


def data(name: str, value: object) -> bytes:
    """Check bytes, or text, which is encoded as UTF-8."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if not isinstance(value, str):
        raise InvalidArgumentTypeError(f"{name} must be str or bytes, not {type(value).__name__}")
    return text(name, value).encode()


def optional_text(name: str, value: object) -> str | None:
    """Check an optional string; None and the empty string count as unset."""
    return None if value is None else text(name, value) or None


def path(name: str, value: object) -> str:
    """Check a path given as `str` or `os.PathLike[str]` and return it as text."""
    checked = text(name, os.fspath(value) if isinstance(value, os.PathLike) else value)
    if "\0" in checked:
        raise InvalidArgumentError(f"{name} must not contain NUL: {shown(checked)}")
    return checked


def mount_path(name: str, value: object) -> str:
    """Check a path of a mount or copy: absolute, or in the home, which daemons since 0.3.2 know."""
    checked = path(name, value)
    if checked != "~" and not checked.startswith(("/", "~/")):
        raise InvalidArgumentError(
            f"{name} must be an absolute path, or begin with ~/ (since daemon 0.3.2), not "
            f"{shown(checked)}"
        )
    return checked


def working_folder(name: str, value: object) -> str:
    """Check a working folder in a sandbox: absolute; empty for the default."""
    checked = path(name, value)
    if checked and not checked.startswith("/"):
        raise InvalidArgumentError(
            f"{name} must be an absolute path in the sandbox, not {shown(checked)}"
        )
    return checked


def boolean(name: str, value: object) -> bool:
    """Check a flag. Only True and False are accepted, because `"no"` is truthy."""
    if not isinstance(value, bool):
        raise InvalidArgumentTypeError(f"{name} must be True or False, not {shown(value)}")
    return value


def texts(name: str, values: object) -> tuple[str, ...]:
    """Check a sequence of strings.

    A bare string is refused because it would be split into letters; sets and mappings are refused
    because their order has no meaning.
    """
    if isinstance(values, (str, bytes, Mapping, AbstractSet)) or not isinstance(values, Iterable):
        raise InvalidArgumentTypeError(
            f"{name} must be a sequence of str, e.g. ('a', 'b'), not {type(values).__name__}"
        )
    return tuple(text(f"{name}[{index}]", value) for index, value in enumerate(values))


def text_mapping(name: str, values: object) -> FrozenMapping[str]:
    """Check a mapping of strings to strings and return an immutable copy."""
    if not isinstance(values, Mapping):
        raise InvalidArgumentTypeError(
            f"{name} must be a mapping of str to str, not {type(values).__name__}"
        )
    return FrozenMapping(
        {text(f"{name} key", key): text(f"{name}[{shown(key)}]", values[key]) for key in values}
    )


def optional_mapping(name: str, values: object) -> FrozenMapping[str]:
    """Check a mapping of strings to strings; None means an empty one."""
    return NO_ITEMS if values is None else text_mapping(name, values)


def label_selector(values: object) -> FrozenMapping[str]:
    """Check the selector of a delete. An empty one would match every sandbox."""
    selector = text_mapping("label_selector", values)
    if not selector:
        raise InvalidArgumentError("label_selector must not be empty: name at least one label")
    return selector


def items(name: str, values: object, kind: type[ItemT]) -> tuple[ItemT, ...]:
    """Check an iterable of instances of one class."""
    if isinstance(values, Iterable) and not isinstance(values, (str, bytes)):
        copied = tuple(values)
        if all(isinstance(value, kind) for value in copied):
            return copied
    raise InvalidArgumentTypeError(f"{name} must be a sequence of {kind.__name__}")


def lookup_id(name: str, value: object) -> str:
    """Check the id of something that exists: any text that is not empty."""
    checked = text(name, value)
    if not checked:
        raise InvalidArgumentError(f"{name} must not be empty")
    return checked


def new_id(name: str, value: object) -> str:
    """Check an id that the caller chose for something new."""
    checked = text(name, value)
    if ID.fullmatch(checked) is None:
        raise InvalidArgumentError(
            f"{name} must be 4 to 200 characters, start and end with a letter or digit, and "
            f"contain only ASCII letters, digits, hyphens or underscores: {shown(checked)}"
        )
    return checked


def integer(name: str, value: object, *, minimum: int = 0, maximum: int) -> int:
    """Check an integer from `minimum` to `maximum`."""
    refusal = f"{name} must be an int from {minimum} to {maximum}, not {shown(value)}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidArgumentTypeError(refusal)
    if not minimum <= value <= maximum:
        raise InvalidArgumentError(refusal)
    return value


def optional_function(name: str, value: object) -> None:
    """Check a function that the SDK is to call, or None."""
    if value is not None and not callable(value):
        raise InvalidArgumentTypeError(f"{name} must be a function, not {shown(value)}")


def port(name: str, value: object) -> int:
    """Check a port number."""
    return integer(name, value, minimum=1, maximum=MAX_PORT)
