"""Ids of what exists: as text, or as an object that has one."""

from __future__ import annotations

import os
from typing import Protocol, TypeAlias

from ..errors import InvalidArgumentTypeError
from . import checks


class HasSandboxId(Protocol):
    """An object for a sandbox, such as a `SandboxHandle`."""

    @property
    def sandbox_id(self) -> str:
        """The id of the sandbox."""
        ...


class HasExecId(Protocol):
    """An object for an exec, such as an `ExecHandle`."""

    @property
    def exec_id(self) -> str:
        """The id of the exec."""
        ...


SandboxIdLike: TypeAlias = str | HasSandboxId
"""A sandbox that exists: its id, a `SandboxHandle`, a `Sandbox` or a `SyncSandbox`."""

ExecIdLike: TypeAlias = str | HasExecId
"""An exec that exists: its id, an `ExecHandle`, or another object that has its `exec_id`."""


def sandbox_id_of(value: object) -> str:
    """Return the id of a sandbox.

    An exec has the id of its sandbox, too. It is refused: it was probably meant for another
    argument.

    Raises:
        InvalidArgumentError: It is empty, or no id.
    """
    if isinstance(value, str):
        return checks.lookup_id("sandbox_id", value)
    given = getattr(value, "sandbox_id", None)
    if not isinstance(given, str):
        raise _no_id("sandbox_id", "a SandboxHandle or a Sandbox", value)
    if hasattr(value, "exec_id"):
        raise _no_id("sandbox_id", "a SandboxHandle or a Sandbox", value, ": pass its .sandbox_id")
    return checks.lookup_id("sandbox_id", given)


def exec_id_of(value: object) -> str:
    """Return the id of an exec.

    Raises:
        InvalidArgumentError: It is empty, or no id.
    """
    given = value if isinstance(value, str) else getattr(value, "exec_id", None)
    if not isinstance(given, str):
        raise _no_id("exec_id", "an ExecHandle or an ExecProcess", value)
    return checks.lookup_id("exec_id", given)


def _no_id(name: str, objects: str, value: object, hint: str = "") -> InvalidArgumentTypeError:
    return InvalidArgumentTypeError(
        f"{name} must be a str, {objects}, not {type(value).__name__}{hint}"
    )


def new_uuid() -> str:
    """Return a random UUID, as `uuid.uuid4()` makes it: the module `uuid` is slow to load."""
    number = bytearray(os.urandom(16))
    number[6] = 0x40 | number[6] & 0x0F  # version 4
    number[8] = 0x80 | number[8] & 0x3F  # the variant of all versions
    digits = number.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
