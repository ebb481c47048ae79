"""The blocking half of the test helpers that differ by flavour; `_aio` is the other half."""

from __future__ import annotations

import faulthandler
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


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
        """Wait until the call ends; return its result or raise its error."""
        wait((self._future,), timeout=30)
        if not self._future.done():
            faulthandler.dump_traceback()  # shows where it hangs
        return self._future.result(timeout=0)


def off_loop(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a function that blocks, such as the fake daemon's `wait_for_call`."""
    return function(*args, **kwargs)


def step(iterator: Iterator[T]) -> T:
    """Take one step of an iterator."""
    return next(iterator)


def unless_late(seconds: float, function: Callable[..., Any], *args: Any) -> Any:
    """Make a call, however long it takes: a thread cannot be interrupted."""
    return function(*args)
