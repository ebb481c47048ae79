"""The picture of a sandbox's life."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..models import SandboxEvent
from .drawing import draw
from .reading import life_of
from .words import heading, lines, overview


class Timeline:
    """A picture of a sandbox's life. Notebooks show it; `str()` has the same in words.

    Made by `timeline()`.
    """

    __module__ = "agents_sandbox"
    __slots__ = ("_overview", "_svg", "_words")

    def __init__(self, svg: str, words: str, overview: str) -> None:
        self._svg = svg
        self._words = words
        self._overview = overview

    def __repr__(self) -> str:
        return f"<{self._overview}>"

    def __str__(self) -> str:
        return self._words

    @property
    def svg(self) -> str:
        """The picture as an SVG document, 800 pixels wide."""
        return self._svg

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file, which ends in `.svg`; replaces one that is there.

        Raises:
            OSError: It cannot be written.
        """
        Path(path).write_text(self._svg, "utf-8")

    def _repr_svg_(self) -> str:
        return self._svg

    # With the picture in the page itself, its parts have tooltips. On a narrow page it scrolls:
    # notebooks would shrink it until nobody can read it.
    def _repr_html_(self) -> str:
        inner = f'<div style="min-width:620px">{self._svg}</div>'
        return f'<div style="overflow-x:auto">{inner}</div>'


def timeline(events: Iterable[SandboxEvent]) -> Timeline:
    """Draw a sandbox's life: its states, execs, services, and restarts of the daemon.

    The size is bounded. Of more than 30 execs, those that failed, were cancelled or still run, and
    then the longest, have bars of their own; the others are counted in one row. Of more than 10
    services, those that failed come first. States that are too short to be seen are drawn
    as one. A restart is drawn if an event tells of it, because it has ended a create or an exec.

    Args:
        events: The events of one sandbox, such as `subscribe_sandbox_events` delivers, in any
            order. A stream does not end by itself: collect its events first.

    Returns:
        The picture, as SVG and in words.

    Raises:
        InvalidArgumentTypeError: They are no events.
        InvalidArgumentError: They are of several sandboxes.
    """
    life = life_of(events)
    return Timeline(draw(life), "\n".join(lines(life)), f"{heading(life)}: {overview(life)}")
