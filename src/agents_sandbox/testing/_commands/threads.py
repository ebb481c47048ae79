"""Blocking functions beside an event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def in_thread(function: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Run a function in a thread of its own.

    Unlike those of an executor the thread starts at once however many there are, one that
    never ends holds up nobody, and the loop can be closed at the interpreter's exit: to end
    its executor it would have to start a thread, which some Pythons then refuse.

    Args:
        function: What to run.
        name: The name of the thread.

    Returns:
        Its result or its error, on the running loop.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(ended: concurrent.futures.Future[T]) -> None:
        if future.done():  # nobody wants it any more
            return
        if error := ended.exception():
            future.set_exception(error)
        else:
            future.set_result(ended.result())

    def run() -> None:
        ended: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            ended.set_result(function())
        except Exception as error:  # noqa: BLE001 - it belongs to who waits
            ended.set_exception(error)
        with suppress(RuntimeError):  # given up: the loop is closed
            loop.call_soon_threadsafe(deliver, ended)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
