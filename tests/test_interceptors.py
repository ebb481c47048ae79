"""Tracing libraries put interceptors into every server: the fake daemon works all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    SandboxNotFoundError,
    SyncAgentsSandboxClient,
)
from agents_sandbox.testing import FakeDaemon

from .releases import any_release

pytestmark = any_release

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"


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
def intercepted_daemon(monkeypatch: pytest.MonkeyPatch, release: str) -> Iterator[FakeDaemon]:
    make = grpc.aio.server

    def intercepted(**kwargs: Any) -> grpc.aio.Server:
        return make(interceptors=[Iterating()], **kwargs)

    monkeypatch.setattr(grpc.aio, "server", intercepted)
    with FakeDaemon(version=release) as running:
        yield running
        running.assert_no_leaks()


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
