"""Many sandboxes that end together, also those that are still being created."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    ExecState,
    SandboxClientError,
    SandboxNotReadyError,
    SandboxScope,
    SandboxState,
    ScopeClosedError,
)
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop
from ..releases import any_release
from .life import count, outcome
from .test_lifetimes import notes, states

pytestmark = any_release

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
SCOPE = "agents-sandbox.scope"


async def test_all_sandboxes_of_a_scope_end_with_it(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    other = await client.create_sandbox(image=IMAGE)
    async with client.scope({"team": "core"}) as scope:
        first = await scope.create_sandbox(image=IMAGE)
        second = await scope.create_sandbox(image=IMAGE, wait=False)
        async with scope.sandbox(image=IMAGE) as third:
            listed = await client.list_sandboxes(label_selector=scope.labels)
            assert {handle.sandbox_id for handle in listed} == {first.id, second.id, third.id}
            assert "open" in repr(scope)
    assert "closed" in repr(scope)
    assert first.handle is not None
    assert first.handle.state is SandboxState.READY
    left = [item for item in await client.list_sandboxes() if item.state.name != "DELETING"]
    assert [handle.sandbox_id for handle in left] == [other.sandbox_id]
    assert count(daemon, "DeleteSandboxes") == 1


async def test_a_sandbox_has_the_labels_of_its_scope(client: AgentsSandboxClient) -> None:
    async with client.scope({"team": "core", "job": "1"}) as scope:
        labels = {"job": "2", SCOPE: "another"}
        sandbox = await scope.create_sandbox(image=IMAGE, labels=labels)
        assert sandbox.handle is not None
        assert sandbox.handle.labels == {"team": "core", "job": "2", SCOPE: scope.labels[SCOPE]}


async def test_what_the_block_raises_comes_out(client: AgentsSandboxClient) -> None:
    with pytest.raises(SandboxNotReadyError):
        async with client.scope() as scope:
            sandbox = await scope.create_sandbox(image=IMAGE)
            await sandbox.stop()
            await sandbox.run(("true",))
    assert await states(client) <= {"DELETING", "DELETED"}


async def test_a_closed_scope_creates_nothing(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    scope = client.scope()
    async with scope:
        late = scope.sandbox(image=IMAGE)
    for _ in range(2):
        await scope.aclose()
    with pytest.raises(ScopeClosedError):
        await scope.create_sandbox(image=IMAGE)
    with pytest.raises(ScopeClosedError):
        scope.sandbox(image=IMAGE)
    with pytest.raises(ScopeClosedError):
        async with late:
            raise AssertionError("its scope has ended")
    with pytest.raises(ScopeClosedError):
        async with scope:
            raise AssertionError("it has ended")
    assert count(daemon, "CreateSandbox") == 0


async def test_the_end_of_a_scope_ends_waits_elsewhere(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("sleep",)).never()
    async with client.scope() as scope:
        sandboxes = [await scope.create_sandbox(image=IMAGE) for _ in range(3)]
        runs = [Background(sandbox.run, ("sleep",)) for sandbox in sandboxes]
        await off_loop(daemon.wait_for_streams, 3)
    assert [(await run.result()).state for run in runs] == [ExecState.FAILED] * 3


async def test_the_end_of_a_scope_ends_its_creates(client: AgentsSandboxClient) -> None:
    with FakeDaemon(virtual_time=True, ready_delay=60) as daemon:
        async with AgentsSandboxClient(daemon.socket_path) as fresh:
            scope = fresh.scope()
            creates = [Background(scope.create_sandbox, image=IMAGE) for _ in range(3)]
            creates.append(Background(_block, scope))
            await off_loop(daemon.wait_for_streams, 4)
            closing = Background(scope.aclose)
            await off_loop(daemon.wait_for_call, "DeleteSandboxes")
            await off_loop(daemon.advance, 61)
            await closing.result()
            for create in creates:
                assert isinstance(await outcome(create), SandboxNotReadyError)
            assert {record.state for record in daemon.sandboxes} == {SandboxState.DELETED}


async def _block(scope: SandboxScope) -> None:
    async with scope.sandbox(image=IMAGE):
        raise AssertionError("the scope ends before it is ready")


async def test_the_end_of_a_scope_waits_for_requests_that_were_sent(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    await client.ping()
    scope = client.scope()
    with daemon.faults.delaying(3600, method="CreateSandbox"):
        create = Background(scope.create_sandbox, image=IMAGE, sandbox_id="sent-before")
        await off_loop(daemon.wait_for_call, "CreateSandbox")
        closing = Background(scope.aclose)
        await off_loop(daemon.wait_for_call, "DeleteSandboxes")
    await closing.result()
    assert isinstance(await outcome(create), SandboxClientError)
    assert await states(client) <= {"DELETING", "DELETED"}


async def test_the_end_of_a_scope_prevents_requests_that_were_not_sent(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    scope = client.scope()
    with daemon.faults.delaying(3600, method="Ping"):
        create = Background(scope.create_sandbox, image=IMAGE)
        await off_loop(daemon.wait_for_call, "Ping")
        await scope.aclose()
    assert isinstance(await outcome(create), ScopeClosedError)
    assert await states(client) == set()


async def test_sandboxes_are_deleted_one_after_the_other_if_all_at_once_fails(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.faults.failing(method="DeleteSandboxes", code="INTERNAL"):
        async with client.scope() as scope:
            for _ in range(2):
                await scope.create_sandbox(image=IMAGE)
    assert await states(client) <= {"DELETING", "DELETED"}
    assert count(daemon, "DeleteSandbox") == 2


async def test_a_delete_that_fails_is_reported_after_the_others(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    failing: dict[str, Any] = {"code": "INTERNAL", "message": "disk full", "times": 1}
    with (
        daemon.faults.failing(method="DeleteSandboxes"),
        daemon.faults.failing(method="DeleteSandbox", **failing),
        pytest.raises(SandboxClientError, match="disk full") as caught,
    ):
        async with client.scope() as scope:
            for _ in range(3):
                await scope.create_sandbox(image=IMAGE)
    left = {handle.sandbox_id for handle in await client.list_sandboxes() if handle.state == 2}
    assert left == {caught.value.sandbox_id}


async def test_all_deletes_that_fail_are_reported(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with (
        daemon.faults.failing(method="DeleteSandboxes"),
        daemon.faults.failing(method="DeleteSandbox", code="INTERNAL", message="disk full"),
        pytest.raises(SandboxClientError, match="disk full") as caught,
    ):
        async with client.scope() as scope:
            for _ in range(2):
                await scope.create_sandbox(image=IMAGE)
    if sys.version_info >= (3, 11):
        (other,) = [note for note in notes(caught.value) if note.startswith("another delete")]
        assert "disk full" in other


async def test_a_sandbox_of_a_scope_can_have_a_workspace(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    async with client.scope() as scope:
        sandbox = await scope.sandbox(image=IMAGE, workspace=True).__aenter__()
        folder = sandbox.workspace
        assert folder is not None
        (mount,) = daemon.sandboxes[-1].spec.mounts
        assert mount.source == str(folder)
    assert not folder.parent.exists()


async def test_a_wrong_keyword_names_the_call(client: AgentsSandboxClient) -> None:
    wrong: dict[str, Any] = {"image": IMAGE, "cleanup_timeout_seconds": 3}
    async with client.scope() as scope:
        with pytest.raises(TypeError, match=r"^sandbox\(\) got .* 'cleanup_timeout_seconds'$"):
            scope.sandbox(**wrong)
        with pytest.raises(TypeError, match=r"^create_sandbox\(\) got"):
            await scope.create_sandbox(**wrong)
    with pytest.raises(TypeError, match=r"^pool\(\) got .* 'workspace'$"):
        client.pool(1, **{**wrong, "workspace": True})


async def test_a_scope_forgets_sandboxes_that_have_ended(client: AgentsSandboxClient) -> None:
    async with client.scope() as scope:
        async with scope.sandbox(image=IMAGE):
            assert len(scope._lifetimes) == 1
        assert not scope._lifetimes


async def test_the_end_of_a_scope_waits_for_the_answer_to_a_create(
    client: AgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, pause = threading.Event(), client._daemon.pause

    async def noted(seconds: float) -> None:
        waiting.set()
        await pause(seconds)

    monkeypatch.setattr(client._daemon, "pause", noted)
    async with client.scope() as scope:
        with daemon.faults.delaying(3600, method="CreateSandbox", times=1):
            creating = Background(scope.create_sandbox, image=IMAGE)
            await off_loop(daemon.wait_for_call, "CreateSandbox")
            closing = Background(scope.aclose)
            assert await off_loop(waiting.wait, 10)
        with pytest.raises(SandboxClientError):
            await creating.result()
        await closing.result()
    handles = await client.list_sandboxes()
    assert {handle.state.name for handle in handles} <= {"DELETING"}
