"""Deleting what a killed program has left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    InvalidArgumentError,
    OperationTimeoutError,
)
from agents_sandbox._wire import v04_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .conftest import IMAGE

JOB = {"job": "42"}


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    """A daemon whose clock the test moves: it is then ahead of the client's."""
    with FakeDaemon(virtual_time=True) as running:
        yield running


async def test_only_old_ones_with_the_labels_are_deleted(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    for name in ("old-2", "old-1"):
        await client.create_sandbox(image=IMAGE, sandbox_id=name, labels={**JOB, "a": "b"})
    await client.create_sandbox(image=IMAGE, sandbox_id="other", labels={"job": "4"})
    daemon.advance(7200)
    await client.create_sandbox(image=IMAGE, sandbox_id="new-1", labels=JOB)
    assert (await client.delete_leftovers(JOB, older_than="3h")).deleted_count == 0
    result = await client.delete_leftovers(JOB, older_than="1h")
    assert result.deleted_sandbox_ids == ("old-1", "old-2")
    assert result.deleted_count == 2
    left = {handle.sandbox_id for handle in await client.list_sandboxes()}
    assert left == {"other", "new-1"}


async def test_leftovers_may_be_on_their_way(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    for name in ("old-1", "old-2", "old-3"):
        await client.create_sandbox(image=IMAGE, sandbox_id=name, labels=JOB)
    with daemon.paused():
        await client.delete_sandbox("old-1", wait=False)
        daemon.faults.fail_next("DeleteSandbox", code="NOT_FOUND", reason="SANDBOX_NOT_FOUND")
        result = await client.delete_leftovers(JOB, older_than=0, wait=False)
        assert result.deleted_count == 1  # of the others, one was purged meanwhile
        with pytest.raises(OperationTimeoutError):
            await client.delete_leftovers(JOB, older_than=0, timeout_seconds=0.2)


async def test_one_of_unknown_age_is_left(client: AgentsSandboxClient, daemon: FakeDaemon) -> None:
    handle = pb.SandboxHandle(sandbox_id="box-1", state="SANDBOX_STATE_READY", labels=JOB)
    daemon.faults.answer_next("ListSandboxes", pb.ListSandboxesResponse(sandboxes=[handle]))
    assert (await client.delete_leftovers(JOB, older_than=0)).deleted_count == 0


async def test_age_and_labels_are_checked(client: AgentsSandboxClient) -> None:
    with pytest.raises(InvalidArgumentError, match="label_selector must not be empty"):
        await client.delete_leftovers({}, older_than="1h")
    with pytest.raises(InvalidArgumentError, match="older_than"):
        await client.delete_leftovers(JOB, older_than=-1)
