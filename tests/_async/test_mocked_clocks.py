"""Calls and waits take as long as they take while a test mocks the date."""

from __future__ import annotations

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    ExecState,
    OperationTimeoutError,
    SandboxHandle,
    SandboxState,
)
from agents_sandbox.testing import FakeDaemon

from ..clocks import Mock, each_mock
from ..releases import any_release

pytestmark = [any_release, each_mock]


async def test_calls_and_waits_end(
    client: AgentsSandboxClient, daemon: FakeDaemon, mocked: Mock
) -> None:
    with mocked():
        assert (await client.ping()).daemon == "agboxd"
        sandbox = await client.create_sandbox(image="a:1")
        assert (await client.run(sandbox.sandbox_id, ("true",))).state is ExecState.FINISHED
        async with client.subscribe_sandbox_events(sandbox.sandbox_id) as events:
            async for event in events:
                assert event.sequence == 1
                break
        assert (await client.delete_sandbox(sandbox.sandbox_id)).state is SandboxState.DELETED


async def test_a_wait_times_out(
    client: AgentsSandboxClient, daemon: FakeDaemon, sandbox: SandboxHandle, mocked: Mock
) -> None:
    daemon.on_exec(("sleep",)).never()
    with mocked(), pytest.raises(OperationTimeoutError):
        await client.run(sandbox.sandbox_id, ("sleep",), timeout_seconds=0.2)


async def test_a_call_without_an_answer_times_out(
    client: AgentsSandboxClient, daemon: FakeDaemon, mocked: Mock
) -> None:
    with mocked(), daemon.faults.half_open(), pytest.raises(OperationTimeoutError):
        await client.ping(timeout_seconds=0.2)
