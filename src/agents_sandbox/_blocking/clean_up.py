"""A clean-up that no signal handler can interrupt."""

from __future__ import annotations

import threading
from contextvars import copy_context

from .._notes import note_interruption
from .helpers import start_thread
from .locks import closed_gate, in_main_thread, open_gate, pass_through
from .waiting import Call


class CleanUp:
    """A function that runs to its end, once, however often its caller is interrupted.

    Make it before the first thing that it cleans up, and call `finish` in two nested `finally`:
    an interruption can come at any line, also at the first one of `finish`.

    Args:
        function: The function. It ends in time by itself. It may be begun again where an
            interruption ended it, so what it does is idempotent.
    """

    def __init__(self, function: Call[None]) -> None:
        self._function = function
        self._turn = threading.Lock()  # held by the thread that runs it
        self._started = False
        self._over = False
        self._ended = closed_gate()
        self._error: BaseException | None = None

    def finish(self, raising: BaseException | None = None) -> None:
        """Begin the function unless it has begun, and wait for its end. Safe to repeat.

        Args:
            raising: What the caller raises anyway. An interruption is only noted on it.

        Raises:
            BaseException: The first interruption of this wait, or else the function's own error.
        """
        self._in_context = copy_context().run  # for libraries that trace calls
        interruption: BaseException | None = None
        while not self._over:
            try:
                self._run_beside() if in_main_thread() else self._run()
            except BaseException as error:  # noqa: BLE001 - it is raised below
                interruption = interruption or error
        try:
            if interruption is None:
                if self._error is not None:
                    raise self._error
            elif raising is None:
                raise interruption
            else:
                note_interruption(raising, interruption)
        finally:
            del interruption, raising  # their tracebacks refer to this frame

    def _run_beside(self) -> None:
        """Run it in another thread, because signal handlers run in this one."""
        self._started = self._started or start_thread(self._run, "agents-sandbox-clean-up")
        if not self._started:
            self._run()
        pass_through(self._ended)

    def _run(self) -> None:
        with self._turn:
            if self._over:
                return
            try:
                self._in_context(self._function)
            except BaseException as error:
                if in_main_thread() and not isinstance(error, Exception):
                    raise  # a signal handler raised it: no thread can be started any more
                self._error = error
            self._over = True
            open_gate(self._ended)
