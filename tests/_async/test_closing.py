"""Closing ends everything that the client does, and nothing can begin after it.

Nothing here ends by itself: no call, pause or wait of these tests reaches a timeout.
"""

from __future__ import annotations

import math
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agents_sandbox import AgentsSandboxClient, ClientClosedError
from agents_sandbox._deadline import Backoff, Deadline
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop, step
from ..releases import any_release, each_dialect

pytestmark = each_dialect

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
NEVER = 3600.0


@pytest.fixture
async def client(daemon: FakeDaemon) -> AsyncIterator[AgentsSandboxClient]:
    """A client with a sandbox, whose calls may take forever."""
    daemon.on_exec(("sleep",)).never()
    async with AgentsSandboxClient(
        daemon.socket_path, timeout_seconds=NEVER, operation_timeout_seconds=math.inf
    ) as opened:
        await opened.create_sandbox(image=IMAGE, sandbox_id="demo-sandbox")
        await off_loop(daemon.wait_for_streams, 0)
        yield opened


@pytest.fixture
def pausing(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Make pauses endless; the event is set when one begins."""
    begun = threading.Event()

    def pause(backoff: Backoff, deadline: Deadline) -> float:
        begun.set()
        return NEVER

    monkeypatch.setattr(Backoff, "pause", pause)
    return begun


async def close(client: AgentsSandboxClient, daemon: FakeDaemon, *calls: Background) -> None:
    """Close the client during calls; they must report that and leave no stream behind."""
    await client.aclose()
    for call in calls:
        with pytest.raises(ClientClosedError, match="closed") as caught:
            await call.result()
        assert not caught.value.retryable
    await off_loop(daemon.wait_for_streams, 0)


def sleep(client: AgentsSandboxClient) -> Background:
    """Run a command that never ends."""
    return Background(client.run, "demo-sandbox", ("sleep",))


async def test_closing_ends_a_wait(client: AgentsSandboxClient, daemon: FakeDaemon) -> None:
    with daemon.paused():
        create = Background(client.create_sandbox, image=IMAGE)
        await off_loop(daemon.wait_for_streams, 1)
        await close(client, daemon, create)


async def test_closing_ends_all_waits_that_share_a_stream(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    first = sleep(client)
    await off_loop(daemon.wait_for_streams, 1)
    others = [sleep(client) for _ in range(3)]
    # Each has its first snapshot, or has requested it.
    await off_loop(daemon.wait_for_call, "GetExec", count=4)
    await close(client, daemon, first, *others)


async def test_closing_ends_a_step_in_progress(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    events = client.subscribe_sandbox_events("demo-sandbox", from_sequence=3)
    steps = [Background(step, events) for _ in range(2)]
    await off_loop(daemon.wait_for_streams, 1)
    await client.aclose()
    with pytest.raises(ClientClosedError):
        await steps[0].result()
    # The stream has ended with its first error.
    await off_loop(daemon.wait_for_streams, 0)
    assert [event async for event in events] == []


@pytest.mark.parametrize(
    ("method", "name", "arguments"),
    [
        ("Ping", "ping", {}),
        ("CreateSandbox", "create_sandbox", {"image": IMAGE}),
        ("GetSandbox", "get_sandbox", {"sandbox_id": "demo-sandbox"}),
        ("StopSandbox", "stop_sandbox", {"sandbox_id": "demo-sandbox"}),
        ("CreateExec", "run", {"sandbox_id": "demo-sandbox", "command": ("true",)}),
        ("DeleteSandboxes", "delete_sandboxes", {"label_selector": {"a": "b"}}),
    ],
)
async def test_closing_ends_a_call_that_is_not_answered(
    client: AgentsSandboxClient, daemon: FakeDaemon, method: str, name: str, arguments: Any
) -> None:
    count = sum(call.method == method for call in daemon.calls)
    with daemon.faults.delaying(NEVER, method=method):
        call = Background(getattr(client, name), **arguments)
        await off_loop(daemon.wait_for_call, method, count=count + 1)
        await close(client, daemon, call)


async def test_closing_ends_a_call_to_a_daemon_that_does_not_answer(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    async with AgentsSandboxClient(daemon.socket_path, timeout_seconds=NEVER) as other:
        with daemon.faults.half_open():
            calls = [Background(client.ping), Background(other.ping)]
            await close(client, daemon, calls[0])
            await close(other, daemon, calls[1])


async def test_closing_ends_the_detection_of_the_release_and_the_calls_that_wait_for_it(
    daemon: FakeDaemon,
) -> None:
    client = AgentsSandboxClient(daemon.socket_path, timeout_seconds=NEVER)
    with daemon.faults.delaying(NEVER, method="Ping"):
        asking = [Background(client.list_sandboxes) for _ in range(3)]
        await off_loop(daemon.wait_for_call, "Ping")
        await close(client, daemon, *asking)


@pytest.mark.parametrize("method", ["GetExec", "CreateExec"])
async def test_closing_ends_the_pause_before_a_call_is_repeated(
    client: AgentsSandboxClient, daemon: FakeDaemon, pausing: threading.Event, method: str
) -> None:
    daemon.faults.fail_next(method, code="UNAVAILABLE")
    call = sleep(client)
    await off_loop(pausing.wait)
    await close(client, daemon, call)


@pytest.mark.parametrize("how", ["drop_streams", "end_streams"])
async def test_closing_ends_the_pause_before_a_wait_continues(
    client: AgentsSandboxClient, daemon: FakeDaemon, pausing: threading.Event, how: str
) -> None:
    call = sleep(client)
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(getattr(daemon.faults, how))
    await off_loop(pausing.wait)
    await close(client, daemon, call)


@pytest.mark.parametrize("how", ["drop_streams", "end_streams"])
async def test_closing_ends_the_pause_before_a_stream_continues(
    client: AgentsSandboxClient, daemon: FakeDaemon, pausing: threading.Event, how: str
) -> None:
    events = client.subscribe_sandbox_events("demo-sandbox", from_sequence=3)
    taken = Background(step, events)
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(getattr(daemon.faults, how))
    await off_loop(pausing.wait)
    await close(client, daemon, taken)


async def test_closing_ends_the_pause_while_the_daemon_is_unavailable(
    client: AgentsSandboxClient, daemon: FakeDaemon, pausing: threading.Event
) -> None:
    calls = [sleep(client)]
    await off_loop(daemon.wait_for_streams, 1)
    events = client.subscribe_sandbox_events("demo-sandbox", from_sequence=4)
    calls.append(Background(step, events))
    await off_loop(daemon.wait_for_streams, 2)
    with daemon.down():
        await off_loop(pausing.wait)
        await close(client, daemon, *calls)


async def test_closing_a_stream_ends_its_search_for_the_daemon(
    client: AgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rest() -> list[int]:
        return [event.sequence async for event in events]

    searching = threading.Event()

    def pause(backoff: Backoff, deadline: Deadline) -> float:
        searching.set()
        return 0.01

    monkeypatch.setattr(Backoff, "pause", pause)
    events = client.subscribe_sandbox_events("demo-sandbox", from_sequence=3)
    reading = Background(rest)
    await off_loop(daemon.wait_for_streams, 1)
    with daemon.down():
        await off_loop(searching.wait)
        await events.aclose()
        assert await reading.result() == []


@any_release
async def test_after_it_every_call_is_refused(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    events = client.subscribe_sandbox_events("demo-sandbox")
    await step(events)
    await client.aclose()
    await client.aclose()
    before = daemon.calls
    for use in (
        client.ping,
        lambda: client.create_sandbox(image=IMAGE),
        lambda: client.get_sandbox("demo-sandbox"),
        client.list_sandboxes,
        lambda: client.resume_sandbox("demo-sandbox"),
        lambda: client.stop_sandbox("demo-sandbox"),
        lambda: client.delete_sandbox("demo-sandbox"),
        lambda: client.delete_sandboxes({"a": "b"}),
        lambda: client.create_exec("demo-sandbox", ("true",)),
        lambda: client.run("demo-sandbox", ("true",)),
        lambda: client.cancel_exec("my-exec"),
        lambda: client.get_exec("my-exec"),
        client.list_active_execs,
        lambda: step(client.subscribe_sandbox_events("demo-sandbox")),
        lambda: step(events),
    ):
        with pytest.raises(ClientClosedError, match="closed"):
            await use()
    await events.aclose()
    assert daemon.calls == before
    async with AgentsSandboxClient(daemon.socket_path) as another:
        await another.ping()
