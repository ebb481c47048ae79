"""The primitives that blocking calls wait on: they end in time, whatever happens."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agents_sandbox._blocking import Channel, Mailbox, TimedLock
from agents_sandbox._blocking.waiting import Latch

from ._blocking import Background

# Less time than a wait takes to begin, about as much, and none.
INSTANTS = (0.0, 1e-7, 1e-6, 3e-6, 1e-5)


def take(seconds: float) -> None:
    mailbox: Mailbox[str] = Mailbox()
    assert mailbox.take(seconds) is None
    mailbox.put("item")
    assert mailbox.take(seconds) == "item"
    assert mailbox.take(seconds) is None


def pause(seconds: float) -> None:
    Channel(lambda: "unix:///nowhere").pause(seconds)


@pytest.mark.unmeasured
@pytest.mark.slow
@pytest.mark.parametrize("wait", [take, pause])
def test_a_wait_without_time_ends_immediately(wait: Callable[[float], None]) -> None:
    def often() -> None:
        for seconds in INSTANTS:
            for _ in range(5000):
                wait(seconds)

    Background(often).result()


@pytest.fixture
def slow_handler() -> Iterator[Callable[[float], list[str]]]:
    """Make a signal arrive soon, with a handler that takes a given time."""
    handled: list[str] = []
    before = signal.getsignal(signal.SIGALRM)

    def arrange(seconds: float) -> list[str]:
        def handle(*_: Any) -> None:
            signal.signal(signal.SIGALRM, give_up)
            signal.setitimer(signal.ITIMER_REAL, 20)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                pass
            handled.append("handled")

        def give_up(*_: Any) -> None:
            raise AssertionError("it is still waiting")

        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        return handled

    yield arrange
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("wait", [take, pause])
def test_a_signal_handler_may_take_longer_than_the_wait(
    slow_handler: Callable[[float], list[str]], wait: Callable[[float], None]
) -> None:
    handled = slow_handler(0.2)
    wait(0.1)
    assert handled == ["handled"]


def test_a_mailbox_loses_and_duplicates_nothing() -> None:
    mailbox: Mailbox[tuple[int, int]] = Mailbox()
    senders, items = 4, 2000

    def send(sender: int) -> None:
        for number in range(items):
            mailbox.put((sender, number))

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(senders)]
    for thread in threads:
        thread.start()
    taken = [mailbox.take(30) for _ in range(senders * items)]
    for thread in threads:
        thread.join()
    assert mailbox.take(0) is None
    numbers: dict[int, Iterator[int]] = {n: itertools.count() for n in range(senders)}
    for item in taken:
        assert item is not None
        assert item[1] == next(numbers[item[0]])


def test_all_pauses_end_when_the_channel_is_closed() -> None:
    channel = Channel(lambda: "unix:///nowhere")
    pausing = [Background(channel.pause, 60) for _ in range(20)]
    channel.close()
    for pause_ in pausing:
        pause_.result()
    channel.pause(60)


def test_a_lock_that_a_signal_handler_takes_once_more_stays_with_its_holder() -> None:
    def taken_elsewhere() -> bool:
        with lock.held(0.0) as entered:
            return entered

    lock = TimedLock()
    with lock.held(None) as entered:
        assert entered
        with lock.held(None) as nested:
            assert nested
        assert not Background(taken_elsewhere).result()
    assert Background(taken_elsewhere).result()


def test_an_open_latch_stays_open_whatever_happened_to_its_gate() -> None:
    latch = Latch()
    latch.open()
    assert latch._gate.acquire(blocking=False), "as an interrupted wait leaves it"
    Background(latch.wait, 3600.0).result()
