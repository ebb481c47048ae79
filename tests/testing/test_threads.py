"""Blocking functions in threads beside an event loop."""

from __future__ import annotations

import asyncio
import threading

from agents_sandbox.testing._commands.threads import in_thread

from .raw import TIMEOUT


async def test_result_after_a_cancel_is_dropped() -> None:
    errors: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    started, release = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def work() -> int:
        threads.append(threading.current_thread())
        started.set()
        release.wait(TIMEOUT)
        return 1

    def join() -> bool:
        assert started.wait(TIMEOUT)
        threads[0].join(TIMEOUT)
        return not threads[0].is_alive()

    unwanted = in_thread(work, "worker")
    unwanted.cancel()
    release.set()
    assert await in_thread(join, "joiner")
    assert threads[0].name == "worker"
    assert errors == []
