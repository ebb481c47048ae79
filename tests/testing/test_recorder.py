"""Which calls are kept, and which are only counted."""

from __future__ import annotations

import asyncio

import pytest

from agents_sandbox._wire import methods
from agents_sandbox.testing import FakeDaemon

from .raw import Raw, connected


def test_all_calls_are_kept(raw: Raw) -> None:
    for _ in range(3):
        raw(methods.PING)
    assert [call.method for call in raw.daemon.calls] == ["Ping"] * 3


@pytest.mark.parametrize("max_calls", [0, 2])
def test_only_the_newest_are_kept_and_all_are_counted(max_calls: int) -> None:
    with FakeDaemon(max_calls=max_calls) as daemon, connected(daemon) as raw:
        for number in range(5):
            raw.refused(methods.GET_SANDBOX, sandbox_id=f"ghost-{number}")
        kept = [call.request.sandbox_id for call in daemon.calls]
        assert kept == ["ghost-3", "ghost-4"][:max_calls]
        daemon.wait_for_call("GetSandbox", count=5)
        with pytest.raises(TimeoutError, match="GetSandbox was called 5 of 6 times"):
            daemon.wait_for_call("GetSandbox", count=6, timeout=0.01)
        with pytest.raises(TimeoutError, match="Ping was called 0 of 1 times"):
            daemon.wait_for_call("Ping", timeout=0.01)


def test_streams_are_counted_by_sandbox(raw: Raw) -> None:
    raw.ready("box-1")
    raw.ready("box-2")
    with raw.stream("box-1"), raw.stream("box-2"):
        raw.daemon.wait_for_streams(2)
        with raw.stream("box-2"):
            raw.daemon.wait_for_streams(3)
            assert raw.daemon._recorder.remaining_streams(0) == {"box-1": 1, "box-2": 2}
        raw.daemon.wait_for_streams(2)
        assert raw.daemon._recorder.remaining_streams(0) == {"box-1": 1, "box-2": 1}
    assert raw.daemon._recorder.remaining_streams(10) == {}


async def test_a_wait_in_vain_on_an_event_loop_says_that_it_blocked_the_loop(raw: Raw) -> None:
    raw.ready()
    daemon = raw.daemon
    why = r"blocked the event loop .*: use `await asyncio\.to_thread\(\.\.\.\)`$"
    with pytest.raises(TimeoutError, match=why):
        daemon.wait_for_call("StopSandbox", timeout=0.01)
    with pytest.raises(TimeoutError, match=why):
        daemon.wait_for_streams(1, timeout=0.01)
    with pytest.raises(TimeoutError, match=r"not 1$"):
        await asyncio.to_thread(daemon.wait_for_streams, 1, timeout=0.01)
    with raw.stream():
        daemon.wait_for_streams(1)
        daemon.terminate()
        with pytest.raises(TimeoutError, match=why):
            daemon.wait_until_ended(timeout=0.01)
