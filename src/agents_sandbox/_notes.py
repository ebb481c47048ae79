"""Notes on exceptions that interrupt a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import SandboxClientError


class Remains:
    """What a call leaves behind if it is interrupted now.

    Attributes:
        note: One sentence about it; None: nothing.
    """

    def __init__(self) -> None:
        self.note: str | None = None


@contextmanager
def noting_remains() -> Iterator[Remains]:
    """Say on an interruption what it may leave behind; the SDK's own errors have attributes.

    Python shows the note below the traceback (PEP 678, since 3.11).
    """
    remains = Remains()
    try:
        yield remains
    except SandboxClientError:
        raise
    except BaseException as interruption:
        add_note = getattr(interruption, "add_note", None)
        if add_note is not None and remains.note is not None:
            add_note(remains.note)
        raise
