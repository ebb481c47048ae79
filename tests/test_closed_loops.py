"""A closed async client leaves nothing in its loop, and nothing that a later loop would log."""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from weakref import ref

import pytest
import uvloop

from agents_sandbox import (
    AgentsSandboxClient,
    AsyncSandboxEventStream,
    ClientClosedError,
    PingInfo,
)
from agents_sandbox._aio import channel
from agents_sandbox._surroundings.grpc_loop import GrpcLoop
from agents_sandbox.testing import FakeDaemon

from .releases import any_release

pytestmark = any_release

NewLoop = Callable[[], asyncio.AbstractEventLoop]
Calls = set["asyncio.Task[PingInfo]"]
Use = Callable[[AgentsSandboxClient], Coroutine[Any, Any, Calls]]

either_loop = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """asyncio logs nothing but what it does with older gRPC and a daemon in the same process."""
    yield
    gc.collect()
    records = [record for record in caplog.get_records("call") if record.name == "asyncio"]
    assert [record for record in records if "BlockingIOError" not in str(record.exc_info)] == []


async def leave_a_stream(client: AgentsSandboxClient) -> Calls:
    sandbox = await client.create_sandbox(image="a:1")
    async for _ in client.subscribe_sandbox_events(sandbox.sandbox_id):
        break
    return set()


async def cancel_calls(client: AgentsSandboxClient) -> Calls:
    await client.ping()
    calls = {asyncio.ensure_future(client.ping()) for _ in range(5)}
    for _ in range(3):
        await asyncio.sleep(0)  # a turn of the loop, not time
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    return set()


async def leave_an_unanswered_call(client: AgentsSandboxClient) -> Calls:
    await client.ping()
    call = asyncio.ensure_future(client.ping())
    await asyncio.sleep(0)  # a turn of the loop, not time
    return {call}


@either_loop
@pytest.mark.parametrize("use", [leave_a_stream, cancel_calls, leave_an_unanswered_call])
def test_a_closed_client_leaves_nothing_in_its_loop(
    daemon: FakeDaemon, new_loop: NewLoop, use: Use
) -> None:
    async def live() -> None:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            calls = await use(client)
            grpc_loop = grpc_loop_of(client)
        assert grpc_loop._futures == set()
        assert asyncio.all_tasks() - calls == {asyncio.current_task()}
        for call in calls:
            with pytest.raises(ClientClosedError):
                await call

    for _ in range(20):
        run(new_loop(), live())


def run(loop: asyncio.AbstractEventLoop, use: Coroutine[Any, Any, None]) -> None:
    """Run it and close the loop; nothing that is left gets another turn."""
    try:
        loop.run_until_complete(use)
    finally:
        loop.close()


def grpc_loop_of(client: AgentsSandboxClient) -> GrpcLoop:
    return client._daemon._transport._channel._grpc_loop


@either_loop
def test_a_daemon_that_does_not_answer_holds_up_no_close(
    daemon: FakeDaemon, new_loop: NewLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "_SETTLING_SECONDS", math.inf)

    async def live() -> None:
        async with AgentsSandboxClient(daemon.socket_path) as client:
            sandbox = await client.create_sandbox(image="a:1")
            with daemon.faults.half_open():
                call = asyncio.ensure_future(client.ping())
                step = asyncio.ensure_future(
                    anext(client.subscribe_sandbox_events(sandbox.sandbox_id, from_sequence=3))
                )
                await asyncio.to_thread(daemon.wait_for_call, "Ping", count=2)
                await asyncio.to_thread(daemon.wait_for_call, "SubscribeSandboxEvents", count=2)
                await client.aclose()
        for ended in (call, step):
            with pytest.raises(ClientClosedError):
                await ended

    run(new_loop(), live())


async def test_a_cancelled_close_has_closed_the_client(daemon: FakeDaemon) -> None:
    client = AgentsSandboxClient(daemon.socket_path)
    sandbox = await client.create_sandbox(image="a:1")
    step = asyncio.ensure_future(
        anext(client.subscribe_sandbox_events(sandbox.sandbox_id, from_sequence=3))
    )
    await asyncio.to_thread(daemon.wait_for_streams, 1)
    closing = asyncio.ensure_future(client.aclose())
    await asyncio.sleep(0)
    assert not closing.done()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    with pytest.raises(ClientClosedError):
        await step
    with pytest.raises(ClientClosedError):
        await client.ping()
    await client.aclose()
    await asyncio.to_thread(daemon.wait_for_streams, 0)


