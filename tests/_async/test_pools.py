"""Pools of sandboxes that are READY before they are needed."""

from __future__ import annotations

from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    InvalidArgumentError,
    OperationTimeoutError,
    Sandbox,
    SandboxClientError,
    SandboxPool,
    SandboxState,
    ScopeClosedError,
    UnsupportedByDaemonError,
)
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop, stop_background
from .conftest import IMAGE


async def take_one(pool: SandboxPool, **arguments: Any) -> str:
    async with pool.take(**arguments) as sandbox:
        return sandbox.id


def creates(daemon: FakeDaemon) -> int:
    return sum(call.method == "CreateSandbox" for call in daemon.calls)


async def full(daemon: FakeDaemon, pool: SandboxPool, *, made: int) -> None:
    """Wait until so many were created and all places are full."""
    await off_loop(daemon.wait_for_call, "CreateSandbox", count=made)
    while pool.available < pool.size:
        await off_loop(daemon.wait_for_streams, 0)


async def states(client: AgentsSandboxClient) -> list[SandboxState]:
    return [handle.state for handle in await client.list_sandboxes()]


async def test_pool_keeps_sandboxes_ready(client: AgentsSandboxClient, daemon: FakeDaemon) -> None:
    async with client.pool(2, image=IMAGE, labels={"job": "42"}, mounts=iter(())) as pool:
        await full(daemon, pool, made=2)
        assert (pool.size, pool.available) == (2, 2)
        assert "size=2 ready=2" in repr(pool)
        async with pool.take() as sandbox:
            assert isinstance(sandbox, Sandbox)
            handle = await sandbox.refresh()
            assert handle.state is SandboxState.READY
            assert (handle.image, handle.labels["job"]) == (IMAGE, "42")
            await full(daemon, pool, made=3)
        other = await take_one(pool, timeout_seconds="20s")
        assert other != sandbox.id
        assert (await client.get_sandbox(sandbox.id)).state in (
            SandboxState.DELETING,
            SandboxState.DELETED,
        )
    assert "closed" in repr(pool)
    assert set(await states(client)) <= {SandboxState.DELETING}


