"""The standard streams of this process, which may be closed, full or of few characters."""

from __future__ import annotations

import io
import os
import sys
from typing import cast


def open_streams() -> None:
    """Put the null device in the place of closed streams; show every character, if escaped."""
    for name, flags in (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            mode = "r" if flags == os.O_RDONLY else "w"
            null = os.open(os.devnull, flags)
            stream = open(null, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - to the exit
            setattr(sys, name, stream)
    for stream in (sys.stdout, sys.stderr):
        cast("io.TextIOWrapper", stream).reconfigure(errors="backslashreplace")


def drop_unwritten() -> None:
    """Drop what cannot be written. Python would try again at its exit, and change the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
