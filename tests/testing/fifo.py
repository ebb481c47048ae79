"""A pipe with a name, by which processes tell that they live."""

from __future__ import annotations

import os
import select
from pathlib import Path

from .raw import TIMEOUT


class Fifo:
    """Reports what processes write to it, and when the last writer has ended."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def close(self) -> None:
        os.close(self._fd)

    def read(self) -> bytes:
        """Wait for data; empty: all writers have ended."""
        readable, _, _ = select.select([self._fd], [], [], TIMEOUT)
        assert readable, "no process wrote anything"
        return os.read(self._fd, 100)
