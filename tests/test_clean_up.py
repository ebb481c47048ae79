"""A clean-up runs to its end, once, whatever interrupts those who wait for it."""

from __future__ import annotations

import _thread
import asyncio
import gc
import os
import signal
import sys
import threading
from functools import partial

import pytest

from agents_sandbox import _aio, _blocking
from agents_sandbox._aio import clean_up as clean_ups
from agents_sandbox._sync_generated._block import Block, begins_block

from ._blocking import Background, stop_background
from .interrupting import Lines

notes_exist = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="exceptions have no notes before"
)


def notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])


class Work:
    """Counts how often it began and ended; waits in between until it may end."""

    def __init__(self) -> None:
        self.begun = self.ended = 0
        self.may_end = asyncio.Event()

    async def __call__(self) -> None:
        self.begun += 1
        await self.may_end.wait()
        await asyncio.sleep(0)
        self.ended += 1


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_cancelled_caller_waits_for_the_end() -> None:
    work = Work()
    caller = asyncio.ensure_future(_aio.CleanUp(work).finish())
    for _ in range(3):
        await turns()
        caller.cancel()
    await turns()
    assert (work.begun, work.ended, caller.done()) == (1, 0, False)
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert (work.begun, work.ended) == (1, 1)


async def test_several_wait_for_the_same_end() -> None:
    work = Work()
    clean_up = _aio.CleanUp(work)
    callers = [asyncio.ensure_future(clean_up.finish()) for _ in range(3)]
    await turns()
    callers[0].cancel()
    work.may_end.set()
    ended = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(end) for end in ended] == [asyncio.CancelledError, type(None), type(None)]
    await clean_up.finish()
    assert (work.begun, work.ended) == (1, 1)


