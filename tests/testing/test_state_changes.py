"""Starts and ends from several threads at once."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from agents_sandbox.testing import ExecContext, FakeDaemon

from .raw import TIMEOUT, Raw

ROUNDS = 50

NOT_RUNNING = "the fake daemon is not running: call start() first"
STOPPED = "the fake daemon was stopped: create a new one"


@pytest.fixture
def hurry() -> Iterator[None]:
    """Make threads take turns more often than usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize(
    ("first", "second", "outcomes"),
    [
        (FakeDaemon.start, FakeDaemon.stop, {("ok", "ok"), (STOPPED, "ok")}),
        (FakeDaemon.start, FakeDaemon.kill, {("ok", "ok"), ("ok", NOT_RUNNING)}),
        (FakeDaemon.terminate, FakeDaemon.stop, {("ok", "ok"), (NOT_RUNNING, "ok")}),
        # Without streams, what was told to end has soon ended.
        (
            FakeDaemon.terminate,
            FakeDaemon.kill,
            {("ok", "ok"), (NOT_RUNNING, "ok"), ("ok", NOT_RUNNING)},
        ),
        (FakeDaemon.kill, FakeDaemon.stop, {("ok", "ok"), (NOT_RUNNING, "ok")}),
    ],
)
@pytest.mark.unmeasured
def test_changes_of_two_threads_happen_one_after_the_other(
    first: Callable[[FakeDaemon], object],
    second: Callable[[FakeDaemon], object],
    outcomes: set[tuple[str, str]],
    elsewhere: ThreadPoolExecutor,
) -> None:
    for lead in range(ROUNDS):
        daemon = FakeDaemon()
        if first is not FakeDaemon.start:
            daemon.start()
        together = threading.Barrier(2, timeout=TIMEOUT)

        def outcome(change: Callable[[FakeDaemon], object]) -> str:
            together.wait()  # noqa: B023 - both threads end in this round
            for _ in range(40 * lead if change is second else 0):  # noqa: B023 - as above
                pass  # a different moment in each round
            try:
                change(daemon)  # noqa: B023 - as above
            except RuntimeError as error:
                return str(error)
            return "ok"

        changes = [elsewhere.submit(outcome, change) for change in (first, second)]
        seen = tuple(change.result(TIMEOUT) for change in changes)
        assert seen in outcomes
        if second is FakeDaemon.stop:
            assert not daemon.running
        daemon.stop()
        assert not daemon.running


def test_the_daemons_own_thread_does_not_wait_for_a_stop(raw: Raw, daemon: FakeDaemon) -> None:
    refused: list[str] = []

    async def handler(context: ExecContext) -> None:
        try:
            await context.sleep(TIMEOUT)
        except asyncio.CancelledError:
            try:
                daemon.terminate()
            except RuntimeError as error:
                refused.append(str(error))
            raise

    daemon.on_exec(("work",)).call(handler)
    raw.ready()
    raw.start("work")
    daemon.stop()
    assert refused == [NOT_RUNNING]
