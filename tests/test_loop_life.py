"""A client and the event loops of its life: several loops, closed ones, and foreign ones."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import uvloop

from agents_sandbox import (
    AgentsSandboxClient,
    ClientClosedError,
    ClientLoopError,
    ExecState,
    SandboxHandle,
    SandboxState,
    SyncAgentsSandboxClient,
)
from agents_sandbox._aio import Reader
from agents_sandbox._async._feeds import _Feed
from agents_sandbox._async._subscription import Subscription
from agents_sandbox._async._transport import ResponseStream
from agents_sandbox._deadline import Backoff, Deadline
from agents_sandbox.testing import FakeDaemon

from .cancelling import Suspensions
from .releases import any_release, each_dialect

pytestmark = [any_release, pytest.mark.slow]

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"

NewLoop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that the test runs and closes by hand."""
    made: asyncio.AbstractEventLoop = request.param()
    yield made
    made.close()


@pytest.fixture
def daemon(daemon: FakeDaemon) -> FakeDaemon:
    daemon.on_exec(("sleep",)).never()
    return daemon


async def create(client: AgentsSandboxClient, daemon: FakeDaemon) -> SandboxHandle:
    """Create a sandbox; leave no stream open that a test could mistake for its own."""
    handle = await client.create_sandbox(image=IMAGE)
    await asyncio.to_thread(daemon.wait_for_streams, 0)
    return handle


async def live(daemon: FakeDaemon) -> list[int]:
    """Run a whole life: waits, also shared and cancelled ones, events, a restart, a delete."""
    async with AgentsSandboxClient(daemon.socket_path) as client:
        handle = await create(client, daemon)
        sandbox_id = handle.sandbox_id
        runs = [client.run(sandbox_id, ("true",)) for _ in range(3)]
        ended = await asyncio.gather(*runs)
        assert {run.state for run in ended} == {ExecState.FINISHED}
        waiting = asyncio.ensure_future(client.run(sandbox_id, ("sleep",)))
        await asyncio.to_thread(daemon.wait_for_streams, 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.to_thread(daemon.wait_for_streams, 0)
        await asyncio.to_thread(daemon.kill)
        await asyncio.to_thread(daemon.start)
        assert (await client.stop_sandbox(sandbox_id)).state is SandboxState.STOPPED
        assert (await client.resume_sandbox(sandbox_id)).state is SandboxState.READY
        assert (await client.delete_sandbox(sandbox_id)).state is SandboxState.DELETED
        async with client.subscribe_sandbox_events(sandbox_id) as events:
            return [(await anext(events)).sequence for _ in range(8)]


@each_dialect
def test_a_whole_life_on_either_loop(loop: asyncio.AbstractEventLoop, daemon: FakeDaemon) -> None:
    assert loop.run_until_complete(live(daemon)) == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio has eager tasks since 3.12")
def test_a_whole_life_with_eager_tasks(daemon: FakeDaemon) -> None:
    async def eagerly() -> list[int]:
        asyncio.get_running_loop().set_task_factory(vars(asyncio)["eager_task_factory"])
        return await live(daemon)

    assert asyncio.run(eagerly()) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_call_is_cancelled_at_any_await_on_either_loop(
    loop: asyncio.AbstractEventLoop, daemon: FakeDaemon
) -> None:
    async def cancel_everywhere() -> int:
        k = 0
        suspensions = Suspensions(1)
        while not k or suspensions.reached:
            k += 1
            async with AgentsSandboxClient(daemon.socket_path) as client:
                suspensions = Suspensions(k)
                await suspensions.run(client.create_sandbox(image=IMAGE))
                assert await client.run(steady.sandbox_id, ("true",))
                await asyncio.to_thread(daemon.wait_for_streams, 0)
        return k

    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        steady = client.create_sandbox(image=IMAGE)
    assert loop.run_until_complete(cancel_everywhere()) > 1


def test_two_loops_in_two_threads_have_a_client_each(daemon: FakeDaemon) -> None:
    together = threading.Barrier(2)

    async def use() -> list[ExecState]:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            handle = await client.create_sandbox(image=IMAGE)
            together.wait(timeout=30)  # from here on both are open
            runs = (client.run(handle.sandbox_id, ("true",)) for _ in range(10))
            return [run.state for run in await asyncio.gather(*runs)]

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(lambda: asyncio.run(use())) for _ in range(2)]
        for one in both:
            assert one.result(timeout=30) == [ExecState.FINISHED] * 10


