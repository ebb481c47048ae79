"""What a test has planned: which line planned it, and what was never used."""

from __future__ import annotations

import inspect
import traceback
from typing import Protocol


class Expecting(Protocol):
    """Something that holds the plans of a test."""

    def unused(self) -> list[str]:
        """One line for each plan that was never used, with the place that planned it."""
        ...


def assert_all_used(*sources: Expecting) -> None:
    """Check that all plans of all sources were used.

    Raises:
        AssertionError: Some were never used.
    """
    unused = [line for source in sources for line in source.unused()]
    if unused:
        raise AssertionError("\n  ".join(["planned, but never used:", *unused]))


def place_of_caller() -> str:
    """The line that called this package, as `file:line`."""
    inside = f"{__package__}."
    return next(
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_stack(inspect.currentframe())
        if not frame.f_globals.get("__name__", "").startswith(inside)  # code without a module
    )
