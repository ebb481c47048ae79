"""Surprises of the daemon's life cycle, one test for each: every wait ends correctly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    OperationTimeoutError,
    SandboxHandle,
    SandboxInvalidStateError,
    SandboxNotReadyError,
    SandboxState,
)
from agents_sandbox.testing import ContainerBehavior, FakeDaemon

from .._aio import Background, off_loop, step
from ..releases import each_dialect, stop_shows_failure
from .conftest import IMAGE
from .life import ID, count, history, outcome, restart

pytestmark = each_dialect

S = SandboxState


async def test_a_stop_that_looks_like_a_failure_first(
    client: AgentsSandboxClient, sandbox: SandboxHandle, release: str
) -> None:
    assert (await client.stop_sandbox(ID)).state is S.STOPPED
    failed = ["FAILED"] if stop_shows_failure(release) else []
    assert (await history(client))[3:] == ["STOP_REQUESTED", *failed, "STOPPED"]


async def test_a_double_stop(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        stops = [Background(client.stop_sandbox, ID) for _ in range(2)]
        await off_loop(daemon.wait_for_call, "StopSandbox", count=2)
        await off_loop(daemon.wait_for_streams, 1)
    assert [(await stop.result()).state for stop in stops] == [S.STOPPED, S.STOPPED]
    assert (await client.delete_sandbox(ID)).state is S.DELETED
    assert (await history(client)).count("STOP_REQUESTED") == 2


async def test_a_delete_while_a_stop_is_in_progress(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        stop = Background(client.stop_sandbox, ID)
        await off_loop(daemon.wait_for_call, "StopSandbox")
        await off_loop(daemon.wait_for_streams, 1)
        delete = Background(client.delete_sandbox, ID)
        await off_loop(daemon.wait_for_call, "DeleteSandbox")
    assert (await delete.result()).state is S.DELETED
    # STOPPED comes in between; the wait may or may not see it.
    stopped = await outcome(stop)
    assert isinstance(stopped, SandboxInvalidStateError) or stopped.state is S.STOPPED
    assert (await history(client))[-2:] == ["STOPPED", "DELETED"]
    assert count(daemon, "DeleteSandbox") == 1


async def test_a_delete_before_the_docker_work_of_a_create(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        await client.create_sandbox(image=IMAGE, sandbox_id=ID, wait=False)
        delete = Background(client.delete_sandbox, ID)
        await off_loop(daemon.wait_for_streams, 1)
    assert (await delete.result()).state is S.DELETED
    assert await history(client) == ["ACCEPTED", "DELETE_REQUESTED", "DELETED"]
    assert count(daemon, "DeleteSandbox") == 1


class Creating:
    """A create that is in progress in Docker until the test lets it continue."""

    def __init__(self, client: AgentsSandboxClient, daemon: FakeDaemon) -> None:
        self._client = client
        self._daemon = daemon

    async def begin(self, image: str = IMAGE) -> None:
        """Start the create and wait until it is in progress in Docker."""
        await self._client.create_sandbox(
            image=image, sandbox_id=ID, labels={"team": "core"}, wait=False
        )
        async with self._client.subscribe_sandbox_events(ID) as events:
            for _ in range(2):
                await step(events)
        await off_loop(self._daemon.wait_for_streams, 0)

    async def until_deleted(self) -> None:
        """Wait until the sandbox is DELETED for the first time."""
        async with self._client.subscribe_sandbox_events(ID) as events:
            while (await step(events)).sandbox_state is not S.DELETED:
                pass


BROKEN = ContainerBehavior(error="Error response from daemon: no space left on device")
DELETES: dict[str, tuple[Any, ...]] = {
    "delete_sandbox": (ID,),
    "delete_sandboxes": ({"team": "core"},),
}


@pytest.fixture
def slow(release: str) -> Any:
    """A daemon whose creates take as long as the test wants."""
    with FakeDaemon(
        version=release, virtual_time=True, ready_delay=60, containers={"typo:1": BROKEN}
    ) as running:
        yield running
        running.assert_no_leaks()


@pytest.fixture
async def slow_client(slow: FakeDaemon) -> Any:
    """A client of the slow daemon."""
    async with AgentsSandboxClient(slow.socket_path, operation_timeout_seconds=20) as opened:
        yield opened


@pytest.mark.parametrize("end", ["READY", "FAILED"])
@pytest.mark.parametrize("method", DELETES)
async def test_a_delete_that_a_create_outlives(
    slow_client: AgentsSandboxClient, slow: FakeDaemon, method: str, end: str
) -> None:
    creating = Creating(slow_client, slow)
    await creating.begin(IMAGE if end == "READY" else "typo:1")
    delete = Background(getattr(slow_client, method), *DELETES[method])
    await creating.until_deleted()
    await off_loop(slow.advance, 60)
    await delete.result()
    assert (await slow_client.get_sandbox(ID)).state is S.DELETED
    assert await history(slow_client) == [
        *("ACCEPTED", "PREPARING", "DELETE_REQUESTED", "DELETED"),
        *(end, "DELETE_REQUESTED", "DELETED"),
    ]


async def test_a_delete_repeated_while_a_create_outlives_the_first(
    slow_client: AgentsSandboxClient, slow: FakeDaemon
) -> None:
    creating = Creating(slow_client, slow)
    await creating.begin()
    await slow_client.delete_sandbox(ID, wait=False)
    await creating.until_deleted()
    await off_loop(slow.wait_for_streams, 0)
    delete = Background(slow_client.delete_sandbox, ID)
    await off_loop(slow.wait_for_streams, 1)
    await off_loop(slow.advance, 60)
    assert (await delete.result()).state is S.DELETED
    assert (await history(slow_client))[-3:] == ["READY", "DELETE_REQUESTED", "DELETED"]


async def test_a_delete_does_not_claim_what_a_create_will_undo(
    slow_client: AgentsSandboxClient, slow: FakeDaemon
) -> None:
    await Creating(slow_client, slow).begin()
    with pytest.raises(OperationTimeoutError, match="its create is still in progress") as caught:
        await slow_client.delete_sandbox(ID, timeout_seconds=0.3)
    assert caught.value.last_handle is not None
    assert caught.value.last_handle.state is S.DELETED


async def test_a_create_dies_with_the_daemon_and_outlives_no_delete(
    slow_client: AgentsSandboxClient, slow: FakeDaemon
) -> None:
    creating = Creating(slow_client, slow)
    await creating.begin()
    delete = Background(slow_client.delete_sandbox, ID)
    await creating.until_deleted()
    await restart(slow)
    assert (await delete.result()).state is S.DELETED
    assert (await history(slow_client))[-1] == "DELETED"


async def test_a_changed_mode_of_the_socket_is_no_restart(
    slow_client: AgentsSandboxClient, slow: FakeDaemon
) -> None:
    creating = Creating(slow_client, slow)
    await creating.begin()
    delete = Background(slow_client.delete_sandbox, ID)
    await creating.until_deleted()
    await off_loop(Path(slow.socket_path).chmod, 0o660)
    await off_loop(slow.faults.drop_streams)
    await off_loop(slow.advance, 60)
    assert (await delete.result()).state is S.DELETED
    assert (await history(slow_client))[-3:] == ["READY", "DELETE_REQUESTED", "DELETED"]


@pytest.mark.usefixtures("short_grace")
async def test_a_delete_repeated_after_a_restart_that_ended_its_create(
    slow_client: AgentsSandboxClient, slow: FakeDaemon
) -> None:
    creating = Creating(slow_client, slow)
    await creating.begin()
    await slow_client.delete_sandbox(ID, wait=False)
    await creating.until_deleted()
    await restart(slow)
    assert (await slow_client.delete_sandbox(ID)).state is S.DELETED


async def test_a_wait_for_a_create_reports_that_its_sandbox_was_deleted(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        create = Background(client.create_sandbox, image=IMAGE, sandbox_id=ID)
        await off_loop(daemon.wait_for_streams, 1)
        await client.delete_sandbox(ID, wait=False)
        with pytest.raises(SandboxNotReadyError, match="DELETING") as caught:
            await create.result()
    assert caught.value.sandbox_id == ID


@pytest.mark.usefixtures("short_grace")
async def test_a_delete_while_a_resume_is_in_progress(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    await client.stop_sandbox(ID)
    with daemon.paused():
        await client.resume_sandbox(ID, wait=False)
        delete = Background(client.delete_sandbox, ID)
        await off_loop(daemon.wait_for_call, "DeleteSandbox")
    assert (await delete.result()).state is S.DELETED
    assert (await client.get_sandbox(ID)).state is S.DELETED
