"""Ctrl-C: a real signal while the main thread blocks, or a simulated one at any line."""

from __future__ import annotations

import _weakrefset
import linecache
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import grpc
import pytest

import agents_sandbox

_PACKAGE = f"{Path(agents_sandbox.__file__).parent}/"
_FAKE = f"{_PACKAGE}testing/"
GRPC = f"{Path(grpc.__file__).parent}/"
_INTERRUPTED = (_PACKAGE, GRPC, threading.__file__, _weakrefset.__file__)


@contextmanager
def ctrl_c(when: Callable[[list[str]], bool]) -> Iterator[None]:
    """Send Ctrl-C as soon as the block waits at a certain place; it must raise KeyboardInterrupt.

    Args:
        when: Takes the names of the functions in which the main thread is, innermost first.
    """
    blocked = threading.main_thread().ident
    assert blocked is not None

    def place() -> list[str]:
        frame: FrameType | None = sys._current_frames()[blocked]
        stack = []
        while frame is not None:
            stack.append(frame.f_code.co_name)
            frame = frame.f_back
        return stack

    def press() -> None:
        while not when(place()):
            pass
        os.kill(os.getpid(), signal.SIGINT)
        # Python misses a signal that arrives just before it blocks, so the signal is repeated.
        while not came_out.wait(timeout=2):
            os.kill(os.getpid(), signal.SIGINT)

    # A shell starts its background jobs with Ctrl-C disabled.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    pressing = threading.Thread(target=press)
    came_out = threading.Event()
    try:
        with pytest.raises(KeyboardInterrupt):
            pressing.start()
            yield
        came_out.set()
        pressing.join()
    finally:
        signal.signal(signal.SIGINT, before)


def join(thread: threading.Thread) -> None:
    """Wait until a thread of the client has ended."""
    while thread.ident is None:  # the main thread does not wait until it has started
        os.sched_yield()
    thread.join(timeout=10)
    assert not thread.is_alive()


def join_readers() -> None:
    """Wait until nothing follows streams in the background any more."""
    for thread in threading.enumerate():
        if thread.name == "agents-sandbox-events":
            join(thread)


class Lines:
    """Counts the lines that a call executes, and simulates Ctrl-C at one of them.

    It counts those of the package, of gRPC and of the threading modules, in this thread.

    Args:
        interrupt_at: The line at which to interrupt, from 1.
    """

    def __init__(self, interrupt_at: int) -> None:
        self._left = interrupt_at
        self._seen: dict[FrameType, int] = {}
        self.place = ""
        """Where the call was interrupted."""

    @property
    def reached(self) -> bool:
        """Whether there were that many lines."""
        return self._left <= 0

    def interrupt_after(self, lines: int) -> None:
        """Interrupt at the line that comes so many lines later."""
        self._left = lines

    def run(self, call: Callable[[], object]) -> None:
        """Make the call; if it was interrupted, it must raise KeyboardInterrupt."""
        try:
            with self.counted():
                call()
        except KeyboardInterrupt:
            assert self.reached
        else:
            assert not self.reached, f"swallowed: {self.place}"

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the lines of the calls in the block."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)
            self._seen.clear()

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        path = frame.f_code.co_filename
        if path.startswith(_INTERRUPTED) and not path.startswith(_FAKE):
            return self._step
        return None

    def _step(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line" and not self.reached and not self._swallows(frame):
            self._left -= 1
            if self.reached:
                code = frame.f_code
                self.place = f"{code.co_filename}:{frame.f_lineno} {code.co_name}"
                raise KeyboardInterrupt
        return self._step

    # Python prints and drops exceptions that are raised while it finalizes an object, in `__del__`
    # or in the callback of a weak reference, such as the `_remove` of a WeakSet. Two kinds of
    # lines handle no signal: the end of a `with`, which counts as its first line, and a `try`,
    # which does nothing.
    def _swallows(self, frame: FrameType) -> bool:
        last, self._seen[frame] = self._seen.get(frame, 0), frame.f_lineno
        code = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        # Neither does what ignores an exception in `Condition.__init__`: Python 3.11 mixes up the
        # exceptions that are being handled if a trace function raises there.
        if frame.f_code.co_filename == threading.__file__ and code.startswith(("except ", "pass")):
            return True
        if code == "try:" or (last > frame.f_lineno and code.startswith("with ")):
            return True
        inside: FrameType | None = frame
        while inside is not None:
            if inside.f_code.co_name in ("__del__", "_remove"):
                return True
            inside = inside.f_back
        return False
