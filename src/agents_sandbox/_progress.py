"""A line that shows for how long a client has been waiting, and for what."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ._pictures.times import duration
from ._shared.shown import shown
from ._surroundings import clock
from .errors import InvalidArgumentTypeError

if TYPE_CHECKING:
    from ._async._client import AgentsSandboxClient
    from ._sync_generated._client import SyncAgentsSandboxClient

# Shorter waits do not show at all.
_TICK_SECONDS = 0.2


class _Wait(Protocol):
    """A wait of either flavour."""

    def describe(self) -> str: ...


class _Line(Protocol):
    """One line that people see."""

    def show(self, text: str) -> None:
        """Replace the line; with an empty text there is none."""


@contextmanager
def progress(client: AgentsSandboxClient | SyncAgentsSandboxClient) -> Iterator[None]:
    """Show on one line what a client waits for in a block, in which state that is, and since when.

    Use it as `with progress(client):`, for both clients. In a notebook, the line is in the output
    of the cell; on a terminal, it is on standard error, with a spinner if the library rich is
    installed (`agents-sandbox[cli]`). Elsewhere nothing is shown. Of several waits, the line shows
    the oldest one, and the number of the others. In a block within the block of the same client
    nothing changes.

    Args:
        client: The client whose waits are shown.

    Raises:
        InvalidArgumentTypeError: It is no client.
    """
    daemon: Any = getattr(client, "_daemon", None)
    if daemon is None:
        raise InvalidArgumentTypeError(f"client must be a client, not {shown(client)}")
    line = _find_line() if daemon.waits is None else None
    if line is None:
        yield
        return
    waits: dict[_Wait, float] = {}
    daemon.waits = waits
    done = threading.Event()
    painter = threading.Thread(target=_paint, args=(line, waits, done), daemon=True)
    painter.start()
    try:
        yield
    finally:
        daemon.waits = None
        done.set()
        painter.join()


def _paint(line: _Line, waits: Mapping[_Wait, float], done: threading.Event) -> None:
    last = ""
    while not done.wait(_TICK_SECONDS):
        # Waits come and go while it looks.
        text = _text(tuple(waits.items()))
        if text != last:
            line.show(text)
            last = text
    if last:
        line.show("")


def _text(waits: tuple[tuple[_Wait, float], ...]) -> str:
    if not waits:
        return ""
    wait, since = waits[0]
    seconds = int(clock.monotonic() - since)
    others = f" (and {len(waits) - 1} more)" if len(waits) > 1 else ""
    return f"{wait.describe()}, {duration(seconds) if seconds else '0 s'}{others}"


def _find_line() -> _Line | None:
    ipython: Any = sys.modules.get("IPython")
    if ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None:
        return _Notebook(ipython)
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    try:
        return _Spinner()
    except ImportError:
        return _Plain()


class _Plain:
    """A line of a terminal."""

    def __init__(self) -> None:
        self._width = 0

    def show(self, text: str) -> None:
        """Replace the line."""
        text = text[: shutil.get_terminal_size().columns - 1]
        # Spaces over what was there before: not every terminal can clear a line.
        sys.stderr.write(f"\r{text.ljust(self._width)}" + ("" if text else "\r"))
        sys.stderr.flush()
        self._width = len(text)


class _Spinner:
    """The same by rich, which keeps it below what the program prints."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - an extra, which terminals alone need
        from rich.text import Text  # noqa: PLC0415

        self._text = Text
        self._status = Console(stderr=True).status("")

    def show(self, text: str) -> None:
        """Replace the line."""
        if text:
            self._status.update(self._text(text, no_wrap=True, overflow="ellipsis"))
            self._status.start()
        else:
            self._status.stop()


class _Notebook:
    """A line in the output of a cell."""

    def __init__(self, ipython: Any) -> None:
        self._shown = ipython.display.display({"text/plain": ""}, raw=True, display_id=True)

    def show(self, text: str) -> None:
        """Replace the line."""
        self._shown.update({"text/plain": text}, raw=True)
