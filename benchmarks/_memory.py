"""Measures the memory of this process."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

MIB = 1024 * 1024

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Return the resident set of this process, after a garbage collection.

    Raises:
        SystemExit: The platform does not report it; only Linux does.
    """
    gc.collect()
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError as error:
        sys.exit(f"cannot read the resident set, which needs Linux: {error}")
    return int(pages) * _PAGE
