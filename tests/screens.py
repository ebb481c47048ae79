"""A terminal, and a notebook, that remember what they show."""

from __future__ import annotations

import io
import re
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from agents_sandbox import _progress

_PATIENCE_SECONDS = 60


class Screen(io.StringIO):
    """A stream that is a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self.trouble: Exception | None = None
        """What writing to it raises from now on."""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.trouble is not None:
            raise self.trouble
        with self._changed:
            self._changed.notify_all()
            return super().write(text)

    def wait_for(self, pattern: str) -> None:
        """Wait until it has shown a text."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: re.search(pattern, self.getvalue()), _PATIENCE_SECONDS
            ), self.getvalue()

    @property
    def line(self) -> str:
        """What the last line shows now, on a terminal that knows nothing but a return."""
        line = ""
        for text in self.getvalue().split("\r"):
            line = text + line[len(text) :]
        return line.rstrip()


def open_terminal(monkeypatch: pytest.MonkeyPatch, *, rich: bool) -> Screen:
    """Make standard error a terminal, with the library rich or without it."""
    screen = _open(monkeypatch)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    if not rich:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    return screen


def open_notebook(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Make this the kernel of a notebook."""
    screen = _open(monkeypatch)

    def show(data: dict[str, str], **_: Any) -> Any:
        screen.write("\r" + data["text/plain"].ljust(80))
        return SimpleNamespace(update=show)

    shell = SimpleNamespace(kernel=object())
    ipython = SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=show))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    return screen


def _open(monkeypatch: pytest.MonkeyPatch) -> Screen:
    # Tests have no time for waits that people would notice.
    monkeypatch.setattr(_progress, "_TICK_SECONDS", 0.01)
    # How busy this machine is decides nothing.
    monkeypatch.setattr(_progress, "_PATIENCE_SECONDS", _PATIENCE_SECONDS)
    return Screen()


def painters() -> list[threading.Thread]:
    """Return the threads that show progress."""
    return [thread for thread in threading.enumerate() if thread.name == "agents-sandbox-progress"]


class StuckLine:
    """A line of a terminal that takes no more output."""

    def __init__(self) -> None:
        self.stuck = threading.Event()
        self.freed = threading.Event()

    def show(self, text: str) -> None:
        """Wait until the terminal goes on."""
        self.stuck.set()
        assert self.freed.wait(_PATIENCE_SECONDS)
