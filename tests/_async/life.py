"""What the tests of the life cycle share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from agents_sandbox import AgentsSandboxClient, SandboxClientError, SandboxHandle
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop, step

ID = "demo-sandbox"


async def history(client: AgentsSandboxClient) -> list[str]:
    """The types of all events of the sandbox so far."""
    head = (await client.get_sandbox(ID)).last_event_sequence
    async with client.subscribe_sandbox_events(ID) as events:
        return [(await step(events)).event_type.name.removeprefix("SANDBOX_") for _ in range(head)]


async def outcome(call: Background) -> Any:
    """The result of a call, or its error."""
    try:
        return await call.result()
    except SandboxClientError as error:
        return error


def count(daemon: FakeDaemon, method: str) -> int:
    """How often a method was called."""
    return sum(call.method == method for call in daemon.calls)


async def restart(daemon: FakeDaemon) -> None:
    """Kill the daemon and start it again."""
    await off_loop(daemon.kill)
    await off_loop(daemon.start)


async def stop_through_a_restart(client: AgentsSandboxClient, daemon: FakeDaemon) -> SandboxHandle:
    """Stop the sandbox, with a daemon that loses the stop by a restart."""
    with daemon.paused():
        stop = Background(client.stop_sandbox, ID)
        await off_loop(daemon.wait_for_streams, 1)
        await restart(daemon)
        await off_loop(daemon.wait_for_call, "StopSandbox", count=2)
    stopped: SandboxHandle = await stop.result()
    return stopped


async def killed_under(
    daemon: FakeDaemon, function: Callable[..., Any], *args: Any, **kwargs: Any
) -> Background:
    """Start a call and kill the daemon as soon as the call follows the events."""
    with daemon.paused():
        call = Background(function, *args, **kwargs)
        await off_loop(daemon.wait_for_streams, 1)
        await off_loop(daemon.kill)
    return call


async def polled(client: AgentsSandboxClient) -> AsyncIterator[SandboxHandle]:
    """Read snapshots of the sandbox repeatedly."""
    while True:
        yield await client.get_sandbox(ID)


def subscriptions(daemon: FakeDaemon) -> list[int]:
    """The sequences from which events were requested."""
    calls = [call for call in daemon.calls if call.method == "SubscribeSandboxEvents"]
    return [call.request.from_sequence for call in calls]
