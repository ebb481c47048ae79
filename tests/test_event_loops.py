"""Tests for the async client only: event loops and cancelled tasks."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    AsyncSandboxEventStream,
    ClientClosedError,
    ClientLoopError,
    SandboxEvent,
    SandboxEventType,
)
from agents_sandbox.testing import FakeDaemon

from .releases import each_dialect

pytestmark = each_dialect

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"


@pytest.fixture
async def client(daemon: FakeDaemon) -> AsyncIterator[AgentsSandboxClient]:
    async with AgentsSandboxClient(daemon.socket_path) as opened:
        yield opened


def test_a_client_made_outside_of_a_loop_works(daemon: FakeDaemon) -> None:
    client = AgentsSandboxClient(daemon.socket_path)

    async def use() -> str:
        async with client:
            return (await client.ping()).daemon

    assert asyncio.run(use()) == "agboxd"


def test_a_client_outlives_its_loop(daemon: FakeDaemon) -> None:
    client = AgentsSandboxClient(daemon.socket_path)

    async def use() -> str:
        return (await client.ping()).daemon

    assert [asyncio.run(use()), asyncio.run(use())] == ["agboxd", "agboxd"]
    asyncio.run(client.aclose())
    with pytest.raises(ClientClosedError):
        asyncio.run(use())


async def test_a_second_live_loop_is_refused(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    await client.ping()
    for use in (client.ping, client.aclose):
        with pytest.raises(ClientLoopError, match="one client for each loop"):
            await asyncio.to_thread(run_elsewhere, use)
    await client.ping()


def run_elsewhere(use: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run a call on a new loop while the thread of the first loop waits."""
    asyncio.run(use())