async def test_waiting_sandboxes_are_not_stopped(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    async with client.pool(1, image=IMAGE) as pool:
        await full(daemon, pool, made=1)
    async with client.pool(1, image=IMAGE, idle_ttl="5m") as pool:
        await full(daemon, pool, made=2)
    async with client.pool(1, config_yaml=f"image: {IMAGE}") as pool:
        await full(daemon, pool, made=3)
    requests = [call.request for call in daemon.calls if call.method == "CreateSandbox"]
    assert [str(request.create_spec.idle_ttl) for request in requests[:2]] == ["0:00:00", "0:05:00"]
    assert requests[2].config_yaml


async def test_those_who_wait_are_served_in_turn(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    served: list[int] = []

    async def take(number: int) -> None:
        async with pool.take():
            served.append(number)

    async with client.pool(1, image=IMAGE) as pool:
        with daemon.paused():
            waiting = []
            for number in range(3):
                waiting.append(Background(take, number))
                while pool.waiting <= number:
                    await off_loop(daemon.wait_for_call, "CreateSandbox")
        for item in waiting:
            await item.result()
    assert served == [0, 1, 2]


@pytest.mark.unshared
@pytest.mark.parametrize("fate", ["failed", "stopped", "undeletable", "deleted", "purged"])
async def test_dead_sandbox_is_not_handed_out(
    client: AgentsSandboxClient, daemon: FakeDaemon, fate: str
) -> None:
    async with client.pool(1, image=IMAGE) as pool:
        await full(daemon, pool, made=1)
        (dead,) = [handle.sandbox_id for handle in await client.list_sandboxes()]
        if fate == "failed":
            daemon.kill_container(dead)
            while (await client.get_sandbox(dead)).state is SandboxState.READY:
                await off_loop(daemon.wait_for_streams, 0)
        elif fate in ("stopped", "undeletable"):
            await client.stop_sandbox(dead)
            if fate == "undeletable":  # until the end of the pool
                daemon.faults.fail_next("DeleteSandbox", code="INTERNAL")
        else:
            await client.delete_sandbox(dead)
            if fate == "purged":
                daemon.purge(dead)
        async with pool.take() as sandbox:
            assert sandbox.id != dead
            assert sandbox.handle is not None
            assert sandbox.handle.state is SandboxState.READY
        await full(daemon, pool, made=3)
    assert set(await states(client)) <= {SandboxState.DELETING}


@pytest.mark.usefixtures("no_pauses")
async def test_create_that_fails_is_tried_again(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next("CreateSandbox", code="INTERNAL", message="no space", times=2)
    async with client.pool(1, image=IMAGE) as pool:
        assert await take_one(pool)
        await full(daemon, pool, made=4)


@pytest.mark.usefixtures("no_pauses")
async def test_error_that_happens_again_and_again_is_raised(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next("CreateSandbox", code="INTERNAL", message="no space", times=3)
    async with client.pool(1, image=IMAGE) as pool:
        with pytest.raises(SandboxClientError, match="no space") as caught:
            await take_one(pool)
        assert caught.value.code == "INTERNAL"
        assert await take_one(pool)  # it works again


async def test_error_that_no_retry_changes_is_raised_at_once(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    async with client.pool(2, image=IMAGE, ports=(), gpus="all") as pool:
        for _ in range(2):
            with pytest.raises(UnsupportedByDaemonError, match="gpus"):
                await take_one(pool)
    assert creates(daemon) == 0


async def test_wait_for_a_sandbox_has_a_limit(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    async with client.pool(1, image=IMAGE) as pool:
        with (
            daemon.paused(),
            pytest.raises(OperationTimeoutError, match=r"READY within 0\.1 s\. Increase") as caught,
        ):
            await take_one(pool, timeout_seconds=0.1)
        assert caught.value.timeout_seconds == 0.1
        assert caught.value.__cause__ is None
        assert await take_one(pool)
        await full(daemon, pool, made=2)
        daemon.faults.fail_next("GetSandbox", code="INTERNAL")
        with pytest.raises(SandboxClientError):
            await take_one(pool)
        assert pool.available == 1  # it was given back


async def test_limit_includes_the_last_look(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    async with client.pool(1, image=IMAGE) as pool:
        await full(daemon, pool, made=1)
        with (
            daemon.faults.delaying(3600, method="GetSandbox"),
            pytest.raises(OperationTimeoutError) as caught,
        ):
            await take_one(pool, timeout_seconds=0.1)
    assert caught.value.timeout_seconds is not None
    assert caught.value.timeout_seconds <= 0.1


async def test_limit_names_the_last_failure(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next("CreateSandbox", code="INTERNAL", message="no space")
    pool = client.pool(1, image=IMAGE)
    with daemon.paused():
        await pool.__aenter__()
        await off_loop(daemon.wait_for_call, "CreateSandbox", count=2)
        with pytest.raises(OperationTimeoutError, match="no space") as caught:
            await take_one(pool, timeout_seconds=0.1)
    await pool.__aexit__(None, None, None)
    assert isinstance(caught.value.__cause__, SandboxClientError)


async def test_end_of_the_pool_ends_waits(client: AgentsSandboxClient, daemon: FakeDaemon) -> None:
    async with client.pool(1, image=IMAGE) as pool:
        with daemon.paused():
            waiting = Background(take_one, pool)
            await off_loop(daemon.wait_for_call, "CreateSandbox")
            while not pool.waiting:
                await off_loop(daemon.wait_for_call, "CreateSandbox")
            ending = Background(pool.__aexit__, None, None, None)
            with pytest.raises(ScopeClosedError):
                await waiting.result()
        await ending.result()
    with pytest.raises(ScopeClosedError):
        await take_one(pool)
    assert set(await states(client)) <= {SandboxState.DELETING}


async def test_pool_and_take_are_entered_once(client: AgentsSandboxClient) -> None:
    pool = client.pool(1, image=IMAGE)
    assert "size=1 not entered" in repr(pool)
    with pytest.raises(ScopeClosedError, match="was not entered"):
        await take_one(pool)
    async with pool:
        with pytest.raises(SandboxClientError, match="was entered before"):
            await pool.__aenter__()
        taking = pool.take()
        async with taking:
            with pytest.raises(SandboxClientError, match="was entered before"):
                await taking.__aenter__()


async def test_block_keeps_its_error(client: AgentsSandboxClient, daemon: FakeDaemon) -> None:
    with pytest.raises(KeyError, match="block"):
        async with client.pool(1, image=IMAGE) as pool, pool.take():
            raise KeyError("block")
    assert set(await states(client)) <= {SandboxState.DELETING}


async def test_pool_works_where_nothing_runs_in_the_background(
    client: AgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_background(monkeypatch)
    async with client.pool(1, image=IMAGE) as pool:
        assert await take_one(pool)


async def test_arguments_are_checked_at_once(client: AgentsSandboxClient) -> None:
    wrong: list[dict[str, Any]] = [
        {"size": 0},
        {"image": None},
        {"sandbox_id": "my-box"},
        {"timeout_seconds": 0},
        {"cleanup_timeout_seconds": 0},
    ]
    for arguments in wrong:
        with pytest.raises(InvalidArgumentError):
            client.pool(**{"size": 1, "image": IMAGE, **arguments})
    with pytest.raises(InvalidArgumentError, match="timeout_seconds"):
        client.pool(1, image=IMAGE).take(timeout_seconds=-1)


async def test_pool_that_does_not_start_leaves_nothing(
    client: AgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = client.pool(2, image=IMAGE)
    start = pool._stock.start

    def start_and_fail() -> None:
        start()
        raise MemoryError

    monkeypatch.setattr(pool._stock, "start", start_and_fail)
    with pytest.raises(MemoryError):
        await pool.__aenter__()
    assert set(await states(client)) <= {SandboxState.DELETING}


async def test_what_cannot_be_deleted_is_an_error(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    pool = client.pool(1, image=IMAGE)
    await pool.__aenter__()
    await full(daemon, pool, made=1)
    for method in ("DeleteSandboxes", "DeleteSandbox"):
        daemon.faults.fail_next(method, code="INTERNAL", message="no disk")
    with pytest.raises(SandboxClientError, match="no disk"):
        await pool.__aexit__(None, None, None)
