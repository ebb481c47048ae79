"""The other end of the launcher's socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

_PROGRAM = Path(__file__).with_name("launcher.py")
_LONGEST_ANSWER = 100_000
"""Bytes of one answer of the launcher; the longest ones name a path."""
_LOADING = ("LD_LIBRARY_PATH",)
"""Variables without which some Pythons do not start."""


class Mount(NamedTuple):
    """What a sandbox sees of the host."""

    source: str
    target: str
    """The path in the sandbox."""
    writable: bool = False


class Launcher:
    """A launcher that was started.

    Args:
        root: The folder that becomes the root.
        mounts: What to mount in it, outer ones first.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, root: Path, mounts: Collection[Mount]) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._process = _start(theirs.fileno())
                self.send({"root": os.path.realpath(root), "mounts": [*mounts]})
        except BaseException:
            self.socket.close()
            raise

    def send(self, value: object, *files: BinaryIO) -> None:
        """Send a value, and open files with it.

        Raises:
            OSError: The launcher has ended.
        """
        with _memory_file(json.dumps(value)) as file:
            descriptors = [file, *(opened.fileno() for opened in files)]
            socket.send_fds(self.socket, [b"."], descriptors)

    def receive(self) -> list[Any]:
        """Wait for an answer; an empty one: the launcher has ended."""
        try:
            answer = self.socket.recv(_LONGEST_ANSWER)
        except ConnectionResetError:  # it ended before it had read everything
            return []
        return list(json.loads(answer)) if answer else []

    def end(self) -> None:
        """Let it kill everything in the sandbox and end; return immediately."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Kill it, unless it has ended, and with it everything in the sandbox."""
        self.socket.close()
        self._process.kill()
        self._process.wait()


def _start(descriptor: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own program
        [
            *(sys.executable, "-I", "-S", "-X", "utf8", str(_PROGRAM)),
            *(str(descriptor), str(os.getpid())),
        ],
        env={name: os.environ[name] for name in _LOADING if name in os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[descriptor],
        # Ctrl-C is for the process that runs the daemon.
        start_new_session=True,
    )


@contextmanager
def _memory_file(text: str) -> Iterator[int]:
    """Make a file in memory, because an argv can be longer than a packet."""
    file = os.memfd_create("request", os.MFD_CLOEXEC)
    try:
        with open(file, "w", encoding="utf-8", closefd=False) as opened:
            opened.write(text)
        yield file
    finally:
        os.close(file)
