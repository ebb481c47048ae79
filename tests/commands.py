"""What tests of output share: a command that does what a test says, and the open logs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from agents_sandbox.testing import ExecContext


class Told:
    """A handler for `on_exec(...).call()`: it writes when it is told to, and ends with `exit`."""

    def __init__(self) -> None:
        self._steps: SimpleQueue[Callable[[ExecContext], object] | int] = SimpleQueue()

    def __call__(self, context: ExecContext) -> int:
        while not isinstance(step := self._steps.get(timeout=60), int):
            step(context)
        return step

    def stdout(self, data: str | bytes) -> None:
        """Write to stdout soon."""
        self._steps.put(lambda context: context.write_stdout(data))

    def stderr(self, data: str | bytes) -> None:
        """Write to stderr soon."""
        self._steps.put(lambda context: context.write_stderr(data))

    def exit(self, code: int) -> None:
        """End after what it was told before."""
        self._steps.put(code)


def open_files() -> list[str]:
    """The paths of all that this process has open, in any thread."""
    paths = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # another thread has closed it since
            paths.append(str(descriptor.readlink()))
    return paths


def open_logs() -> list[str]:
    """The log files that this process has open."""
    return [path for path in open_files() if path.endswith((".stdout.log", ".stderr.log"))]


_NOBODY = 65534


def as_nobody(command: Sequence[str]) -> list[str]:
    """Return a command that root starts as a user whom permissions bind.

    Not `subprocess`'s own `user=`: for that, Python forks this process, and what gRPC does in a
    forked child can end it.
    """
    become = f"os.setgroups([]); os.setuid({_NOBODY}); os.execvp(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-I", "-S", "-c", f"import os, sys, warnings; {become}", *command]