@notes_exist
async def test_a_cancellation_does_not_replace_what_the_caller_raises() -> None:
    async def call() -> None:
        try:
            int("one")
        except ValueError as error:
            await _aio.CleanUp(work).finish(error)
            raise

    work = Work()
    caller = asyncio.ensure_future(call())
    await turns()
    caller.cancel()
    work.may_end.set()
    with pytest.raises(ValueError) as caught:
        await caller
    assert notes(caught.value) == ["CancelledError interrupted the clean-up, which went on"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tasks do not count cancellations before")
@pytest.mark.parametrize("raised", [ValueError, asyncio.CancelledError])
async def test_a_cancellation_that_was_not_raised_comes_with_the_next_wait(
    monkeypatch: pytest.MonkeyPatch, raised: type[BaseException]
) -> None:
    async def call() -> str:
        await _aio.CleanUp(work).finish(raised())
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return "cancelled"
        return "went on"

    monkeypatch.setattr(clean_ups, "_CANCELS_AGAIN", True)
    work = Work()
    caller = asyncio.ensure_future(call())
    await turns()
    caller.cancel()
    work.may_end.set()
    assert await caller == ("cancelled" if raised is ValueError else "went on")


async def test_an_error_of_the_function_comes_out_unless_something_else_does() -> None:
    async def fail() -> None:
        raise OSError

    clean_up = _aio.CleanUp(fail)
    for _ in range(2):
        with pytest.raises(OSError):
            await clean_up.finish()
    caller = asyncio.ensure_future(_aio.CleanUp(fail).finish())
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


def test_the_end_of_a_loop_waits_for_it() -> None:
    """`asyncio.run` cancels all tasks, also those that the function waits for."""
    work, inner = Work(), list[asyncio.Task[None]]()

    async def function() -> None:
        inner.append(asyncio.ensure_future(work()))
        await inner[-1]

    async def main() -> None:
        callers.append(asyncio.ensure_future(_aio.CleanUp(function).finish()))
        await turns()
        asyncio.get_running_loop().call_later(0.01, work.may_end.set)

    callers: list[asyncio.Future[None]] = []
    asyncio.run(main())
    assert callers[0].cancelled()
    assert [task.cancelled() for task in inner] == [True, False]
    assert (work.begun, work.ended) == (2, 1)


def test_ctrl_c_in_its_task_begins_it_again() -> None:
    begun: list[None] = []

    async def function() -> None:
        begun.append(None)
        await asyncio.sleep(0)
        if len(begun) == 1:
            raise KeyboardInterrupt

    async def main() -> None:
        caller.append(asyncio.ensure_future(_aio.CleanUp(function).finish()))
        await caller[0]

    caller: list[asyncio.Future[None]] = []
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert len(begun) == 2
    assert caller[0].cancelled()


@pytest.mark.parametrize("error", [None, OSError, KeyboardInterrupt])
def test_a_loop_that_ends_too_early_leaves_it_to_the_exit(
    error: type[BaseException] | None,
) -> None:
    begun: list[asyncio.AbstractEventLoop] = []

    async def function() -> None:
        begun.append(asyncio.get_running_loop())
        if begun == [loop]:
            await asyncio.Event().wait()
        if error is not None and len(begun) == 2:
            raise error

    loop = asyncio.new_event_loop()
    clean_up = _aio.CleanUp(function)
    caller = loop.create_task(clean_up.finish())
    while not begun:
        loop.run_until_complete(asyncio.sleep(0))
    clean_ups._finish_in_another_loop()
    assert begun == [loop], "its loop can still be run"
    loop.close()
    for _ in range(2):
        clean_ups._finish_in_another_loop()
    assert len(begun) == (3 if error is KeyboardInterrupt else 2)
    assert not caller.done()
    with pytest.raises(StopIteration):
        clean_up.finish(GeneratorExit()).send(None)


def test_a_loop_that_ends_too_early_leaves_the_blocks_around_to_the_exit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended: list[str] = []

    async def end(name: str) -> None:
        begun.append(name)
        if begun == ["inner"]:
            await asyncio.Event().wait()
        ended.append(name)

    async def blocks() -> None:
        try:
            await _aio.CleanUp(partial(end, "inner")).finish()
        finally:
            try:
                await _aio.CleanUp(partial(end, "outer")).finish()
            finally:
                await asyncio.sleep(0)

    begun: list[str] = []
    loop = asyncio.new_event_loop()
    caller = loop.create_task(blocks())
    while not begun:
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    clean_ups._finish_in_another_loop()
    assert ended == ["inner", "outer"]
    assert not caller.done()
    del caller
    gc.collect()
    assert caplog.messages == [], "asyncio logs tasks that are lost"


def test_ctrl_c_before_it_runs_in_another_loop_begins_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def press(_: object) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    work = Work()
    work.may_end.set()
    with pytest.raises(StopIteration):
        _aio.CleanUp(work).finish().send(None)
    monkeypatch.setattr(clean_ups, "_close_callers", press)
    clean_ups._finish_in_another_loop()
    assert (work.begun, work.ended) == (1, 1)


def test_without_a_loop_it_is_left_to_the_exit() -> None:
    work = Work()
    work.may_end.set()
    with pytest.raises(StopIteration):
        _aio.CleanUp(work).finish().send(None)
    assert work.begun == 0
    clean_ups._finish_in_another_loop()
    assert work.ended == 1


async def test_what_waits_for_the_host_runs_here_if_no_thread_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    threads: list[threading.Thread] = []
    await _aio.beside(lambda: threads.append(threading.current_thread()))
    monkeypatch.setattr("concurrent.futures.ThreadPoolExecutor.submit", refuse)
    await _aio.beside(lambda: threads.append(threading.current_thread()))
    assert [thread is threading.current_thread() for thread in threads] == [False, True]


async def test_a_closed_coroutine_leaves_it_to_the_loop() -> None:
    work = Work()
    coroutine = _aio.CleanUp(work).finish()
    coroutine.send(None)
    coroutine.close()
    work.may_end.set()
    gc.collect()
    await turns(10)
    assert work.ended == 1


def twice(clean_up: _blocking.CleanUp) -> None:
    """Finish it as callers do."""
    try:
        clean_up.finish()
    finally:
        clean_up.finish()


def test_ctrl_c_at_any_line_waits_for_the_end() -> None:
    lines, k = Lines(1), 0
    while not k or lines.reached:
        k += 1
        ended: list[None] = []
        clean_up = _blocking.CleanUp(partial(ended.append, None))
        lines = Lines(k)
        lines.run(partial(twice, clean_up))
        assert ended == [None], lines.place
    assert k > 20


def test_ctrl_c_again_and_again_waits_for_the_end() -> None:
    pressed: list[int] = []
    ended: list[None] = []

    def handle(*_: object) -> None:
        pressed.append(len(pressed))
        raise KeyboardInterrupt(pressed[-1])

    def work() -> None:
        for presses in range(1, 4):
            os.kill(os.getpid(), signal.SIGINT)
            while len(pressed) < presses:
                os.sched_yield()
        ended.append(None)

    before = signal.signal(signal.SIGINT, handle)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            _blocking.CleanUp(work).finish()
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught.value.args == (0,), "the first one comes out"
    assert ended == [None]


class Pressed:
    """When it is collected, Ctrl-C is pressed, and handled a moment later."""

    __del__ = _thread.interrupt_main


class Made(Block):
    ended = False

    @begins_block()
    def __enter__(self) -> None:
        _pressed = Pressed()  # collected as the entry returns

    def _end(self, raising: BaseException | None) -> None:
        self.ended = True


def test_ctrl_c_as_an_entry_returns_ends_the_block() -> None:
    made = Made()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), made:
            int("1")  # the moment is here, or in what begins the block
    finally:
        signal.signal(signal.SIGINT, before)
    assert made.ended


@pytest.mark.parametrize("threads", [True, False])
def test_a_blocking_error_comes_out(monkeypatch: pytest.MonkeyPatch, threads: bool) -> None:
    def fail() -> None:
        raise OSError

    if not threads:
        stop_background(monkeypatch)
    clean_up = _blocking.CleanUp(fail)
    for _ in range(2):
        with pytest.raises(OSError):
            clean_up.finish()


def test_threads_wait_for_the_same_end() -> None:
    begun, may_end = list[None](), threading.Event()

    def work() -> None:
        begun.append(None)
        may_end.wait()

    clean_up = _blocking.CleanUp(work)
    waiting = [Background(clean_up.finish) for _ in range(3)]
    may_end.set()
    for thread in waiting:
        thread.result()
    clean_up.finish()
    assert begun == [None]


@notes_exist
def test_ctrl_c_without_threads_begins_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[None] = []

    def work() -> None:
        begun.append(None)
        if len(begun) == 1:
            raise KeyboardInterrupt

    stop_background(monkeypatch)
    error = ValueError()
    _blocking.CleanUp(work).finish(error)
    assert len(begun) == 2
    assert notes(error) == ["KeyboardInterrupt interrupted the clean-up, which went on"]
