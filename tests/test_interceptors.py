"""Tracing libraries put interceptors into every client and server: both work all the same.

Here are the kinds of interceptors that disturbed it; `tests/instrumented` runs the libraries.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import grpc
import grpc.aio
import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    ClientClosedError,
    SandboxNotFoundError,
    SyncAgentsSandboxClient,
    _aio,
)
from agents_sandbox._aio import channel as channels
from agents_sandbox._aio.homes import Home
from agents_sandbox.testing import FakeDaemon

from ._blocking import Background
from .releases import any_release

pytestmark = any_release

NEVER = 3600.0
IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"


class Generating(grpc.UnaryStreamClientInterceptor):
    """Turns the calls of streams into generators, as OpenTelemetry does."""

    def intercept_unary_stream(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        yield from continuation(client_call_details, request)


class Iterating(grpc.aio.ServerInterceptor):
    """Iterates over the answers of streams, as OpenTelemetry and Sentry do."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        if not handler.response_streaming:
            return handler

        async def iterate(request: Any, context: Any) -> AsyncIterator[Any]:
            async for answer in handler.unary_stream(request, context):
                yield answer

        return grpc.unary_stream_rpc_method_handler(
            iterate, handler.request_deserializer, handler.response_serializer
        )


@pytest.fixture
def intercepted_client(monkeypatch: pytest.MonkeyPatch) -> None:
    make = grpc.insecure_channel

    def intercepted(*args: Any, **kwargs: Any) -> grpc.Channel:
        return grpc.intercept_channel(make(*args, **kwargs), Generating(), Generating())

    monkeypatch.setattr(grpc, "insecure_channel", intercepted)


@pytest.fixture
def intercepted_daemon(monkeypatch: pytest.MonkeyPatch, release: str) -> Iterator[FakeDaemon]:
    make = grpc.aio.server

    def intercepted(**kwargs: Any) -> grpc.aio.Server:
        return make(interceptors=[Iterating()], **kwargs)

    monkeypatch.setattr(grpc.aio, "server", intercepted)
    with FakeDaemon(version=release) as running:
        yield running
        running.assert_no_leaks()


@pytest.mark.usefixtures("intercepted_client")
def test_waits_and_streams_of_the_blocking_client_end(daemon: FakeDaemon) -> None:
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        sandbox_id = client.create_sandbox(image=IMAGE).sandbox_id
        assert client.run(sandbox_id, ("true",)).exit_code == 0
        for event in client.subscribe_sandbox_events(sandbox_id):
            assert event.sequence == 1
            break
        daemon.wait_for_streams(0)


@pytest.mark.usefixtures("intercepted_client")
def test_a_close_ends_a_stream_that_another_thread_reads(daemon: FakeDaemon) -> None:
    client = SyncAgentsSandboxClient(daemon.socket_path)
    sandbox_id = client.create_sandbox(image=IMAGE).sandbox_id
    head = client.get_sandbox(sandbox_id).last_event_sequence
    events = client.subscribe_sandbox_events(sandbox_id, from_sequence=head)
    reading = Background(next, events)
    daemon.wait_for_streams(1)
    client.close()
    with pytest.raises(ClientClosedError):
        reading.result()
    daemon.wait_for_streams(0)


async def test_a_stream_of_the_async_client_ends_as_older_grpc_ends_it() -> None:
    class Intercepted:
        """What gRPC 1.62 makes of a call with interceptors, at its clean end."""

        async def read(self) -> bytes:
            raise StopAsyncIteration

        def cancel(self) -> None:
            pass

    channel, call, home = _aio.Channel(lambda: "unix:nowhere"), Intercepted(), Home()
    assert await _aio.Stream(channel, cast("Any", call), home).read() is None


class Awaiting(grpc.aio.UnaryUnaryClientInterceptor):
    """Awaits the end of a call, as Sentry does: gRPC does not cancel what an interceptor awaits."""

    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: Any, request: Any
    ) -> Any:
        call = await continuation(client_call_details, request)
        await call.code()
        return call


async def test_a_close_ends_a_call_that_an_interceptor_awaits(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = grpc.aio.insecure_channel

    def intercepted(target: str, options: Any) -> grpc.aio.Channel:
        return make(target, options, interceptors=[Awaiting()])

    monkeypatch.setattr(grpc.aio, "insecure_channel", intercepted)
    monkeypatch.setattr(channels, "_SETTLING_SECONDS", math.inf)
    client = AgentsSandboxClient(daemon.socket_path, timeout_seconds=NEVER)
    with daemon.faults.delaying(NEVER, method="Ping"):
        call = asyncio.ensure_future(client.ping())
        await asyncio.to_thread(daemon.wait_for_call, "Ping")
        await client.aclose()  # it waits until gRPC has ended the call
    with pytest.raises(ClientClosedError):
        await call


def test_event_streams_of_the_daemon_pass_through(intercepted_daemon: FakeDaemon) -> None:
    with SyncAgentsSandboxClient(intercepted_daemon.socket_path) as client:
        sandbox_id = client.create_sandbox(image=IMAGE).sandbox_id
        with client.subscribe_sandbox_events(sandbox_id) as events:
            assert [next(events).sequence for _ in range(3)] == [1, 2, 3]
            intercepted_daemon.faults.drop_streams()
            client.delete_sandbox(sandbox_id)
            assert next(events).sequence == 4


async def test_refusals_of_streams_pass_through(intercepted_daemon: FakeDaemon) -> None:
    async with AgentsSandboxClient(intercepted_daemon.socket_path) as client:
        with pytest.raises(SandboxNotFoundError):
            await anext(client.subscribe_sandbox_events("nowhere"))
