"""The command line in a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

# The first terminal that the leader of a session opens becomes its own: Ctrl-C reaches it.
_PROGRAM = """
import os, runpy
os.close(os.open(os.ttyname(0), os.O_RDWR))
runpy.run_module("agents_sandbox", run_name="__main__", alter_sys=True)
"""

# What moves the cursor, erases and colours.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A context manager: `agents-sandbox` in a terminal of its own, and what it has printed there.

    Args:
        arguments: Its arguments.
        columns: The width of the terminal.
        variables: Environment variables on top of those of this process.
    """

    def __init__(self, *arguments: str, columns: int = 80, **variables: str) -> None:
        self._arguments = arguments
        self._columns = columns
        self._variables = {"TERM": "xterm-256color", **variables}
        self._data = b""

    def __enter__(self) -> Self:
        self._master, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, self._columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", _PROGRAM, *self._arguments],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={**os.environ, **self._variables},
            start_new_session=True,
        )
        os.close(terminal)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is not None:
            self._process.kill()
        self._process.wait()
        os.close(self._master)

    @property
    def printed(self) -> str:
        """What it has printed, with the control sequences."""
        return self._data.decode("utf-8", "replace")

    @property
    def text(self) -> str:
        """What it has printed, as plain text with plain ends of lines."""
        return _CONTROL.sub("", self.printed).replace("\r\n", "\n")

    def wait_for(self, text: str) -> None:
        """Wait until it has printed something."""
        while text not in self.text:
            assert self._read(), f"it has ended and printed only {self.printed!r}"

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def end(self) -> int:
        """Wait until it ends, and return its exit code."""
        while self._read():
            pass
        return self._process.wait()

    def _read(self) -> bool:
        try:
            data = os.read(self._master, 2**16)
        except OSError:  # on Linux, nobody has the other end open
            data = b""
        self._data += data
        return bool(data)


CTRL_C = "\x03"
