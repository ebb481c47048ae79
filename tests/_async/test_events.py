"""Subscribing to the events of a sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonUnavailableError,
    ExecState,
    InvalidArgumentError,
    OperationTimeoutError,
    SandboxEvent,
    SandboxEventType,
    SandboxHandle,
    SandboxNotFoundError,
    SandboxSequenceExpiredError,
    SandboxState,
    ServiceSpec,
)
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop
from ..releases import any_release, each_dialect, every_release

pytestmark = every_release


async def first(client: AgentsSandboxClient, count: int, **arguments: Any) -> list[SandboxEvent]:
    """The first so many events of the test's sandbox."""
    seen: list[SandboxEvent] = []
    async with client.subscribe_sandbox_events("demo-sandbox", **arguments) as events:
        async for event in events:
            seen.append(event)
            if len(seen) == count:
                break
    return seen


async def test_events_come_in_order_with_their_details(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("fail",)).exit(7)
    await client.run(sandbox.sandbox_id, ("fail",), exec_id="my-exec")
    events = await first(client, 5)
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
    assert [event.event_type.name for event in events] == [
        "SANDBOX_ACCEPTED",
        "SANDBOX_PREPARING",
        "SANDBOX_READY",
        "EXEC_STARTED",
        "EXEC_FAILED",
    ]
    assert {event.sandbox_id for event in events} == {"demo-sandbox"}
    assert events[0].event_id == "demo-sandbox-1"
    assert events[0].occurred_at is not None
    assert events[0].sandbox_state is SandboxState.PENDING
    assert events[1].sandbox_phase is not None
    assert events[1].sandbox_phase.phase == "materialize"
    assert events[2].sandbox_phase is None
    assert events[4].sandbox_state is SandboxState.UNSPECIFIED
    assert events[4].exec is not None
    assert (events[4].exec.exec_id, events[4].exec.exit_code) == ("my-exec", 7)
    assert events[4].exec.exec_state is ExecState.FAILED
    assert events[4].exec.error_code == "EXEC_RUN_FAILED"


