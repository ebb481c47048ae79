"""Paths of files in a sandbox, which may have any bytes but NUL; pure."""

from __future__ import annotations

import os
import posixpath
from typing import TypeAlias

from .._shared.shown import shown
from ..errors import InvalidArgumentError, InvalidArgumentTypeError

_WORKSPACE = b"/workspace"
_LONGEST = 4095
"""Bytes; Linux's PATH_MAX without the NUL at the end."""
_LONGEST_NAME = 255
"""Bytes; Linux's NAME_MAX."""


SandboxPathLike: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"
"""A path in a sandbox: absolute, or relative to `/workspace`."""


class SandboxPath:
    """A path in a sandbox; a relative one is in `/workspace`.

    Args:
        path: The path, as a caller passed it.
        is_folder: Whether it names a folder anyway, so that a slash at its end says nothing.

    Attributes:
        given: The same, as text or bytes.
        absolute: The absolute path, without slashes at its end.
        as_written: The same, with a slash at its end if one was given: then only a folder is meant.

    Raises:
        InvalidArgumentError: It is not acceptable.
    """

    def __init__(self, path: SandboxPathLike, *, is_folder: bool = False) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            raise InvalidArgumentTypeError(
                f"path must be a str, bytes or os.PathLike, not {type(path).__name__}"
            )
        self.given: str | bytes = os.fspath(path)
        # Not `os.fsencode`: in a sandbox, names are UTF-8 whatever the locale of this process.
        given = self.given
        if isinstance(given, str):
            try:
                given = given.encode("utf-8", "surrogateescape")
            except UnicodeEncodeError as error:
                raise InvalidArgumentError(
                    f"path is not valid Unicode text: it has a lone surrogate at index "
                    f"{error.start}"
                ) from None
        if not given:
            raise InvalidArgumentError("path must not be empty")
        if b"\0" in given:
            raise InvalidArgumentError(f"path must not contain NUL: {self}")
        self.absolute = posixpath.join(_WORKSPACE, given).rstrip(b"/") or b"/"
        self.as_written: bytes = self.absolute
        if given.endswith(b"/") and not is_folder:
            self.as_written = self.absolute.rstrip(b"/") + b"/"
        if max(map(len, self.absolute.split(b"/"))) > _LONGEST_NAME:
            raise InvalidArgumentError(
                f"path must not have a name of more than {_LONGEST_NAME} bytes: {self}"
            )
        if len(self.as_written) > _LONGEST:
            raise InvalidArgumentError(
                f"path must not be longer than {_LONGEST} bytes, with /workspace before a relative "
                f"one: {self}"
            )

    @property
    def folder(self) -> str:
        """The folder that it is in, for messages."""
        return shown(posixpath.dirname(self.as_written).decode("utf-8", "surrogateescape"), 300)

    def check_named(self) -> None:
        """Refuse a path whose last part is `.` or `..`: it is no name in a folder.

        Raises:
            InvalidArgumentError: It is one.
        """
        if posixpath.basename(self.absolute) in (b".", b".."):
            raise InvalidArgumentError(f"path must not end in . or ..: {self}")

    def __str__(self) -> str:
        return shown(self.given, 300)
