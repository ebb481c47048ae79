"""Blocking functions beside an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def in_thread(function: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Run a function in a thread of its own; it must not raise.

    Unlike those of an executor the thread starts at once however many there are, and one
    that never ends holds up nobody.

    Args:
        function: What to run.
        name: The name of the thread.

    Returns:
        Its result, on the running loop.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(result: T) -> None:
        if not future.done():  # else nobody wants it any more
            future.set_result(result)

    def run() -> None:
        result = function()
        with suppress(RuntimeError):  # given up: the loop is closed
            loop.call_soon_threadsafe(deliver, result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
