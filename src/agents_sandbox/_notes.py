"""Notes on exceptions that interrupt a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import SandboxClientError


class Remains:
    """What a call leaves behind if it is interrupted now.

    Attributes:
        note: One sentence about it; None: nothing.
        id: The id of what it creates, once a request may have created it. It can replace an id of
            ours by another one.
    """

    def __init__(self) -> None:
        self.note: str | None = None
        self.id: str | None = None


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
        if remains.note is not None:
            add_note(interruption, remains.note)
        raise


def add_note(error: BaseException, note: str) -> None:
    """Add a note to an exception, if this Python has notes."""
    add = getattr(error, "add_note", None)
    if add is not None:
        add(note)