async def test_each_of_two_closes_waits_until_grpc_is_done(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "_SETTLING_SECONDS", math.inf)
    client = AgentsSandboxClient(daemon.socket_path)
    sandbox = await client.create_sandbox(image="a:1")
    grpc_loop = grpc_loop_of(client)
    steps = [
        asyncio.ensure_future(
            anext(client.subscribe_sandbox_events(sandbox.sandbox_id, from_sequence=3))
        )
        for _ in range(3)
    ]
    await asyncio.to_thread(daemon.wait_for_streams, 3)

    async def close() -> None:
        await client.aclose()
        assert not grpc_loop._futures
        assert not grpc_loop._running()

    await asyncio.gather(close(), close())
    for step in steps:
        with pytest.raises(ClientClosedError):
            await step


async def test_a_close_does_not_wait_forever_for_what_somebody_keeps(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "_SETTLING_SECONDS", 0.0)
    async with AgentsSandboxClient(daemon.socket_path) as client:
        await client.ping()
        kept = grpc_loop_of(client).create_future()
    assert not kept.done()
    del kept


async def test_settling_may_be_repeated() -> None:
    loop = GrpcLoop(asyncio.get_running_loop())
    assert loop.time() <= asyncio.get_running_loop().time()
    kept = loop.create_future()
    await loop.settle(0.0)
    del kept
    loop.create_future()  # and it is gone
    await loop.settle(math.inf)


async def test_settling_waits_for_the_result_of_a_cancelled_call() -> None:
    running = asyncio.get_running_loop()
    loop = GrpcLoop(running)
    kept = [loop.create_future()]
    kept[0].cancel()
    running.call_soon(running.call_soon, kept.clear)
    await loop.settle(math.inf)
    assert not kept


async def test_settling_does_not_wait_for_what_is_gone_just_then() -> None:
    loop = GrpcLoop(asyncio.get_running_loop())
    gone = ref(asyncio.get_running_loop().create_future())
    await loop._end_of(gone, math.inf)


async def test_what_is_made_at_the_opening_is_no_part_of_a_call() -> None:
    loop = GrpcLoop(asyncio.get_running_loop())
    kept = loop.open(lambda: asyncio.get_running_loop().create_future())
    await loop.settle(math.inf)
    assert not kept.done()


def test_what_an_open_client_left_is_not_logged_by_a_later_loop(daemon: FakeDaemon) -> None:
    client = AgentsSandboxClient(daemon.socket_path)

    async def leave_a_stream_open() -> None:
        sandbox = await client.create_sandbox(image="a:1")
        streams.append(client.subscribe_sandbox_events(sandbox.sandbox_id))
        await anext(streams[0])

    async def live_on() -> None:
        await client.ping()  # the client cancels what the other loop left
        await asyncio.to_thread(daemon.wait_for_streams, 0)
        await client.aclose()

    streams: list[AsyncSandboxEventStream] = []
    asyncio.run(leave_a_stream_open())
    asyncio.run(live_on())


def test_a_client_that_outlives_its_loop_can_be_closed(daemon: FakeDaemon) -> None:
    client = AgentsSandboxClient(daemon.socket_path)
    streams: list[AsyncSandboxEventStream] = []

    async def leave_a_stream_open() -> None:
        sandbox = await client.create_sandbox(image="a:1")
        streams.append(client.subscribe_sandbox_events(sandbox.sandbox_id))
        await anext(streams[0])

    asyncio.run(leave_a_stream_open())
    asyncio.run(client.aclose())
    daemon.wait_for_streams(0)


async def test_a_call_whose_coroutine_was_closed_is_forgotten_when_it_ends(
    daemon: FakeDaemon,
) -> None:
    async with AgentsSandboxClient(daemon.socket_path) as client:
        await client.ping()
        calling: Any = client.ping()
        calling.send(None)  # as whoever drives coroutines by hand does
        calling.close()
        (call,) = client._daemon._transport._channel._calls
        ended = asyncio.get_running_loop().create_future()
        call.add_done_callback(ended.set_result)
        await ended
        assert not client._daemon._transport._channel._calls


async def test_what_the_core_calls_lives_until_all_parts_of_calls_are_completed() -> None:
    """The core has no reference to it: the process crashed when a loop was closed in a call."""

    def make() -> tuple[ref[GrpcLoop], asyncio.Future[Any]]:
        grpc_loop = GrpcLoop(asyncio.get_running_loop())
        return ref(grpc_loop), grpc_loop.create_future()

    def open_another() -> None:
        GrpcLoop(asyncio.get_running_loop()).open(object)

    grpc_loop, future = make()
    open_another()
    assert grpc_loop() is not None
    del future
    open_another()
    assert grpc_loop() is None
