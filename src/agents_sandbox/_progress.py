"""A line that shows for how long a client has been waiting, and for what."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ._blocking.helpers import start_thread
from ._blocking.locks import acquire, closed_gate, open_gate
from ._pictures.times import duration
from ._shared.shown import shown
from ._surroundings import clock
from ._surroundings.forks import MUTEX
from .errors import InvalidArgumentTypeError

if TYPE_CHECKING:
    from ._async._client import AgentsSandboxClient
    from ._sync_generated._client import SyncAgentsSandboxClient

# Shorter waits do not show at all.
_TICK_SECONDS = 0.2

# How long the end of a block waits until the line is gone. It holds up an event loop.
_PATIENCE_SECONDS = 0.5


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
    the oldest one, and the number of the others. Blocks of the same client share one line, also in
    several threads.

    Args:
        client: The client whose waits are shown.

    Raises:
        InvalidArgumentTypeError: It is no client.
    """
    daemon: Any = getattr(client, "_daemon", None)
    if daemon is None:
        raise InvalidArgumentTypeError(f"client must be a client, not {shown(client)}")
    block = object()
    try:
        _enter(daemon, block)
        yield
    finally:
        try:
            _leave(daemon, block)
        finally:
            _leave(daemon, block)  # an interruption can come at any line


class _Board(dict[_Wait, float]):
    """The open waits of a client, by their beginning, while some blocks show them on one line."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: set[object] = set()
        self.end = closed_gate()
        self.pen = threading.Lock()
        """Whoever holds it may change the line. The last block keeps it."""


def _enter(daemon: Any, block: object) -> None:
    line = _find_line() if daemon.waits is None else None
    painted = None
    with MUTEX:
        if daemon.waits is None and line is not None:
            painted = daemon.waits = _Board()
        if daemon.waits is not None:
            daemon.waits.blocks.add(block)
    if line is not None and painted is not None:
        # If no thread can be started, nothing is shown.
        start_thread(partial(_paint, daemon, painted, line), "agents-sandbox-progress")


def _leave(daemon: Any, block: object) -> None:
    with MUTEX:
        board = daemon.waits
        if board is None:
            return
        board.blocks.discard(block)
        if board.blocks:
            return
        daemon.waits = None
    open_gate(board.end)
    # The output may be stuck, and a forked child has no painter that would let go.
    acquire(board.pen, _PATIENCE_SECONDS)


def _paint(daemon: Any, board: _Board, line: _Line) -> None:
    if not board.pen.acquire(blocking=False):
        return  # the block has ended already
    # If the output is gone or closed, nothing is shown any more.
    with suppress(OSError, ValueError):
        seen = False
        # If the end of the block was interrupted, nobody opens the gate.
        while not acquire(board.end, _TICK_SECONDS) and daemon.waits is board:
            # Waits come and go while it looks.
            text = _text(tuple(board.items()))
            if text or seen:
                line.show(text)
            seen = text != ""
        if seen:
            line.show("")
    board.pen.release()


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
    if sys.stderr is None or sys.stderr.closed or not sys.stderr.isatty():
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
    """The same by rich."""

    def __init__(self) -> None:
        # An extra, which terminals alone need.
        from rich.console import Console  # noqa: PLC0415 - see above
        from rich.live import Live  # noqa: PLC0415 - see above
        from rich.spinner import Spinner  # noqa: PLC0415 - see above
        from rich.text import Text  # noqa: PLC0415 - see above

        self._text = Text
        self._spinner = Spinner("dots", style="status.spinner")
        self._live = Live(
            self._spinner,
            console=Console(stderr=True),
            auto_refresh=False,  # its thread would not survive an output that is gone
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def show(self, text: str) -> None:
        """Replace the line, or turn the spinner."""
        if text:
            line = self._text(text)
            # Beside a frame and a space. The spinner would wrap it, whatever the text says of that.
            line.truncate(self._live.console.width - 3, overflow="ellipsis")
            self._spinner.update(text=line)
            self._live.start()
            self._live.refresh()
        else:
            self._live.stop()


class _Notebook:
    """A line in the output of a cell."""

    def __init__(self, ipython: Any) -> None:
        self._text = ""
        self._shown = ipython.display.display({"text/plain": ""}, raw=True, display_id=True)

    def show(self, text: str) -> None:
        """Replace the line."""
        if text != self._text:
            self._text = text
            self._shown.update({"text/plain": text}, raw=True)
