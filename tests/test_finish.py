"""A call that nothing interrupts: an interruption in the meantime comes after it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest

from agents_sandbox import _aio, _blocking
from agents_sandbox._blocking import waiting


async def test_a_cancelled_task_finishes_first() -> None:
    proceed, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await proceed.wait()
        ended.set()

    async def fail() -> None:
        await work()
        raise KeyError

    for function in (work, fail):
        proceed.clear()
        ended.clear()
        task = asyncio.ensure_future(_aio.finish(function))
        for _ in range(3):
            await asyncio.sleep(0)
            task.cancel()
        proceed.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()
    with pytest.raises(KeyError):
        await _aio.finish(fail)


async def test_a_loop_that_shuts_down_cancels_it_all_the_same() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    before = asyncio.all_tasks()
    task = asyncio.ensure_future(_aio.finish(work))
    await asyncio.sleep(0)
    for each in asyncio.all_tasks() - before:
        each.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("fails", [False, True])
def test_ctrl_c_comes_after_it(fails: bool) -> None:
    pressed, ended = threading.Event(), threading.Event()

    def handle(*_: object) -> None:
        pressed.set()
        raise KeyboardInterrupt

    def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        pressed.wait()
        ended.set()
        if fails:
            raise KeyError

    before = signal.signal(signal.SIGINT, handle)
    try:
        with pytest.raises(KeyboardInterrupt):
            _blocking.finish(work)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.is_set()


@pytest.mark.parametrize("threads", [False, True])
def test_its_error_is_raised(monkeypatch: pytest.MonkeyPatch, threads: bool) -> None:
    def fail() -> None:
        raise KeyError

    if not threads:
        monkeypatch.setattr(waiting, "start_thread", lambda function, name: False)
    with pytest.raises(KeyError):
        _blocking.finish(fail)


def test_nothing_interrupts_another_thread() -> None:
    seen: list[str] = []

    def work() -> None:
        _blocking.finish(lambda: seen.append(threading.current_thread().name))

    thread = threading.Thread(target=work, name="here")
    thread.start()
    thread.join()
    assert seen == ["here"]
