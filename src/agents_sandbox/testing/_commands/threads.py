"""Blocking functions next to an event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def in_thread(function: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Run a function in its own thread.

    Unlike an executor, this starts the thread immediately, however many are running. A thread
    that never ends blocks nothing, and the loop can be closed at interpreter exit: closing an
    executor would start a thread, which some Pythons refuse then.

    Args:
        function: What to run.
        name: The name of the thread.

    Returns:
        A future on the running loop, with the function's result or error.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(ended: concurrent.futures.Future[T]) -> None:
        if future.done():  # cancelled
            return
        if error := ended.exception():
            future.set_exception(error)
        else:
            future.set_result(ended.result())

    def run() -> None:
        ended: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            ended.set_result(function())
        except Exception as error:  # noqa: BLE001 - the future raises it
            ended.set_exception(error)
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(deliver, ended)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
