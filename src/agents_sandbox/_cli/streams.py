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
            setattr(sys, name, open(null, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        cast("io.TextIOWrapper", stream).reconfigure(errors="backslashreplace")