@pytest.mark.parametrize("joins", [False, True], ids=["alone", "joins-a-wait"])
async def test_a_wait_is_refused_on_a_second_live_loop(daemon: FakeDaemon, joins: bool) -> None:
    async with AgentsSandboxClient(daemon.socket_path) as client:
        handle = await create(client, daemon)
        waiting = asyncio.ensure_future(client.run(handle.sandbox_id, ("sleep",)))
        await asyncio.to_thread(daemon.wait_for_streams, 1)
        sandbox_id = handle.sandbox_id if joins else "ghost"
        for use in (
            lambda: client.run(sandbox_id, ("true",)),
            lambda: client.stop_sandbox(sandbox_id),
            lambda: client.get_sandbox(sandbox_id),
            lambda: client.create_sandbox(image=IMAGE),
            client.list_sandboxes,
            client.aclose,
        ):
            with pytest.raises(ClientLoopError, match="one client for each loop"):
                await asyncio.to_thread(run_elsewhere, use)
        await client.delete_sandbox(handle.sandbox_id)
        assert (await waiting).state is ExecState.FAILED


def run_elsewhere(use: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run a call on a new loop while the thread of the first loop waits."""
    asyncio.run(use())


def test_one_client_waits_on_loop_after_loop(daemon: FakeDaemon) -> None:
    client = AgentsSandboxClient(daemon.socket_path)  # outside any loop

    async def use() -> list[int]:
        handle = await client.create_sandbox(image=IMAGE)
        await client.run(handle.sandbox_id, ("true",))
        async with client.subscribe_sandbox_events(handle.sandbox_id) as events:
            return [(await anext(events)).sequence for _ in range(5)]

    for _ in range(3):
        assert asyncio.run(use()) == [1, 2, 3, 4, 5]
    asyncio.run(client.aclose())
    daemon.wait_for_streams(0)
    with pytest.raises(ClientClosedError):
        asyncio.run(use())


def test_a_wait_whose_run_ends_does_not_hinder_the_next(daemon: FakeDaemon) -> None:
    client = AgentsSandboxClient(daemon.socket_path)
    tasks = []

    async def leave() -> str:
        handle = await create(client, daemon)
        tasks.append(asyncio.ensure_future(client.run(handle.sandbox_id, ("sleep",))))
        await asyncio.to_thread(daemon.wait_for_streams, 1)
        return handle.sandbox_id

    async def use(sandbox_id: str) -> None:
        async with client:
            assert (await client.run(sandbox_id, ("true",))).state is ExecState.FINISHED

    sandbox_id = asyncio.run(leave())
    assert tasks[0].cancelled()
    daemon.wait_for_streams(0)
    asyncio.run(use(sandbox_id))


def test_a_wait_whose_loop_is_closed_does_not_hinder_the_next(
    loop: asyncio.AbstractEventLoop, daemon: FakeDaemon
) -> None:
    client = AgentsSandboxClient(daemon.socket_path)
    waits: list[asyncio.Task[Any]] = []

    async def leave() -> str:
        handle = await create(client, daemon)
        waits.append(asyncio.ensure_future(client.run(handle.sandbox_id, ("sleep",))))
        await asyncio.to_thread(daemon.wait_for_streams, 1)
        return handle.sandbox_id

    async def use() -> None:
        async with client:
            again = asyncio.ensure_future(client.run(sandbox_id, ("sleep",)))
            await asyncio.to_thread(daemon.wait_for_call, "SubscribeSandboxEvents", count=3)
            await asyncio.to_thread(daemon.wait_for_streams, 1)  # that of the closed loop is gone
            assert (await client.delete_sandbox(sandbox_id)).state is SandboxState.DELETED
            assert (await again).state is ExecState.FAILED

    sandbox_id = loop.run_until_complete(leave())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.run(use())
    waits.clear()
    gc.collect()
    daemon.wait_for_streams(0)


@pytest.mark.parametrize("used", [False, True])
def test_a_client_is_closed_after_a_loop_that_was_closed_in_a_wait(
    loop: asyncio.AbstractEventLoop, daemon: FakeDaemon, used: bool
) -> None:
    client = AgentsSandboxClient(daemon.socket_path)
    waits: list[asyncio.Task[Any]] = []

    async def leave() -> None:
        handle = await create(client, daemon)
        waits.append(asyncio.ensure_future(client.run(handle.sandbox_id, ("sleep",))))
        await asyncio.to_thread(daemon.wait_for_streams, 1)

    async def close() -> None:
        if used:
            await client.ping()
        await client.aclose()

    loop.run_until_complete(leave())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.run(close())
    daemon.wait_for_streams(0)
    waits.clear()
    gc.collect()


def test_a_client_is_closed_after_a_loop_that_was_closed_in_a_pause(
    loop: asyncio.AbstractEventLoop, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = AgentsSandboxClient(daemon.socket_path)
    pausing = threading.Event()
    left: list[asyncio.Task[Any]] = []

    def pause(backoff: Backoff, deadline: Deadline) -> float:
        pausing.set()
        return 3600.0

    async def leave() -> None:
        await client.ping()
        daemon.faults.fail_next("Ping", code="UNAVAILABLE")
        left.append(asyncio.ensure_future(client.ping()))
        await asyncio.to_thread(pausing.wait)

    monkeypatch.setattr(Backoff, "pause", pause)
    loop.run_until_complete(leave())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.run(client.aclose())
    left.clear()
    gc.collect()


def test_a_client_that_is_not_closed_says_what_to_do(daemon: FakeDaemon) -> None:
    async def use() -> None:
        await AgentsSandboxClient(daemon.socket_path).ping()
        gc.collect()

    said = r"an AgentsSandboxClient was not closed.*aclose\(\)"
    with pytest.warns(ResourceWarning, match=said) as warned:
        asyncio.run(use())
    assert warned[0].filename == __file__


def test_a_blocking_client_that_is_not_closed_says_what_to_do(daemon: FakeDaemon) -> None:
    def use() -> None:
        SyncAgentsSandboxClient(daemon.socket_path).ping()
        gc.collect()

    said = r"SyncAgentsSandboxClient was not closed.* close\(\)"
    with pytest.warns(ResourceWarning, match=said) as warned:
        use()
    assert warned[0].filename == __file__


def test_a_client_that_is_not_closed_in_a_wait_leaves_nothing_open(daemon: FakeDaemon) -> None:
    async def use() -> None:
        client = AgentsSandboxClient(daemon.socket_path)
        handle = await create(client, daemon)
        waiting = asyncio.ensure_future(client.run(handle.sandbox_id, ("sleep",)))
        await asyncio.to_thread(daemon.wait_for_streams, 1)
        waiting.cancel()

    def use_and_collect() -> None:
        asyncio.run(use())
        gc.collect()

    with pytest.warns(ResourceWarning, match="not closed"):
        use_and_collect()
    daemon.wait_for_streams(0)


def test_a_client_that_was_closed_or_never_used_needs_no_closing(daemon: FakeDaemon) -> None:
    async def use() -> None:
        client = AgentsSandboxClient(daemon.socket_path)
        await client.ping()
        await client.aclose()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        AgentsSandboxClient(daemon.socket_path)
        SyncAgentsSandboxClient(daemon.socket_path)
        asyncio.run(use())
        blocking = SyncAgentsSandboxClient(daemon.socket_path)
        blocking.ping()
        blocking.close()
        del blocking
        gc.collect()
    assert not [str(warning.message) for warning in caught]


def parts_of_waits() -> int:
    """How many there are in the process; other tests may have left some."""
    kinds = (_Feed, Reader, ResponseStream, Subscription)
    return sum(isinstance(thing, kinds) for thing in gc.get_objects())


@any_release
async def test_a_wait_that_has_ended_leaves_no_garbage(daemon: FakeDaemon) -> None:
    async with AgentsSandboxClient(daemon.socket_path) as client:
        gc.collect()
        gc.disable()
        try:
            before = parts_of_waits()
            await client.create_sandbox(image="a:1")
            await asyncio.to_thread(daemon.wait_for_streams, 0)
            assert parts_of_waits() <= before
        finally:
            gc.enable()