async def test_events_of_services_name_the_service(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    redis = ServiceSpec("redis", "redis:7")
    await client.create_sandbox(image="a:1", sandbox_id="demo-sandbox", optional_services=[redis])
    events = await first(client, 4)
    services = [event for event in events if event.service is not None]
    assert [event.event_type for event in services] == [SandboxEventType.SANDBOX_SERVICE_READY]
    assert services[0].event_type is SandboxEventType.COMPANION_CONTAINER_READY
    assert services[0].service is not None
    assert services[0].service.service_name == "redis"
    assert services[0].companion_container is not None
    assert services[0].companion_container.name == "redis"


async def test_a_subscription_goes_on_after_from_sequence(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    assert [event.sequence for event in await first(client, 1, from_sequence=2)] == [3]
    with daemon.paused():
        handle = await client.create_exec(sandbox.sandbox_id, ("true",))
    (event,) = await first(client, 1, from_sequence=handle.last_event_sequence)
    assert event.event_type is SandboxEventType.EXEC_FINISHED


async def test_the_snapshot_comes_first_and_is_marked(
    client: AgentsSandboxClient, sandbox: SandboxHandle
) -> None:
    events = await first(client, 3, from_sequence=1, include_current_snapshot=True)
    assert [(event.sequence, event.snapshot) for event in events] == [
        (3, True),
        (2, False),
        (3, False),
    ]


@each_dialect
async def test_a_subscription_begins_with_its_first_step(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    events = client.subscribe_sandbox_events(sandbox.sandbox_id)
    await client.ping()
    assert [call.method for call in daemon.calls[4:]] == ["Ping"]
    async for _ in events:
        break
    assert daemon.calls[-1].method == "SubscribeSandboxEvents"


@each_dialect
async def test_breaking_out_ends_the_rpc(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    async for _ in client.subscribe_sandbox_events(sandbox.sandbox_id):
        break
    await off_loop(daemon.wait_for_streams, 0)


@each_dialect
async def test_a_stream_that_is_kept_goes_on_after_a_break(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    async with client.subscribe_sandbox_events(sandbox.sandbox_id) as events:
        async for event in events:
            assert event.sequence == 1
            break
        async for event in events:
            assert event.sequence == 2
            break
        assert daemon.open_streams == 1
    await off_loop(daemon.wait_for_streams, 0)


@each_dialect
async def test_steps_at_once_get_an_event_each(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    async def step() -> int:
        async for event in events:
            return event.sequence
        return 0

    async with client.subscribe_sandbox_events(sandbox.sandbox_id) as events:
        steps = [Background(step) for _ in range(5)]
        await client.delete_sandbox(sandbox.sandbox_id)
        assert sorted([await taken.result() for taken in steps]) == [1, 2, 3, 4, 5]


@each_dialect
async def test_closing_ends_the_rpc_and_the_iteration(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    events = client.subscribe_sandbox_events(sandbox.sandbox_id)
    async for _ in events:
        await events.aclose()
    await off_loop(daemon.wait_for_streams, 0)
    assert [event async for event in events] == []


@each_dialect
async def test_closing_ends_a_step_under_way(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    async def rest() -> list[SandboxEvent]:
        return [event async for event in events]

    events = client.subscribe_sandbox_events(sandbox.sandbox_id, from_sequence=3)
    reading = Background(rest)
    await off_loop(daemon.wait_for_streams, 1)
    await events.aclose()
    assert await reading.result() == []


@each_dialect
async def test_the_end_of_the_daemon_s_stream_ends_the_iteration(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    async def rest() -> list[SandboxEvent]:
        return [event async for event in events]

    events = client.subscribe_sandbox_events(sandbox.sandbox_id, from_sequence=3)
    reading = Background(rest)
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.faults.end_streams)
    assert await reading.result() == []


@each_dialect
async def test_a_lost_connection_is_an_error(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    reading = Background(first, client, 99)
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.faults.drop_streams)
    with pytest.raises(DaemonUnavailableError) as caught:
        await reading.result()
    assert caught.value.sandbox_id == sandbox.sandbox_id


@each_dialect
async def test_an_unknown_sandbox_has_no_events(client: AgentsSandboxClient) -> None:
    with pytest.raises(SandboxNotFoundError) as caught:
        await first(client, 1)
    assert caught.value.sandbox_id == "demo-sandbox"


@each_dialect
async def test_an_unknown_sequence_is_expired(
    client: AgentsSandboxClient, sandbox: SandboxHandle
) -> None:
    with pytest.raises(SandboxSequenceExpiredError) as caught:
        await first(client, 1, from_sequence=99)
    assert caught.value.sandbox_id == sandbox.sandbox_id
    assert caught.value.from_sequence == 99
    assert caught.value.oldest_sequence is None
    assert caught.value.reason == "SANDBOX_EVENT_SEQUENCE_EXPIRED"


@each_dialect
async def test_a_stream_lasts_no_longer_than_its_timeout(
    client: AgentsSandboxClient, sandbox: SandboxHandle
) -> None:
    with pytest.raises(OperationTimeoutError):
        await first(client, 99, timeout_seconds=0.2)


@any_release
@pytest.mark.parametrize("from_sequence", [-1, 2**64, True, "0", None])
async def test_a_bad_sequence_is_refused_at_once(
    client: AgentsSandboxClient, from_sequence: int
) -> None:
    with pytest.raises(InvalidArgumentError, match="from_sequence"):
        client.subscribe_sandbox_events("demo-sandbox", from_sequence=from_sequence)


@any_release
async def test_a_bad_timeout_is_refused_at_once(client: AgentsSandboxClient) -> None:
    with pytest.raises(InvalidArgumentError, match="timeout_seconds"):
        client.subscribe_sandbox_events("demo-sandbox", timeout_seconds=0)


async def test_what_a_newer_daemon_sends_does_not_hurt(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    not_yet: Any = 99
    strange = pb.SandboxEvent(event_type=not_yet, sandbox_state=not_yet)
    await off_loop(daemon.emit, sandbox.sandbox_id, strange)
    (event,) = await first(client, 1, from_sequence=3)
    assert event.event_type.name == "UNKNOWN_99"
    assert event.sandbox_state.value == 99
    stopped = await client.stop_sandbox(sandbox.sandbox_id)
    assert stopped.state is SandboxState.STOPPED
