"""Notes on exceptions that interrupt a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .errors import SandboxClientError


@contextmanager
def noting(what: Callable[[], str]) -> Iterator[None]:
    """Say on an interruption what it may leave behind; the SDK's own errors have attributes.

    Python shows the note below the traceback (PEP 678, since 3.11).

    Args:
        what: Returns the note.
    """
    try:
        yield
    except SandboxClientError:
        raise
    except BaseException as interruption:
        add_note = getattr(interruption, "add_note", None)
        if add_note is not None:
            add_note(what())
        raise
