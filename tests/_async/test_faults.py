"""How the client handles the faults that the fake daemon can inject."""

from __future__ import annotations

from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonUnavailableError,
    ExecState,
    OperationTimeoutError,
    SandboxClientError,
    SandboxHandle,
    SandboxState,
    ServiceSpec,
)
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop
from ..releases import every_release
from .conftest import IMAGE
from .life import ID, polled

pytestmark = every_release


async def test_a_wait_survives_streams_that_drop_again_and_again(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    # A service adds an event, so neither of the dropped streams is the last one.
    services = [ServiceSpec("redis", "redis:7")]
    with daemon.faults.dropping_streams(after=1, times=2) as fault, daemon.paused() as pause:
        creating = Background(client.create_sandbox, image=IMAGE, optional_services=services)
        await off_loop(daemon.wait_for_streams, 1)
        for streams in (2, 3):
            await off_loop(pause.step)
            await off_loop(daemon.wait_for_call, "SubscribeSandboxEvents", count=streams)
    sandbox = await creating.result()
    assert sandbox.state is SandboxState.READY
    assert fault.hits == 2


async def test_a_wait_survives_events_that_come_twice_or_never(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    faults = daemon.faults
    with (
        faults.duplicating_events() as twice,
        faults.skipping_events(lambda event: event.sequence == 2) as never,
    ):
        sandbox = await client.create_sandbox(image=IMAGE)
    assert sandbox.state is SandboxState.READY
    assert (twice.hits, never.hits) == (1, 1)


async def test_a_wait_notices_a_gap_where_the_event_it_waits_for_was(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.faults.skipping_events(lambda event: event.event_type == pb.SANDBOX_READY) as lost:
        with daemon.paused():
            creating = Background(client.create_sandbox, image=IMAGE, sandbox_id=ID)
            await off_loop(daemon.wait_for_streams, 1)
        async for seen in polled(client):
            if seen.state is SandboxState.READY:
                break
        # Its events do not concern a wait for READY, but follow after the gap.
        await client.run(ID, ("true",))
        assert (await creating.result()).state is SandboxState.READY
    assert lost.hits == 1


async def test_waits_survive_chaos(client: AgentsSandboxClient, daemon: FakeDaemon) -> None:
    daemon.on_exec(("fail",)).exit(3)
    with daemon.faults.chaos(20, duplicate=0.3, drop=0.3) as chaos:
        sandbox = await client.create_sandbox(image=IMAGE)
        for _ in range(5):
            result = await client.run(sandbox.sandbox_id, ("fail",))
            assert (result.state, result.exit_code) == (ExecState.FAILED, 3)
    assert chaos.counts["duplicate"] > 0
    assert chaos.counts["drop"] > 0


async def test_a_lost_answer_leaves_a_sandbox_behind(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.faults.losing_answers(method="CreateSandbox"):
        with pytest.raises(DaemonUnavailableError):
            await client.create_sandbox(image=IMAGE, sandbox_id="demo-sandbox")
        assert (await client.get_sandbox("demo-sandbox")).sandbox_id == "demo-sandbox"


async def test_a_half_open_daemon_times_out(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with daemon.faults.half_open(), pytest.raises(OperationTimeoutError):
        await client.get_sandbox(sandbox.sandbox_id, timeout_seconds=0.1)
    assert await client.get_sandbox(sandbox.sandbox_id) == sandbox


@pytest.mark.parametrize("kind", ["truncated", "wrong_type", "not_utf8", "noise"])
async def test_without_details_the_code_speaks(
    client: AgentsSandboxClient, daemon: FakeDaemon, kind: Any
) -> None:
    with daemon.faults.malformed_details(kind), pytest.raises(SandboxClientError) as caught:
        await client.get_sandbox("ghost")
    assert (caught.value.code, caught.value.reason) == ("NOT_FOUND", None)
