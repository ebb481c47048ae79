"""Context managers whose end is not left out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType

from .._notes import note_interruption


class Block(ABC):
    """A context manager whose end is not left out, whatever interrupts it.

    In the blocking flavour an interruption can come at any line, also at the first one of a
    handler of exceptions. So whoever calls `_end` calls it again if it raises.
    """

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._end(exc)
        except BaseException as error:
            await self._end(exc or error)
            if exc is None:
                raise
            note_interruption(exc, error)

    @abstractmethod
    async def _end(self, raising: BaseException | None) -> None:
        """Do what is to be done at the end. Safe to repeat.

        Args:
            raising: What the caller raises.

        Raises:
            BaseException: The first interruption, or else the error of the end, unless the
                caller raises something.
        """
