"""Both clients and the fake daemon work in a process whose gRPC is instrumented.

pytest gets this file by name, after one of the plugins beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    SandboxHandle,
    SandboxNotFoundError,
    SyncAgentsSandboxClient,
)
from agents_sandbox.testing import FakeDaemon

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
CALLS = {"Ping", "CreateSandbox", "CreateExec", "GetSandbox", "GetExec", "DeleteSandbox"}


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The libraries log nothing, such as of spans that end in another thread than they began."""
    yield
    # gRPC itself logs that a stream of the fake daemon was cancelled while it was written.
    logged = [record for record in caplog.get_records("call") if not record.name.startswith("grpc")]
    assert [(record.name, record.getMessage()) for record in logged] == []


def blocking_life(socket_path: str) -> SandboxHandle:
    with SyncAgentsSandboxClient(socket_path) as client:
        sandbox = client.create_sandbox(image=IMAGE)
        assert client.run(sandbox.sandbox_id, ("true",)).exit_code == 0
        for _ in client.subscribe_sandbox_events(sandbox.sandbox_id):
            break
        with pytest.raises(SandboxNotFoundError):
            client.get_sandbox("nowhere")
        with pytest.raises(SandboxNotFoundError):
            next(client.subscribe_sandbox_events("nowhere"))
        return client.delete_sandbox(sandbox.sandbox_id)


async def async_life(socket_path: str) -> SandboxHandle:
    async with AgentsSandboxClient(socket_path) as client:
        sandbox = await client.create_sandbox(image=IMAGE)
        assert (await client.run(sandbox.sandbox_id, ("true",))).exit_code == 0
        async for _ in client.subscribe_sandbox_events(sandbox.sandbox_id):
            break
        with pytest.raises(SandboxNotFoundError):
            await client.get_sandbox("nowhere")
        with pytest.raises(SandboxNotFoundError):
            await anext(client.subscribe_sandbox_events("nowhere"))
        return await client.delete_sandbox(sandbox.sandbox_id)


@pytest.mark.parametrize(
    "life", [blocking_life, lambda path: asyncio.run(async_life(path))], ids=["blocking", "async"]
)
def test_a_life_is_traced_and_leaves_nothing(
    daemon: FakeDaemon,
    trace_header: str,
    served: Callable[[], list[str]],
    life: Callable[[str], SandboxHandle],
) -> None:
    assert life(daemon.socket_path).state.name == "DELETED"
    daemon.wait_for_streams(0)
    traced = {call.method for call in daemon.calls if trace_header in dict(call.metadata)}
    assert traced >= CALLS
    assert {name.rpartition("/")[2] for name in served()} >= CALLS
