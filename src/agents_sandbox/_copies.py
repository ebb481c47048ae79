"""Refuses copies and pickles of what stands for a connection, a thread or a process."""

from __future__ import annotations

from typing import NoReturn


def refuse_copy(thing: object, advice: str) -> NoReturn:
    """Raise the error for a copy or a pickle of an object.

    Args:
        thing: The object.
        advice: What to do instead.

    Raises:
        TypeError: Always, as Python does for such objects.
    """
    raise TypeError(f"{type(thing).__name__} cannot be copied or pickled: {advice}")
