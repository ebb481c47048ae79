"""A daemon that starts or runs while a test mocks the date goes by the real one."""

from __future__ import annotations

import time

import pytest
from freezegun import freeze_time

from agents_sandbox import AgentsSandboxClient, SandboxState, SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

from ..clocks import FUTURE, PAST, Mock, each_mock


@each_mock
def test_retention_goes_by_the_real_time(mocked: Mock) -> None:
    now = time.time()
    with FakeDaemon() as daemon, SyncAgentsSandboxClient(daemon.socket_path) as client:
        older = client.create_sandbox(image="a:1").sandbox_id
        stopped = client.create_sandbox(image="a:1").sandbox_id
        client.stop_sandbox(stopped)
        with mocked():
            newer = client.create_sandbox(image="a:1").sandbox_id
            daemon._engine.call(daemon._engine._service.retention.sweep)
        daemon._engine.call(daemon._engine._service.retention.sweep)
        states = {box.sandbox_id: box.state for box in client.list_sandboxes()}
        assert states == {
            older: SandboxState.READY,
            newer: SandboxState.READY,
            stopped: SandboxState.STOPPED,
        }
        created = client.get_sandbox(newer).created_at
    assert created is not None
    assert now - 1 < created.timestamp() < now + 100


@pytest.mark.parametrize("date", [PAST, FUTURE])
def test_delays_end_while_the_timers_of_other_loops_stand_still(date: str) -> None:
    with (
        freeze_time(date),
        FakeDaemon(ready_delay=0.01, stop_delay=0.01) as daemon,
        SyncAgentsSandboxClient(daemon.socket_path) as client,
    ):
        sandbox_id = client.create_sandbox(image="a:1").sandbox_id
        assert client.stop_sandbox(sandbox_id).state is SandboxState.STOPPED


@pytest.mark.parametrize("date", [PAST, FUTURE])
async def test_what_needs_no_timer_of_the_frozen_loop_ends(date: str, daemon: FakeDaemon) -> None:
    with freeze_time(date):
        async with AgentsSandboxClient(daemon.socket_path) as client:
            sandbox_id = (await client.create_sandbox(image="a:1")).sandbox_id
            assert (await client.delete_sandbox(sandbox_id)).state is SandboxState.DELETED


@pytest.mark.parametrize("date", [PAST, FUTURE])
def test_grpc_counts_the_time_remaining_from_the_mocked_date(date: str, daemon: FakeDaemon) -> None:
    with SyncAgentsSandboxClient(daemon.socket_path, timeout_seconds=5) as client:
        with freeze_time(date):
            client.ping()
        with freeze_time(date, ignore=["agents_sandbox"]):
            client.ping()
        mocked, real = (call.time_remaining or 0.0 for call in daemon.calls)
        assert not 0 < mocked < 60
        assert 0 < real < 60
