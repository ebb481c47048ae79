"""Functions that are called with output: of both kinds in the async client, plain in the twin."""

from __future__ import annotations

import asyncio

import pytest

from agents_sandbox import AgentsSandboxClient, InvalidArgumentTypeError, SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

from .releases import any_release

pytestmark = any_release

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"


@pytest.fixture
def daemon(daemon: FakeDaemon) -> FakeDaemon:
    daemon.on_exec(("greet",)).stdout("hello").exit(0)
    return daemon


async def test_coroutine_functions_are_awaited(daemon: FakeDaemon) -> None:
    seen: list[str] = []

    async def remember(text: str) -> None:
        await asyncio.sleep(0)
        seen.append(text)

    async with AgentsSandboxClient(daemon.socket_path) as client:
        sandbox = await client.create_sandbox(image=IMAGE)
        await client.run(sandbox.sandbox_id, ("greet",), on_stdout=remember)
    assert seen == ["hello"]


def test_the_blocking_client_refuses_coroutine_functions(daemon: FakeDaemon) -> None:
    async def remember(_: str) -> None:
        raise AssertionError

    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        sandbox = client.create_sandbox(image=IMAGE)
        with pytest.raises(InvalidArgumentTypeError, match="must be plain functions"):
            client.run(sandbox.sandbox_id, ("greet",), on_stdout=remember)
