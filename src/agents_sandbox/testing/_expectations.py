"""What a test has planned: where it said so, and what was never used."""

from __future__ import annotations

import inspect
import traceback
from typing import Protocol


class Expecting(Protocol):
    """Whatever a test can plan something with."""

    def unused(self) -> list[str]:
        """One line for each plan that never came to pass, with the place of its making."""
        ...


def assert_all_used(*sources: Expecting) -> None:
    """Check the plans of all sources.

    Raises:
        AssertionError: Some were never used.
    """
    unused = [line for source in sources for line in source.unused()]
    if unused:
        raise AssertionError("\n  ".join(["planned, but never used:", *unused]))


def place_of_caller() -> str:
    """Where this package was called from, as `file:line`."""
    inside = f"{__package__}."
    return next(
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_stack(inspect.currentframe())
        if not frame.f_globals.get("__name__", "").startswith(inside)  # code without a module
    )
