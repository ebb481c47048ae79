"""Context managers whose end is not left out."""

from __future__ import annotations

import os
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .._notes import add_note, note_interruption
from .._telemetry import recording, reports
from .._tracebacks import level_of_caller, trimmed
from ..errors import SandboxClientError, SandboxLeftoverWarning

if TYPE_CHECKING:
    from typing_extensions import Self

_MethodT = TypeVar("_MethodT", bound=Callable[..., Any])


class Block(ABC):
    """A context manager whose end is not left out, whatever interrupts it.

    In the blocking flavour an interruption can come at any line, also at the first one of a
    handler of exceptions. So whoever calls `_end` calls it again if it raises.

    A forked child that leaves a block ends nothing: that belongs to the process that made it.
    """

    _process: int
    _entered = False

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
        if self._process != os.getpid():
            return
        recorder = recording.recorder
        if recorder is None or not (name := recording.name_of_block(self, "exit")):
            await self._end(raising)
            return
        with recorder.call(name) as recorded, recorded:
            recorded.begin()
            recorded.result = self
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

    async def _give_up(self, raising: BaseException) -> None:
        """End what the entry has begun, because it raises. Safe to repeat."""
        await self._end(raising)


def report_leftover(left: str, error: SandboxClientError, raising: BaseException | None) -> None:
    """Warn of what the end of a block leaves behind, and note it on what the caller raises."""
    reports.leftover(left, error)
    text = f"{left}: {error}"
    if raising is not None:
        add_note(raising, text)
    # Where warnings are errors, the caller's exception is more important.
    with nullcontext() if raising is None else suppress(SandboxLeftoverWarning):
        warnings.warn(text, SandboxLeftoverWarning, stacklevel=level_of_caller())


def begins_block(refusal: str | None = None) -> Callable[[_MethodT], _MethodT]:
    """Decorate the entry of a block that begins something: if it raises, that is ended.

    Like `public`, it hides our frames. It must be the outermost decorator: what has begun would
    stay if a signal handler raised in another one, after the entry.

    Args:
        refusal: What to say if the block is entered again; None: that is possible.
    """

    def decorate(enter: _MethodT) -> _MethodT:
        @wraps(enter)
        async def call(self: Any) -> Any:
            __tracebackhide__ = True  # for pytest, which shows the caller then
            handled = sys.exc_info()[1]
            if self._entered and refusal is not None:
                raise SandboxClientError(refusal)
            self._entered = True
            # In the blocking flavour an interruption can come at any line, also of the inner
            # handler.
            try:
                recorder = recording.recorder
                try:
                    if recorder is None:
                        return await enter(self)
                    name = recording.name_of_block(self, "enter")
                    with recorder.call(name) as recorded, recorded:
                        recorded.begin()
                        try:
                            recorded.result = await enter(self)
                        except BaseException as error:
                            await self._give_up(error)  # here, too: it is part of the entry
                            raise
                        return recorded.result
                except BaseException as error:
                    await self._give_up(error)
                    raise
            except BaseException as error:
                await self._give_up(error)
                if isinstance(error, SandboxClientError):
                    raise trimmed(error, handled)  # noqa: B904 - the same error
                raise

        return cast("_MethodT", call)

    return decorate
