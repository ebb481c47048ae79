"""A program whose main thread uses a client while signal handlers raise at random moments.

    python tests/signalling.py SOCKET COUNT

It prints a line once COUNT signals have been raised and all threads can still use the client, waits
until its standard input ends, closes the client and exits. See `test_signals`.
"""

from __future__ import annotations

import faulthandler
import gc
import os

# An exception that a handler raises while Python 3.13 imports it leaves it broken for good. The SDK
# loads it with the first scope.
import pathlib  # noqa: F401 - only to load it
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from agents_sandbox import SandboxClientError, SandboxState, SyncAgentsSandboxClient

IMAGE = "example.test/primary:1"
BLOCK = {"block": "yes"}
MEAN_SECONDS = 0.003
"""How long a use lasts on average before a signal arrives. Most take a few milliseconds."""
PATIENCE_SECONDS = 60.0
"""Calls take milliseconds; this leaves time for a busy machine."""
ANSWER_SHARE, RETURN_SHARE = 0.1, 0.05
"""The shares of the signals whose handlers make a call, and return instead of raising."""
CHECK_SHARE = 0.05
"""The share of the uses after which other threads use the client."""


class Raised(Exception):  # noqa: N818 - it is no error
    """What the signal handler raises."""


class Program:
    """Uses a client in the main thread.

    Args:
        socket_path: The daemon's socket.
    """

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path
        self._random = random.Random(0)
        self._client = client = self._open()
        self._box = client.create_sandbox(image=IMAGE).sandbox_id
        self._uses: list[Callable[[], object]] = [
            client.ping,
            lambda: client.run(self._box, ("true",)),
            self._live_and_die,
            self._block,
            self._scope,
            self._follow,
            self._abandon_a_stream,
            self._open_and_close,
        ]
        self._raised = 0

    def run(self, count: int) -> None:
        """Use the client until so many signals were raised."""
        for number in (signal.SIGALRM, signal.SIGUSR1):
            signal.signal(number, self._handle)
        while self._raised < count:
            use = self._random.choice(self._uses)
            interrupt = self._random.choice((self._interrupt_by_timer, self._interrupt_by_thread))
            with suppress(Raised, SandboxClientError):
                interrupt(use, self._random.expovariate(1 / MEAN_SECONDS))
            if self._random.random() < CHECK_SHARE:
                self.check()

    def check(self) -> None:
        """Check that other threads can use the client."""
        faulthandler.dump_traceback_later(3 * PATIENCE_SECONDS, exit=True)  # or it would hang
        ended = threading.Semaphore(0)

        def use() -> None:
            self._client.ping()
            self._client.run(self._box, ("true",))
            ended.release()

        for _ in range(2):
            threading.Thread(target=use, daemon=True).start()
        for _ in range(2):
            assert ended.acquire(timeout=2 * PATIENCE_SECONDS)

    def check_blocks(self) -> None:
        """Check that no sandbox is left of an interrupted block."""
        for handle in self._client.list_sandboxes(label_selector=BLOCK):
            assert handle.state is SandboxState.DELETING, handle

    def close(self) -> None:
        """Close the client and check that its threads end."""
        self._client.close()
        gc.collect()
        for thread in threading.enumerate():
            if thread.name.startswith("agents-sandbox"):
                while thread.ident is None:  # it has yet to start
                    os.sched_yield()
                thread.join(PATIENCE_SECONDS)
                if thread.is_alive():
                    faulthandler.dump_traceback()  # shows where it hangs
                    raise AssertionError(thread)

    def _open(self) -> SyncAgentsSandboxClient:
        return SyncAgentsSandboxClient(
            self._socket_path,
            timeout_seconds=PATIENCE_SECONDS,
            operation_timeout_seconds=PATIENCE_SECONDS,
        )

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        choice = self._random.random()
        if choice < ANSWER_SHARE:
            self._client.ping()
        if choice >= RETURN_SHARE:
            self._raised += 1
            raise Raised

    def _interrupt_by_timer(self, use: Callable[[], object], seconds: float) -> None:
        try:
            signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
            use()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _interrupt_by_thread(self, use: Callable[[], object], seconds: float) -> None:
        main = threading.get_ident()
        ended = threading.Event()

        def interrupt() -> None:
            if not ended.wait(seconds):
                signal.pthread_kill(main, signal.SIGUSR1)

        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            use()
        finally:
            ended.set()
            thread.join()

    def _live_and_die(self) -> None:
        self._client.delete_sandbox(self._client.create_sandbox(image=IMAGE).sandbox_id)

    def _block(self) -> None:
        with self._client.sandbox(image=IMAGE, labels=BLOCK):
            pass

    def _scope(self) -> None:
        with self._client.scope(BLOCK) as scope:
            scope.create_sandbox(image=IMAGE)

    def _follow(self) -> None:
        with self._client.subscribe_sandbox_events(self._box) as events:
            for _ in range(3):
                next(events)

    def _abandon_a_stream(self) -> None:
        next(self._client.subscribe_sandbox_events(self._box))

    def _open_and_close(self) -> None:
        with self._open() as client:
            client.ping()


def main(socket_path: str, count: str) -> None:
    """Run the program."""
    warnings.simplefilter("ignore", ResourceWarning)  # a client that is interrupted in `with`
    sys.unraisablehook = print_unless_raised
    program = Program(socket_path)
    program.run(int(count))
    program.check()
    program.check_blocks()
    sys.stdout.write(f"{count} signals\n")
    sys.stdout.flush()
    sys.stdin.read()
    program.close()


def print_unless_raised(unraisable: Any) -> None:
    """Report errors in finalizers, except those that a signal handler raises there."""
    if unraisable.exc_type is not Raised:
        sys.__unraisablehook__(unraisable)


if __name__ == "__main__":
    main(*sys.argv[1:])
