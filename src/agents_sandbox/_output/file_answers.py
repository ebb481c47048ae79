"""What a script for files reports: the output between its marks, or the error that it means."""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NoReturn

from .._arguments.sandbox_paths import SandboxPath
from .._scripts.files import Failure
from .._shared.helpers import STDIN
from .._shared.shown import shortened, shown_id
from ..errors import (
    OutputUnavailableError,
    SandboxFileError,
    SandboxFileExistsError,
    SandboxFileNotFoundError,
    SandboxFilePermissionError,
    SandboxIsADirectoryError,
    SandboxNotADirectoryError,
    SandboxToolMissingError,
)
from ..models import ExecHandle, SandboxFileInfo
from .log_file import LogFile
from .result import ExecResult

if TYPE_CHECKING:
    from typing_extensions import Self

_LONGEST_REPORT = 100

_KINDS: dict[int, Literal["file", "directory", "symlink", "other"]] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
}

_CLASSES: dict[int, tuple[type[SandboxFileError], str]] = {
    Failure.NOT_FOUND: (SandboxFileNotFoundError, "no such file or folder"),
    Failure.PERMISSION: (SandboxFilePermissionError, "permission denied"),
    Failure.IS_A_DIRECTORY: (SandboxIsADirectoryError, "it is a folder"),
    Failure.NOT_A_DIRECTORY: (SandboxNotADirectoryError, "not a folder"),
    Failure.EXISTS: (SandboxFileExistsError, "it exists"),
}
_OTHERS: dict[int, tuple[int, str]] = {
    Failure.NO_SPACE: (errno.ENOSPC, "no space is left"),
    Failure.NOT_EMPTY: (errno.ENOTEMPTY, "the folder is not empty: pass recursive=True"),
    Failure.MOUNTED: (
        errno.EBUSY,
        "it is mounted by itself: it can be neither replaced nor removed",
    ),
    Failure.NOT_REGULAR: (errno.EINVAL, "it is neither a file nor a folder"),
}

_INPUT_FAILURES: dict[int, tuple[type[SandboxFileError], str]] = {
    Failure.TOOL_MISSING: (
        SandboxToolMissingError,
        "it needs base64, rm and wc, and one is missing",
    ),
    Failure.OTHER: (SandboxFileError, "it needs a temporary file in /tmp, and could not write it"),
}


class FileAnswer:
    """The output of a script that succeeded. Close it, or use it as a context manager.

    Args:
        action: What was done, such as `"read_bytes"`.
        path: With which path.
        handle: The exec, which has ended.
        mark: What stands before and after the output.

    Raises:
        SandboxFileError: The operation failed.
    """

    def __init__(self, action: str, path: SandboxPath, handle: ExecHandle, mark: str) -> None:
        self._action = action
        self._path = path
        self._handle = handle
        self._mark = mark.encode()
        self._log: LogFile | None = None
        self._trouble: OutputUnavailableError | None = None
        self._end = 0
        try:
            self._open()
            self._check()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it. Safe to repeat."""
        if self._log is not None:
            self._log.close()

    def pieces(self) -> Iterator[bytes]:
        """Read the output, piece by piece.

        Raises:
            OutputUnavailableError: It cannot be read from here.
            SandboxFileError: Somebody has shortened it meanwhile.
        """
        if self._log is None:
            assert self._trouble is not None  # noqa: S101 - for type checkers
            raise self._trouble
        at = len(self._mark)
        while at < self._end:
            piece = self._log.read(at, self._end - at)
            if not piece:
                self._fail(SandboxFileError, "its output was changed while it was read")
            at += len(piece)
            yield piece

    def entries(self) -> list[SandboxFileInfo]:
        """Read the output of a listing, sorted by name."""
        fields = b"".join(self.pieces()).split(b"\0")
        found: list[SandboxFileInfo] = []
        at = 0
        while at < len(fields) - 1:  # nothing follows the last NUL
            facts = fields[at].splitlines()
            names = fields[at + 1 : at + 1 + len(facts)]
            found += map(_entry, facts, names)
            at += 1 + len(facts)
        return sorted(found, key=lambda entry: entry.name)

    def _open(self) -> None:
        try:
            log = self._log = LogFile(self._handle.stdout_log_path)
        except OutputUnavailableError as trouble:
            trouble.exec_id, trouble.sandbox_id = self._handle.exec_id, self._handle.sandbox_id
            self._trouble = trouble
            return
        width = len(self._mark)
        self._end = log.size() - width
        if self._end < width or {log.read(0, width), log.read(self._end, width)} != {self._mark}:
            self._end = -1

    def _check(self) -> None:
        handle, code = self._handle, self._handle.exit_code
        if code is None:
            reason = shortened(handle.error) if handle.error else handle.state.name
            self._fail(SandboxFileError, f"its command could not be run: {reason}")
        if self._end < 0 and (code == 0 or code in tuple(Failure)):
            # Some other program, or one that prints something of its own.
            self._fail(SandboxToolMissingError, "the image has no sh that works", tool="sh")
        if code == Failure.NOT_FOUND and self._report() == "folder":
            self._fail(SandboxFileNotFoundError, f"its folder {self._path.folder} does not exist")
        if code in _CLASSES:
            self._fail(*_CLASSES[code])
        if code in _OTHERS:
            number, why = _OTHERS[code]
            self._fail(SandboxFileError, why, errno=number)
        if code == Failure.TOOL_MISSING:
            tool = self._report()
            lacking = "a program that this needs" if tool is None else shown_id(tool)
            self._fail(SandboxToolMissingError, f"the image lacks {lacking}", tool=tool)
        if code != 0:
            self._fail(
                SandboxFileError,
                f"its command ended with exit code {code}: its messages are in the log of exec "
                f"{shown_id(handle.exec_id)}",
            )

    def _report(self) -> str | None:
        if self._log is None:
            return None
        begin = len(self._mark)
        report = self._log.read(begin, min(self._end - begin, _LONGEST_REPORT))
        return report.decode("ascii", "replace")

    def _fail(self, kind: type[SandboxFileError], why: str, **facts: object) -> NoReturn:
        sandbox_id = self._handle.sandbox_id
        raise kind(
            sandbox_id,
            message=f"{self._action} of {self._path} in sandbox {shown_id(sandbox_id)}: {why}",
            filename=self._path.given,
            exec_id=self._handle.exec_id,
            **facts,  # type: ignore[arg-type] # of some classes only
        )


def _entry(facts: bytes, name: bytes) -> SandboxFileInfo:
    mode, size = facts.split()
    text = name.decode("utf-8", "surrogateescape")
    return SandboxFileInfo(text, _KINDS.get(stat.S_IFMT(int(mode, 16)), "other"), int(size))


def check_input(result: ExecResult, path: SandboxPath) -> None:
    """Check that a command was started with its input, which a script gives it from a file.

    Raises:
        SandboxFileError: It was not.
    """
    code = result.exit_code
    if code is None or code not in _INPUT_FAILURES:
        return
    try:
        report = result.stderr_bytes
    except OutputUnavailableError:
        return  # perhaps the command's own exit code
    if not report.endswith(b"%s %d %s\n" % (STDIN.encode(), code, path.absolute)):
        return
    kind, why = _INPUT_FAILURES[code]
    raise kind(
        result.sandbox_id,
        message=f"input of a command in sandbox {shown_id(result.sandbox_id)}: {why}",
        filename=path.given,
        exec_id=result.exec_id,
    )
