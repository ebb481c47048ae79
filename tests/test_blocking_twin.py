"""Tests for the blocking client only: threads, running loops and Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from agents_sandbox import ExecState, SandboxState, SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

from .interrupting import ctrl_c
from .releases import each_dialect

pytestmark = each_dialect

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"


@pytest.fixture
def client(daemon: FakeDaemon) -> Iterator[SyncAgentsSandboxClient]:
    with SyncAgentsSandboxClient(daemon.socket_path) as opened:
        yield opened


async def test_it_works_inside_of_a_running_loop(client: SyncAgentsSandboxClient) -> None:
    handle = client.create_sandbox(image=IMAGE)
    assert client.run(handle.sandbox_id, ("true",)).state is ExecState.FINISHED


def test_threads_share_one_client(client: SyncAgentsSandboxClient, daemon: FakeDaemon) -> None:
    def live(number: int) -> SandboxState:
        handle = client.create_sandbox(image=IMAGE, sandbox_id=f"thread-{number}")
        client.run(handle.sandbox_id, ("true",))
        return client.delete_sandbox(handle.sandbox_id).state

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(live, range(24))) == {SandboxState.DELETED}


def waits_for_an_event(stack: list[str]) -> bool:
    return "take" in stack[:3] or (stack[0] == "pass_through" and "read" in stack)


def test_an_interrupted_wait_ends_its_stream(
    client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.paused(), ctrl_c(waits_for_an_event):
        client.create_sandbox(image=IMAGE, sandbox_id="demo-1")
    daemon.wait_for_streams(0)
    assert client.get_sandbox("demo-1").sandbox_id == "demo-1"


def test_an_interrupted_step_loses_no_event(
    client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    handle = client.create_sandbox(image=IMAGE)
    stream = client.subscribe_sandbox_events(handle.sandbox_id)
    seen = [next(stream).sequence for _ in range(3)]
    with ctrl_c(waits_for_an_event):
        next(stream)
    client.delete_sandbox(handle.sandbox_id)
    seen += [next(stream).sequence for _ in range(2)]
    stream.close()
    assert seen == [1, 2, 3, 4, 5]


def test_a_stream_that_is_no_longer_referenced_ends(
    client: SyncAgentsSandboxClient, daemon: FakeDaemon
) -> None:
    handle = client.create_sandbox(image=IMAGE)
    stream = client.subscribe_sandbox_events(handle.sandbox_id)
    next(stream)
    daemon.wait_for_streams(1)
    del stream
    daemon.wait_for_streams(0)
