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
    ProtocolError,
    SandboxEvent,
    SandboxEventType,
    SandboxHandle,
    SandboxNotFoundError,
    SandboxSequenceExpiredError,
    SandboxState,
    ServiceSpec,
    _deadline,
)
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop, step
from ..releases import any_release, each_dialect, every_release
from .life import subscriptions

pytestmark = every_release


async def first(client: AgentsSandboxClient, count: int, **arguments: Any) -> list[SandboxEvent]:
    """The first `count` events of the test's sandbox."""
    seen: list[SandboxEvent] = []
    async with client.subscribe_sandbox_events("demo-sandbox", **arguments) as events:
        async for event in events:
            seen.append(event)
            if len(seen) == count:
                break
    return seen


async def lose_streams(daemon: FakeDaemon, how: str) -> None:
    """Make the second to fourth opened streams get lost, and wait for the fifth."""
    for attempt in (2, 3, 4):
        await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=attempt)
        await off_loop(daemon.wait_for_streams, 1)
        await off_loop(getattr(daemon.faults, how))
    await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=5)


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


async def test_a_subscription_continues_after_from_sequence(
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
async def test_a_stream_that_is_kept_continues_after_a_break(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    async with client.subscribe_sandbox_events(sandbox.sandbox_id) as events:
        async for event in events:
            assert event.sequence == 1
            break
        async for event in events:
            assert event.sequence == 2
            break
        await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.wait_for_streams, 0)


@each_dialect
async def test_concurrent_steps_get_one_event_each(
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
@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("how", ["drop_streams", "end_streams"])
async def test_a_stream_continues_where_it_was_lost(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, how: str
) -> None:
    async def rest() -> list[int]:
        return [(await step(events)).sequence for _ in range(2)]

    async with client.subscribe_sandbox_events(sandbox.sandbox_id) as events:
        assert [(await step(events)).sequence for _ in range(3)] == [1, 2, 3]
        reading = Background(rest)
        await lose_streams(daemon, how)
        await client.delete_sandbox(sandbox.sandbox_id)
        assert await reading.result() == [4, 5]
    # The first subscription is that of the create.
    assert subscriptions(daemon)[1:5] == [0, 3, 3, 3]


@each_dialect
async def test_an_event_makes_the_pauses_short_again(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, pauses: list[float]
) -> None:
    async with client.subscribe_sandbox_events(sandbox.sandbox_id) as events:
        for _ in range(3):
            daemon.faults.fail_next("SubscribeSandboxEvents", code="UNAVAILABLE", times=2)
            with daemon.faults.dropping_streams(after=1, times=1):
                await step(events)
    assert pauses == [0.05, 0.1] + [0.05, 0.1, 0.2] * 2


@each_dialect
@pytest.mark.unshared
@pytest.mark.parametrize("how", ["drop_streams", "end_streams"])
async def test_the_loss_of_a_stream_that_has_lasted_is_a_new_trouble(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    monkeypatch.setattr(_deadline, "STEADY_SECONDS", 0.0)
    reading = Background(first, client, 1, from_sequence=3)
    await lose_streams(daemon, how)
    await client.delete_sandbox(sandbox.sandbox_id)
    assert [event.sequence for event in await reading.result()] == [4]
    assert pauses[:3] == [0.05, 0.05, 0.05]


@each_dialect
async def test_a_stream_survives_a_restart_of_the_daemon(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    reading = Background(first, client, 5)
    await client.create_exec(sandbox.sandbox_id, ("sleep",))
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.kill)
    await off_loop(daemon.start)
    events = await reading.result()
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
    assert events[4].exec is not None
    assert events[4].exec.error_code == "DAEMON_RESTARTED"


@each_dialect
async def test_a_client_that_only_follows_events_survives_a_restart_of_the_daemon(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    async with (
        AgentsSandboxClient(daemon.socket_path) as follower,
        follower.subscribe_sandbox_events(sandbox.sandbox_id) as events,
    ):
        assert [(await step(events)).sequence for _ in range(3)] == [1, 2, 3]
        with daemon.down(), pytest.raises(DaemonUnavailableError):
            await follower.ping(timeout_seconds=0.1)
        await client.delete_sandbox(sandbox.sandbox_id)
        assert [(await step(events)).sequence for _ in range(2)] == [4, 5]


@each_dialect
async def test_a_stream_does_not_wait_forever_for_a_daemon_that_stays_unavailable(
    daemon: FakeDaemon,
) -> None:
    async with AgentsSandboxClient(daemon.socket_path, operation_timeout_seconds=0.3) as client:
        sandbox = await client.create_sandbox(
            image="a:1", sandbox_id="demo-sandbox", timeout_seconds=9
        )
        await off_loop(daemon.wait_for_streams, 0)
        reading = Background(first, client, 99)
        await off_loop(daemon.wait_for_streams, 1)
        await off_loop(daemon.kill)
        with pytest.raises(DaemonUnavailableError, match="nothing listens") as caught:
            await reading.result()
        assert caught.value.socket_path == daemon.socket_path
        assert sandbox.sandbox_id == "demo-sandbox"


@each_dialect
async def test_a_stream_gives_up_at_its_deadline_while_the_daemon_is_unavailable(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    reading = Background(first, client, 99, timeout_seconds=0.5)
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.kill)
    with pytest.raises(OperationTimeoutError) as caught:
        await reading.result()
    assert (caught.value.timeout_seconds, caught.value.sandbox_id) == (0.5, sandbox.sandbox_id)


@each_dialect
@pytest.mark.parametrize("never", [1, 2, 3])
async def test_a_gap_is_an_error_with_its_place(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, never: int
) -> None:
    await client.create_exec(sandbox.sandbox_id, ("true",))
    events = client.subscribe_sandbox_events(sandbox.sandbox_id)
    with daemon.faults.skipping_events(lambda event: event.sequence == never):
        for sequence in range(1, never):
            assert (await step(events)).sequence == sequence
        with pytest.raises(SandboxSequenceExpiredError) as caught:
            await step(events)
    assert caught.value.sandbox_id == sandbox.sandbox_id
    assert (caught.value.from_sequence, caught.value.oldest_sequence) == (never - 1, never + 1)
    (event,) = await first(client, 1, from_sequence=never)
    assert event.sequence == never + 1


@each_dialect
async def test_duplicates_are_not_delivered(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with daemon.faults.duplicating_events() as fault:
        await client.run(sandbox.sandbox_id, ("true",))
        events = await first(client, 5, include_current_snapshot=True)
    assert [(event.sequence, event.snapshot) for event in events] == [
        (5, True),
        (1, False),
        (2, False),
        (3, False),
        (4, False),
    ]
    assert fault.hits > 0


@each_dialect
@pytest.mark.usefixtures("pauses")
async def test_a_snapshot_is_delivered_once_and_is_no_news(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    for name in ("exec-1", "exec-2"):
        await client.create_exec(sandbox.sandbox_id, ("sleep",), exec_id=name)
    # It is lost within the snapshot, after it, and once more after that.
    with daemon.faults.dropping_streams(after=2, times=3) as fault:
        events = await first(client, 6, from_sequence=2, include_current_snapshot=True)
    assert fault.hits == 3
    assert sorted(event.event_id for event in events[:3]) == [
        "demo-sandbox-5",
        "demo-sandbox-snapshot-exec-1",
        "demo-sandbox-snapshot-exec-2",
    ]
    assert [(event.sequence, event.snapshot) for event in events] == [
        (5, True),
        (5, True),
        (5, True),
        (3, False),
        (4, False),
        (5, False),
    ]


@each_dialect
async def test_a_snapshot_that_was_not_requested_is_refused(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    await off_loop(daemon.emit, sandbox.sandbox_id, pb.SandboxEvent(snapshot=True))
    with pytest.raises(ProtocolError, match="a snapshot that was not requested"):
        await first(client, 9)


@each_dialect
@pytest.mark.usefixtures("pauses")
async def test_the_stream_of_a_purged_sandbox_is_over(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    async def rest() -> list[SandboxEvent]:
        return [event async for event in events]

    await client.delete_sandbox(sandbox.sandbox_id)
    await off_loop(daemon.wait_for_streams, 0)
    events = client.subscribe_sandbox_events(sandbox.sandbox_id, from_sequence=5)
    reading = Background(rest)
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.purge, sandbox.sandbox_id)
    if daemon.version == "0.4.3":
        assert await reading.result() == []
    else:
        with pytest.raises(SandboxNotFoundError) as caught:
            await reading.result()
        assert caught.value.sandbox_id == sandbox.sandbox_id
    assert await rest() == [], "it stays over"


@each_dialect
async def test_without_resume_a_lost_connection_is_an_error(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    reading = Background(first, client, 99, resume=False)
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.faults.drop_streams)
    with pytest.raises(DaemonUnavailableError) as caught:
        await reading.result()
    assert caught.value.sandbox_id == sandbox.sandbox_id


@each_dialect
async def test_without_resume_the_end_of_the_daemon_s_stream_ends_the_iteration(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    async def rest() -> list[SandboxEvent]:
        return [event async for event in events]

    events = client.subscribe_sandbox_events(sandbox.sandbox_id, from_sequence=3, resume=False)
    reading = Background(rest)
    await off_loop(daemon.wait_for_streams, 1)
    await off_loop(daemon.faults.end_streams)
    assert await reading.result() == []


@each_dialect
async def test_a_silent_daemon_is_pinged(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_deadline, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(_deadline, "STEADY_SECONDS", 0.01)
    pings = sum(call.method == "Ping" for call in daemon.calls)
    reading = Background(first, client, 2, from_sequence=3)
    await off_loop(daemon.wait_for_call, "Ping", count=pings + 3)
    await client.delete_sandbox(sandbox.sandbox_id)
    assert [event.sequence for event in await reading.result()] == [4, 5]


@each_dialect
async def test_a_daemon_that_stops_answering_is_noticed(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_deadline, "SILENCE_SECONDS", 0.05)
    async with AgentsSandboxClient(
        daemon.socket_path, timeout_seconds=0.1, operation_timeout_seconds=0.3
    ) as client:
        await client.create_sandbox(image="a:1", sandbox_id="demo-sandbox", timeout_seconds=9)
        await off_loop(daemon.wait_for_streams, 0)
        reading = Background(first, client, 99)
        await off_loop(daemon.wait_for_streams, 1)
        with (
            daemon.faults.half_open(),
            pytest.raises(DaemonUnavailableError, match="does not answer") as caught,
        ):
            await reading.result()
        assert isinstance(caught.value.__cause__, OperationTimeoutError)


@each_dialect
async def test_a_stream_that_times_out_before_its_deadline(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, pauses: list[float]
) -> None:
    daemon.faults.fail_next("SubscribeSandboxEvents", code="DEADLINE_EXCEEDED", times=3)
    assert [event.sequence for event in await first(client, 3)] == [1, 2, 3]
    assert pauses == [0.05, 0.1, 0.2]


@any_release
async def test_a_flag_that_is_none_is_refused_immediately(client: AgentsSandboxClient) -> None:
    no: Any = "no"
    with pytest.raises(InvalidArgumentError, match="resume"):
        client.subscribe_sandbox_events("demo-sandbox", resume=no)


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
async def test_a_bad_sequence_is_refused_immediately(
    client: AgentsSandboxClient, from_sequence: int
) -> None:
    with pytest.raises(InvalidArgumentError, match="from_sequence"):
        client.subscribe_sandbox_events("demo-sandbox", from_sequence=from_sequence)


@any_release
async def test_a_bad_timeout_is_refused_immediately(client: AgentsSandboxClient) -> None:
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
