"""Where in a test something was said."""

from __future__ import annotations

import inspect
import traceback


def place_of_caller() -> str:
    """Where this package was called from, as `file:line`."""
    inside = f"{__package__}."
    return next(
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_stack(inspect.currentframe())
        if not frame.f_globals.get("__name__", "").startswith(inside)  # code without a module
    )
