"""What a test has planned: which line planned it, and what was never used or entered."""

from __future__ import annotations

import inspect
import traceback
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


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


class Blocks:
    """The `with` blocks that a test has made.

    A call without `with` would have no effect, and nobody would notice.
    """

    def __init__(self) -> None:
        self._places: dict[object, str] = {}
        """Which line made each block that was not entered."""

    def add(self, manager: AbstractContextManager[T]) -> AbstractContextManager[T]:
        """Make a block of a context manager."""
        block = Block(manager, self._places)
        self._places[block] = place_of_caller()
        return block

    def raise_error(self) -> None:
        """Raise an error if a block was never entered, and forget all of these.

        Raises:
            RuntimeError: It names the lines.
        """
        if self._places:
            places = "\n  ".join(self._places.values())
            self._places.clear()
            raise RuntimeError(
                "a block that is never entered has no effect: use `with`, or return it from a "
                f"function in `faults=` of the pytest marker, at\n  {places}"
            )


class Block(AbstractContextManager[T], Generic[T]):
    """A context manager that remembers that it was entered."""

    def __init__(self, manager: AbstractContextManager[T], places: dict[object, str]) -> None:
        self._manager = manager
        self._places = places

    def __enter__(self) -> T:
        """Begin the block.

        Raises:
            RuntimeError: It was entered before.
        """
        if self._places.pop(self, None) is None:
            raise RuntimeError("a block can be entered only once: make another one")
        return self._manager.__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """End the block."""
        return self._manager.__exit__(exc_type, exc, traceback)


def place_of_caller() -> str:
    """The line that called this package, as `file:line`."""
    inside = f"{__package__}."
    return next(
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_stack(inspect.currentframe())
        if not frame.f_globals.get("__name__", "").startswith(inside)  # code without a module
    )
