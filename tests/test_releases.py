"""Releases of the daemon: how they are parsed and what each knows; locks with tasks and threads."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    ClientLoopError,
    InvalidArgumentError,
    OperationTimeoutError,
    UnsupportedByDaemonError,
    UnsupportedDaemonError,
    _aio,
    _blocking,
)
from agents_sandbox._wire.releases import (
    NEWEST,
    OLDEST,
    PROBES,
    SINCE,
    Release,
    base_release,
    check_supported,
    chosen_release,
    parse_release,
    require,
)
from agents_sandbox.testing import FakeDaemon

NO_RELEASES = [
    *("dev", "", "0.4", "0.4.3.1", "v0.4.3", "0.4.3 ", " 0.4.3", "0.4.3\n", "0.4.-3", "0..3"),
    *("0.4.3+build5", "\u0660.\u0664.\u0663", "0.4.1234567890", "latest", "0.4.x"),
]


@pytest.mark.parametrize("text", ["0.2.0", "0.2.1", "0.3.0", "0.4.3", "0.4.10", "1.0.0"])
def test_releases_read_as_they_are_written(text: str) -> None:
    release = parse_release(text)
    assert release is not None
    assert str(release) == text
    assert base_release(text) == release


@pytest.mark.parametrize("text", [*NO_RELEASES, "0.4.3-alpha.3"])
def test_what_is_no_release_reads_as_none(text: str) -> None:
    assert parse_release(text) is None


def test_a_pre_release_belongs_to_its_release() -> None:
    assert base_release("0.4.3-alpha.3") == Release(0, 4, 3)
    assert base_release("1.0.0-rc.1-x") == Release(1, 0, 0)
    assert [base_release(text) for text in NO_RELEASES] == [None] * len(NO_RELEASES)


def test_releases_are_ordered_as_numbers() -> None:
    ascending = [Release(0, 2, 1), Release(0, 3, 0), Release(0, 4, 3), Release(0, 4, 10)]
    assert sorted((ascending[2], *ascending[:2], ascending[3])) == ascending


@pytest.mark.parametrize("text", ["0.2.0", "0.2.1", "0.4.3", "0.4.9", "0.99.0"])
def test_supported_releases_can_be_chosen(text: str) -> None:
    assert str(chosen_release(text)) == text


@pytest.mark.parametrize("text", [*NO_RELEASES, "0.4.3-alpha.3", None, 0.4, b"0.4.3", NEWEST])
def test_what_is_no_release_cannot_be_chosen(text: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r'^daemon_version must .* such as "0\.4\.3": '):
        chosen_release(text)


@pytest.mark.parametrize("release", [Release(0, 1, 9), Release(0, 0, 0), Release(1, 0, 0)])
def test_other_releases_are_refused(release: Release) -> None:
    for refuse in (check_supported, lambda release: chosen_release(str(release))):
        with pytest.raises(
            UnsupportedDaemonError, match=f"daemon '{release}' is not supp"
        ) as caught:
            refuse(release)
        assert caught.value.daemon_version == str(release)


# Source: the since-columns of the daemon's wire tables.
@pytest.mark.parametrize(
    ("name", "since"),
    [
        ("companion_containers", "0.3.0"),
        ("ports", "0.4.0"),
        ("command", "0.4.0"),
        ("cpu_limit", "0.4.1"),
        ("memory_limit", "0.4.1"),
        ("disk_limit", "0.4.1"),
        ("gpus", "0.4.3"),
    ],
)
def test_a_field_needs_the_release_that_brought_it(name: str, since: str) -> None:
    first = SINCE[name]
    assert str(first) == since
    require([(name, name)], first)
    require([(name, name)], NEWEST)
    for older in (OLDEST, Release(0, 2, 1), Release(0, 3, 2), Release(0, 4, 0), Release(0, 4, 2)):
        if older < first:
            with pytest.raises(
                UnsupportedByDaemonError, match=f"^its {name} requires da"
            ) as caught:
                require([(f"its {name}", name)], older)
            error = caught.value
            assert (error.field, error.since_version) == (f"its {name}", since)
            assert error.daemon_version == str(older)


def test_the_first_field_that_is_missing_is_named() -> None:
    with pytest.raises(UnsupportedByDaemonError, match=r"^gpus requires daemon 0\.4\.3"):
        require([("ports", "ports"), ("gpus", "gpus"), ("command", "command")], Release(0, 4, 2))
    require([], OLDEST)


def test_dialect_04_begins_with_companions() -> None:
    assert [Release(0, 2, patch).has_companions for patch in (0, 1, 99)] == [False] * 3
    assert [release.has_companions for release in (Release(0, 3, 0), NEWEST)] == [True] * 2


def test_the_probe_detects_all_releases_that_brought_a_field() -> None:
    told = [release for _, release in PROBES]
    assert told == sorted(set(SINCE.values()))
    for config_yaml, release in PROBES:
        assert SINCE[config_yaml.partition(":")[0]] == release
    assert all(earlier < later for earlier, later in itertools.pairwise(told))


# Tests for the async client only: cancelled tasks and event loops.


async def test_a_cancelled_first_caller_does_not_affect_the_others() -> None:
    with FakeDaemon(version="0.4.3") as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            with daemon.faults.delaying(60, method="Ping", times=1):
                first = asyncio.ensure_future(client.list_sandboxes())
                await asyncio.to_thread(daemon.wait_for_call, "Ping")
                second = asyncio.ensure_future(client.list_sandboxes(timeout_seconds=30))
                await asyncio.sleep(0)  # a turn of the loop, not time
                first.cancel()
                assert await second == []
            with pytest.raises(asyncio.CancelledError):
                await first
        calls = [call.method for call in daemon.calls]
        assert calls == ["Ping", "Ping", "ListSandboxes"]


async def test_a_cancelled_waiting_caller_does_not_affect_the_others() -> None:
    with FakeDaemon(version="0.4.3") as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            with daemon.faults.delaying(60, method="Ping", times=1):
                calls = [asyncio.ensure_future(client.list_sandboxes()) for _ in range(3)]
                await asyncio.to_thread(daemon.wait_for_call, "Ping")
                calls[1].cancel()
                with pytest.raises(asyncio.CancelledError):
                    await calls[1]
            assert [await calls[0], await calls[2]] == [[], []]
        assert [call.method for call in daemon.calls].count("Ping") == 1


def test_a_client_whose_loop_ended_in_the_middle_asks_again_on_the_next() -> None:
    with FakeDaemon(version="0.4.3") as daemon:
        client = AgentsSandboxClient(daemon.socket_path)

        async def give_up_in_a_crowd() -> None:
            calls = [asyncio.ensure_future(client.list_sandboxes()) for _ in range(3)]
            await asyncio.to_thread(daemon.wait_for_call, "Ping")
            assert not any(call.done() for call in calls)

        async def use_in_a_crowd() -> list[Any]:
            async with client:
                return await asyncio.gather(*(client.list_sandboxes() for _ in range(3)))

        with daemon.faults.delaying(60, method="Ping", times=1):
            asyncio.run(give_up_in_a_crowd())
        assert asyncio.run(use_in_a_crowd()) == [[]] * 3
        assert [call.method for call in daemon.calls].count("Ping") == 2


async def test_a_second_live_loop_is_refused_before_anything_is_asked() -> None:
    with FakeDaemon(version="0.4.3") as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            with daemon.faults.delaying(60, method="Ping", times=1):
                first = asyncio.ensure_future(client.list_sandboxes())
                await asyncio.to_thread(daemon.wait_for_call, "Ping")
                with pytest.raises(ClientLoopError, match="one client for each loop"):
                    await asyncio.to_thread(run_elsewhere, client.list_sandboxes())
            assert await first == []


def run_elsewhere(coroutine: Coroutine[Any, Any, object]) -> None:
    asyncio.run(coroutine)


async def test_an_async_lock_is_held_by_one_and_given_up_in_time() -> None:
    lock = _aio.TimedLock()
    async with lock.held(None) as first:
        assert first
        for timeout in (0.0, 0.01):
            async with lock.held(timeout) as second:
                assert not second
        waiting = asyncio.ensure_future(lock.held(None).__aenter__())
        await asyncio.sleep(0)  # a turn of the loop, not time
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with lock.held(0.0) as third:
        assert third
    with pytest.raises(OperationTimeoutError):
        async with lock.held(None):
            raise OperationTimeoutError
    async with lock.held(0.0) as fourth:
        assert fourth, "released by the error"


async def test_an_async_lock_is_not_lost_with_a_task_that_is_cancelled_as_it_gets_it() -> None:
    lock = _aio.TimedLock()
    held = lock.held(60.0)
    await held.__aenter__()
    waiting = asyncio.ensure_future(lock.held(60.0).__aenter__())
    for _ in range(3):
        await asyncio.sleep(0)  # a turn of the loop, not time
    await held.__aexit__(None, None, None)
    # The waiting task holds the lock now, and does not know it yet.
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with lock.held(0.0) as entered:
        assert entered


async def test_an_async_lock_is_not_acquired_when_all_tasks_are_cancelled() -> None:
    # Like a loop that shuts down.
    lock = _aio.TimedLock()
    before = asyncio.all_tasks()
    async with lock.held(60.0):
        waiting = asyncio.ensure_future(lock.held(60.0).__aenter__())
        for _ in range(3):
            await asyncio.sleep(0)  # a turn of the loop, not time
        for task in asyncio.all_tasks() - before:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with lock.held(0.0) as entered:
        assert entered


async def test_an_async_lock_is_not_lost_with_a_coroutine_that_is_closed() -> None:
    lock = _aio.TimedLock()
    async with lock.held(None):
        waiting = lock.held(None).__aenter__()
        waiting.send(None)  # as whoever drives coroutines by hand does
        waiting.close()
    async with lock.held(0.0) as entered:
        assert entered


def test_an_async_lock_is_not_handed_over_in_a_closed_loop() -> None:
    lock, loop = _aio.TimedLock(), asyncio.new_event_loop()

    async def wait() -> None:
        async with lock.held(None):
            await asyncio.Event().wait()

    holding, waiting = wait(), wait()

    async def begin() -> None:
        for coroutine in (holding, waiting):
            coroutine.send(None)

    loop.run_until_complete(begin())
    loop.close()
    holding.close()  # as Python does when it finalizes the coroutine
    waiting.close()


def test_a_blocking_lock_is_held_by_one_and_given_up_in_time() -> None:
    lock = _blocking.TimedLock()
    entered: list[bool] = []

    def enter(timeout: float | None) -> None:
        with lock.held(timeout) as got_it:
            entered.append(got_it)

    with lock.held(None) as first:
        assert first
        for timeout in (0.0, 0.01):
            hasty = threading.Thread(target=enter, args=(timeout,))
            hasty.start()
            hasty.join()
        waiting = threading.Thread(target=enter, args=(None,))
        waiting.start()
        assert entered == [False, False]
    waiting.join()
    enter(0.0)
    assert entered == [False, False, True, True]
