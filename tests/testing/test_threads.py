"""Blocking functions next to an event loop."""

from __future__ import annotations

import asyncio
import threading

from agents_sandbox.testing._commands.threads import in_thread

from .raw import TIMEOUT


async def test_result_of_a_cancelled_call_is_dropped() -> None:
    errors: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    started, proceed = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def work() -> int:
        threads.append(threading.current_thread())
        started.set()
        proceed.wait(TIMEOUT)
        return 1

    def join() -> bool:
        assert started.wait(TIMEOUT)
        threads[0].join(TIMEOUT)
        return not threads[0].is_alive()

    cancelled = in_thread(work, "worker")
    cancelled.cancel()
    proceed.set()
    assert await in_thread(join, "joiner")
    assert threads[0].name == "worker"
    assert errors == []
