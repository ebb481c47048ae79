"""Context managers whose end is not left out."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .._notes import note_interruption

if TYPE_CHECKING:
    from typing_extensions import Self


class Block(ABC):
    """A context manager whose end is not left out, whatever interrupts it.

    In the blocking flavour an interruption can come at any line, also at the first one of a
    handler of exceptions. So whoever calls `_end` calls it again if it raises.

    A forked child that leaves a block ends nothing: that belongs to the process that made it.
    """

    _process: int

    def __new__(cls, *_args: Any, **_more: Any) -> Self:
        """Take note of the process."""
        self = super().__new__(cls)
        self._process = os.getpid()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._end_unless_forked(exc)
        except BaseException as error:
            await self._end_unless_forked(exc or error)
            if exc is None:
                raise
            note_interruption(exc, error)

    async def _end_unless_forked(self, raising: BaseException | None) -> None:
        if self._process == os.getpid():
            await self._end(raising)

    @abstractmethod
    async def _end(self, raising: BaseException | None) -> None:
        """Do what is to be done at the end. Safe to repeat.

        Args:
            raising: What the caller raises.

        Raises:
            BaseException: The first interruption, or else the error of the end, unless the
                caller raises something.
        """
