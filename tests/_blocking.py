"""The blocking half of the test helpers that differ by flavour; `_aio` is the other half."""

from __future__ import annotations

import faulthandler
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from threading import Thread
from typing import Any, TypeVar

import pytest

from agents_sandbox._blocking import clean_up, helpers, waiting

T = TypeVar("T")

# A call that had so many turns to end hangs. A pause of the whole machine, however long, takes only
# one of them from a call that is merely late.
TURNS = 300
TURN_SECONDS = 0.1


class Background:
    """A call that runs while the test continues."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._future: Future[Any] = Future()

        def call() -> None:
            try:
                self._future.set_result(function(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - result() raises it
                self._future.set_exception(error)

        Thread(target=call, daemon=True).start()

    def result(self) -> Any:
        """Wait until the call ends; return its result or raise its error.

        Raises:
            TimeoutError: It hangs.
        """
        for _ in range(TURNS):
            if wait((self._future,), timeout=TURN_SECONDS).done:
                return self._future.result()
        faulthandler.dump_traceback()  # shows where it hangs
        raise TimeoutError(f"the call did not end in {TURNS} waits of {TURN_SECONDS} s")


def off_loop(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a function that blocks, such as the fake daemon's `wait_for_call`."""
    return function(*args, **kwargs)


def step(iterator: Iterator[T]) -> T:
    """Take one step of an iterator."""
    return next(iterator)


def unless_late(seconds: float, function: Callable[..., Any], *args: Any) -> Any:
    """Make a call, however long it takes: a thread cannot be interrupted."""
    return function(*args)


def stop_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client start no threads from now on, as at the exit of Python 3.12."""
    for module in (clean_up, helpers, waiting):
        monkeypatch.setattr(module, "start_thread", lambda function, name: False)