async def test_a_stream_is_refused_on_a_second_live_loop(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    handle = await client.create_sandbox(image=IMAGE)
    stream = client.subscribe_sandbox_events(handle.sandbox_id)
    await anext(stream)
    with pytest.raises(ClientLoopError):
        await asyncio.to_thread(run_elsewhere, stream.__anext__)
    assert (await anext(stream)).sequence == 2
    await stream.aclose()
    await asyncio.to_thread(daemon.wait_for_streams, 0)


async def test_a_stream_with_a_step_under_way_is_refused_on_a_second_live_loop(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    handle = await client.create_sandbox(image=IMAGE)
    await asyncio.to_thread(daemon.wait_for_streams, 0)
    stream = client.subscribe_sandbox_events(handle.sandbox_id, from_sequence=3)
    step = asyncio.ensure_future(anext(stream))
    await asyncio.to_thread(daemon.wait_for_streams, 1)
    with pytest.raises(ClientLoopError):
        await asyncio.to_thread(run_elsewhere, stream.__anext__)
    await client.delete_sandbox(handle.sandbox_id)
    assert (await step).sequence == 4
    await stream.aclose()


async def test_a_stream_may_be_closed_from_a_second_loop(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    handle = await client.create_sandbox(image=IMAGE)
    stream = client.subscribe_sandbox_events(handle.sandbox_id)
    await anext(stream)
    await asyncio.to_thread(run_elsewhere, stream.aclose)
    await asyncio.to_thread(daemon.wait_for_streams, 0)


def test_a_stream_outlives_its_loop(daemon: FakeDaemon) -> None:
    client = AgentsSandboxClient(daemon.socket_path)
    streams: list[AsyncSandboxEventStream] = []

    async def first() -> int:
        handle = await client.create_sandbox(image=IMAGE)
        streams.append(client.subscribe_sandbox_events(handle.sandbox_id))
        return (await anext(streams[0])).sequence

    async def second() -> int:
        async with client, streams[0]:
            sequence = (await anext(streams[0])).sequence
            await asyncio.to_thread(daemon.wait_for_streams, 1)
            return sequence

    assert [asyncio.run(first()), asyncio.run(second())] == [1, 2]


def test_a_stream_may_be_dropped_after_its_loop(daemon: FakeDaemon) -> None:
    client = AgentsSandboxClient(daemon.socket_path)
    streams: list[AsyncSandboxEventStream] = []

    async def open_stream() -> None:
        handle = await client.create_sandbox(image=IMAGE)
        streams.append(client.subscribe_sandbox_events(handle.sandbox_id))
        await anext(streams[0])

    asyncio.run(open_stream())
    streams.clear()
    gc.collect()
    daemon.wait_for_streams(0)
    asyncio.run(client.aclose())


async def test_a_stream_may_be_dropped_in_another_thread(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    handle = await client.create_sandbox(image=IMAGE)
    streams = [client.subscribe_sandbox_events(handle.sandbox_id)]
    await anext(streams[0])
    dropping = threading.Thread(target=streams.clear)
    dropping.start()
    await asyncio.to_thread(dropping.join)
    await asyncio.to_thread(daemon.wait_for_streams, 0)


async def test_a_cancelled_wait_ends_its_stream(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        create = asyncio.ensure_future(client.create_sandbox(image=IMAGE, sandbox_id="demo-1"))
        await asyncio.to_thread(daemon.wait_for_streams, 1)
        create.cancel()
        with pytest.raises(asyncio.CancelledError):
            await create
        await asyncio.to_thread(daemon.wait_for_streams, 0)
    # The daemon continues what it accepted, and the client stays usable.
    assert (await client.get_sandbox("demo-1")).sandbox_id == "demo-1"


async def test_a_cancelled_step_loses_no_event(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    handle = await client.create_sandbox(image=IMAGE)
    stream = client.subscribe_sandbox_events(handle.sandbox_id, include_current_snapshot=True)
    seen = [(await anext(stream)).sequence for _ in range(4)]
    for _ in range(2):
        step = asyncio.ensure_future(anext(stream))
        await asyncio.to_thread(daemon.wait_for_streams, 1)
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
    await client.delete_sandbox(handle.sandbox_id)
    async with stream:
        async for event in stream:
            seen.append(event.sequence)
            if event.event_type is SandboxEventType.SANDBOX_DELETED:
                break
    assert seen == [3, 1, 2, 3, 4, 5]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="3.10 cannot tell the two apart")
@pytest.mark.parametrize("close_first", [True, False])
async def test_a_cancelled_task_is_cancelled_even_while_closing(
    daemon: FakeDaemon, close_first: bool
) -> None:
    client = AgentsSandboxClient(daemon.socket_path)
    handle = await client.create_sandbox(image=IMAGE)
    stream = client.subscribe_sandbox_events(handle.sandbox_id, from_sequence=3)
    step = asyncio.ensure_future(anext(stream))
    await asyncio.to_thread(daemon.wait_for_streams, 1)
    if close_first:
        await stream.aclose()
        step.cancel()
    else:
        step.cancel()
        await client.aclose()
    with pytest.raises(asyncio.CancelledError):
        await step
    await client.aclose()


async def test_a_reader_that_is_cancelled_before_it_has_begun_is_replaced(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    handle = await client.create_sandbox(image=IMAGE)
    await asyncio.to_thread(daemon.wait_for_streams, 0)
    daemon.on_exec(("sleep",)).after(0.0).exit(0)
    created: list[str] = []

    def create(loop: asyncio.AbstractEventLoop, coroutine: Any, **arguments: Any) -> Any:
        task = asyncio.Task(coroutine, loop=loop, **arguments)
        # The coroutine that closes a generator has no name.
        name = getattr(coroutine, "__qualname__", "")
        if name == "_Feed._read" and not created:
            created.append(name)
            task.cancel()
        return task

    asyncio.get_running_loop().set_task_factory(create)
    with daemon.paused():
        run = asyncio.ensure_future(client.run(handle.sandbox_id, ("sleep",)))
        await asyncio.to_thread(daemon.wait_for_streams, 1)
    assert (await run).exit_code == 0
    assert created == ["_Feed._read"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="3.10 cannot tell the two apart")
async def test_a_task_that_was_cancelled_before_sees_the_closing(daemon: FakeDaemon) -> None:
    client = AgentsSandboxClient(daemon.socket_path)
    handle = await client.create_sandbox(image=IMAGE)
    stream = client.subscribe_sandbox_events(handle.sandbox_id, from_sequence=3)
    started = asyncio.Event()

    async def clean_up() -> tuple[list[SandboxEvent], type[BaseException]]:
        try:
            started.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            rest = [event async for event in stream]
            with pytest.raises(ClientClosedError) as caught:
                await client.run(handle.sandbox_id, ("sleep",))
            return rest, caught.type
        raise AssertionError

    daemon.on_exec(("sleep",)).never()
    await asyncio.to_thread(daemon.wait_for_streams, 0)
    cleaning = asyncio.ensure_future(clean_up())
    await started.wait()
    cleaning.cancel()
    await asyncio.to_thread(daemon.wait_for_streams, 1)
    await stream.aclose()
    await asyncio.to_thread(daemon.wait_for_call, "CreateExec")
    await asyncio.to_thread(daemon.wait_for_streams, 1)
    await client.aclose()
    assert await cleaning == ([], ClientClosedError)


async def test_nobody_pauses_once_the_client_is_closed(daemon: FakeDaemon) -> None:
    client = AgentsSandboxClient(daemon.socket_path)
    await client.aclose()
    await client._daemon.pause(3600)
