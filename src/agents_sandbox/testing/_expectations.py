"""What a test has planned and never used."""

from __future__ import annotations

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
