"""The commands that the SDK itself runs in sandboxes, which the fake daemon recognises.

They are `("sh", "-c", <script>, <name>, ...)`. What follows the name:

- `KILL`, for the end of an exec: its id, and the path of its log;
- `FILES`, for the files of a sandbox: the operation, a mark, a path, and what the operation needs;
- `STDIN`, for a command with input: a file, the input as `SIZE:BASE64` or `-` if the file has it,
  and the command itself.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import NamedTuple

KILL = "agents-sandbox-kill"
FILES = "agents-sandbox-files"
STDIN = "agents-sandbox-stdin"

IN_FILE = "-"
"""In place of the input: a file has it."""

SCRIPT_INDEX = 2
OPERATION_INDEX = 4
PATH_INDEX = 6
"""Where the script, the operation and the path are in a command for files."""

_STDIN_FOLDER = "/tmp/"  # noqa: S108 - in the sandbox; the name is random and the file private
_STDIN_FILE = re.compile(rf"{_STDIN_FOLDER}\.agents-sandbox-[0-9a-f]{{32}}")

TEMPORARY = ".agents-sandbox-"
"""How the names of temporary files in a sandbox begin; 32 hexadecimal digits follow."""


class KillExit:
    """The exit codes of the script that kills an exec."""

    KILLED = 0
    NOT_FOUND = 80
    """No process is recognised as that of the exec."""
    NOT_PERMITTED = 82
    """Some of its processes belong to another user."""
    NO_PROC = 83
    """The sandbox has no `/proc`."""


class Stdin(NamedTuple):
    """The parts of a command with input."""

    file: str
    """Its path, if it has the input."""
    content: str
    command: tuple[str, ...]

    @property
    def is_in_file(self) -> bool:
        """Whether the file has the input."""
        return self.content == IN_FILE

    def decoded(self) -> bytes:
        """Return the input, if no file has it.

        Raises:
            ValueError: It is not in base64.
        """
        return base64.b64decode(self.content.partition(":")[2])


def stdin_file(name: str) -> str:
    """Return the path of the file for an input."""
    return _STDIN_FOLDER + name


def killed_exec(argv: Sequence[str]) -> str | None:
    """Return the id of the exec that a command is to kill, or None if it is for something else."""
    return argv[4] if len(argv) > 4 and _is_helper(argv, KILL) else None


def is_for_files(argv: Sequence[str]) -> bool:
    """Return whether a command is one for the files of a sandbox."""
    return len(argv) > PATH_INDEX and _is_helper(argv, FILES)


def is_own(argv: Sequence[str]) -> bool:
    """Return whether a command is the client's own: it contains none of a caller."""
    return is_for_files(argv) or killed_exec(argv) is not None


def stdin_of(argv: Sequence[str]) -> Stdin | None:
    """Return the parts of a command, or None if it is not one with input."""
    if len(argv) > 6 and _is_helper(argv, STDIN) and _STDIN_FILE.fullmatch(argv[4]):
        return Stdin(argv[4], argv[5], tuple(argv[6:]))
    return None


def without_stdin(argv: Sequence[str]) -> tuple[str, ...]:
    """Return the command that a caller passed, without what gives it its input."""
    stdin = stdin_of(argv)
    return tuple(argv) if stdin is None else stdin.command


def _is_helper(argv: Sequence[str], name: str) -> bool:
    return argv[0] == "sh" and argv[1] == "-c" and argv[3] == name


def encoded_path(path: bytes) -> str:
    """Return a path as an argument for `printf %b`: arguments must be UTF-8, and paths need not."""
    return "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte != 0x5C else f"\\0{byte:03o}" for byte in path
    )


def decoded_path(argument: str) -> bytes:
    """Return the path that `printf %b` makes of an argument."""
    return re.sub(
        rb"\\0([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), argument.encode("ascii")
    )
