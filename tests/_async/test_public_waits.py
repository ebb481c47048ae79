"""Waiting for what another call, another program or a wait that timed out began."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonUnavailableError,
    ExecNotFoundError,
    ExecResult,
    ExecState,
    InvalidArgumentError,
    InvalidArgumentTypeError,
    OperationTimeoutError,
    SandboxClientError,
    SandboxFailedError,
    SandboxHandle,
    SandboxInvalidStateError,
    SandboxNotFoundError,
    SandboxNotReadyError,
    SandboxState,
    _deadline,
)
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop, step, stop_background
from ..releases import any_release, each_dialect
from .conftest import IMAGE
from .life import ID, count, restart

pytestmark = each_dialect

READY, STOPPED = SandboxState.READY, SandboxState.STOPPED
FAILED, DELETED = SandboxState.FAILED, SandboxState.DELETED


async def bring_to(client: AgentsSandboxClient, daemon: FakeDaemon, state: SandboxState) -> None:
    """Bring the sandbox, which is READY, to a state."""
    if state is STOPPED:
        await client.stop_sandbox(ID)
    elif state is FAILED:
        await off_loop(daemon.remove_container, ID)
        if (await client.get_sandbox(ID)).state is READY:  # it has not noticed yet
            await restart(daemon)
    elif state is DELETED:
        await client.delete_sandbox(ID)


async def test_it_waits_for_a_create_that_was_only_requested(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.paused():
        pending = await client.create_sandbox(image=IMAGE, sandbox_id=ID, wait=False)
        waiting = Background(client.wait_for_sandbox, pending)
        await off_loop(daemon.wait_for_streams, 1)
    assert (await waiting.result()).state is READY
    await off_loop(daemon.wait_for_streams, 0)


@pytest.mark.parametrize("state", [READY, STOPPED, FAILED, DELETED])
async def test_a_state_that_is_there_already_is_returned_at_once(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, state: SandboxState
) -> None:
    await bring_to(client, daemon, state)
    before = len(daemon.calls)
    assert (await client.wait_for_sandbox(sandbox, state)).state is state
    # A create or a resume can bring a deleted sandbox back: the events tell whether it will.
    more = ["SubscribeSandboxEvents", "GetSandbox"] if state is DELETED else []
    called = [call.method for call in daemon.calls[before:] if call.method != "Ping"]
    assert called == ["GetSandbox", *more]


@any_release
@pytest.mark.parametrize(
    ("before", "state", "error"),
    [
        (STOPPED, READY, SandboxNotReadyError),
        (DELETED, READY, SandboxNotReadyError),
        (FAILED, READY, SandboxFailedError),
        (DELETED, STOPPED, SandboxInvalidStateError),
        (FAILED, STOPPED, SandboxFailedError),
        (DELETED, FAILED, SandboxInvalidStateError),
    ],
)
async def test_a_state_that_cannot_be_reached_any_more_raises(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    before: SandboxState,
    state: SandboxState,
    error: type[SandboxClientError],
) -> None:
    await bring_to(client, daemon, before)
    with pytest.raises(error) as caught:
        await client.wait_for_sandbox(sandbox, state)
    assert type(caught.value) is error
    assert caught.value.sandbox_id == ID


@pytest.mark.parametrize("state", [STOPPED, FAILED, DELETED])
async def test_it_waits_for_what_others_do(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon, state: SandboxState
) -> None:
    waiting = Background(client.wait_for_sandbox, ID, state)
    await off_loop(daemon.wait_for_streams, 1)
    async with AgentsSandboxClient(daemon.socket_path) as other:
        await bring_to(other, daemon, state)
    reached = await waiting.result()
    assert reached.state is state
    assert count(daemon, "DeleteSandbox") == (state is DELETED)


@any_release
async def test_it_never_deletes_again_what_came_back(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    with daemon.paused() as pause:
        await client.create_sandbox(image=IMAGE, sandbox_id=ID, wait=False)
        pause.step()  # the create is in progress in Docker
        await client.delete_sandbox(ID, wait=False)
        waiting = Background(client.wait_for_sandbox, ID, DELETED)
        await off_loop(daemon.wait_for_streams, 1)
    async with client.subscribe_sandbox_events(ID) as events:
        async for event in events:  # a wait would give up if it saw it DELETED
            if event.sandbox_state is READY:
                break
    assert count(daemon, "DeleteSandbox") == 1
    await client.delete_sandbox(ID, wait=False)
    assert (await waiting.result()).state is DELETED
    assert count(daemon, "DeleteSandbox") == 2


@any_release
async def test_a_sandbox_that_is_purged_meanwhile_is_deleted(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    waiting = Background(client.wait_for_sandbox, ID, DELETED)
    await off_loop(daemon.wait_for_streams, 1)
    with daemon.faults.failing(method="GetSandbox", code="UNAVAILABLE"):
        deleting = Background(client.delete_sandbox, ID, wait=False)
        async with client.subscribe_sandbox_events(ID) as events:
            while (await step(events)).sandbox_state is not DELETED:
                pass
        await off_loop(daemon.purge, ID)
    with pytest.raises(SandboxNotFoundError):
        await deleting.result()
    assert await waiting.result() == replace(sandbox, state=DELETED)


@any_release
@pytest.mark.unshared
@pytest.mark.parametrize("state", [READY, DELETED])
async def test_a_sandbox_that_was_never_seen_is_not_found(
    client: AgentsSandboxClient, state: SandboxState
) -> None:
    with pytest.raises(SandboxNotFoundError) as caught:
        await client.wait_for_sandbox("no-such-box", state)
    assert caught.value.sandbox_id == "no-such-box"


@any_release
async def test_only_states_that_last_can_be_waited_for(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    for state in (SandboxState.PENDING, SandboxState.DELETING, SandboxState(99)):
        with pytest.raises(InvalidArgumentError, match="must be READY, STOPPED, FAILED or DELETED"):
            await client.wait_for_sandbox(ID, state)
    for wrong in ("READY", 2, None):
        with pytest.raises(InvalidArgumentTypeError, match=r"e\.g\. SandboxState\.READY, not"):
            await client.wait_for_sandbox(ID, wrong)  # type: ignore[arg-type] # the mistake
    assert daemon.calls == ()


@any_release
async def test_a_wait_goes_on_where_another_one_timed_out(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    with pytest.raises(OperationTimeoutError, match="go on waiting with wait_for_sandbox"):
        await client.wait_for_sandbox(sandbox, STOPPED, timeout_seconds=0.05)
    daemon.on_exec(("train",)).stdout("done").never()
    with pytest.raises(OperationTimeoutError, match="go on waiting with wait_for_exec") as caught:
        await client.run(ID, ("train",), timeout_seconds=1)
    assert caught.value.exec_id is not None
    assert "timeout_seconds or exec_timeout_seconds" in str(caught.value)
    with pytest.raises(OperationTimeoutError, match="go on waiting with wait_for_exec"):
        await client.wait_for_exec(caught.value.exec_id, timeout_seconds=0.05)
    waiting = Background(client.wait_for_exec, caught.value.exec_id)
    await off_loop(daemon.wait_for_streams, 1)
    await client.cancel_exec(caught.value.exec_id)
    assert (await waiting.result()).state is ExecState.CANCELLED


async def test_it_waits_for_an_exec_of_another_client(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("greet",)).stdout("hello").exit(3)
    with daemon.paused():
        async with AgentsSandboxClient(daemon.socket_path) as other:
            started = await other.create_exec(ID, ("greet",))
        waiting = Background(client.wait_for_exec, started)
        await off_loop(daemon.wait_for_streams, 1)
    result = await waiting.result()
    assert isinstance(result, ExecResult)
    assert (result.state, result.exit_code) == (ExecState.FAILED, 3)


@any_release
async def test_an_exec_that_has_ended_is_returned_at_once(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("greet",)).stdout("hello")
    ended = await client.run(ID, ("greet",))
    before = len(daemon.calls)
    result = await client.wait_for_exec(ended, max_output_bytes=2)
    assert (result.stdout, result.stdout_truncated) == ("lo", True)
    assert [call.method for call in daemon.calls[before:]] == ["GetExec"]


@any_release
async def test_an_unknown_exec_is_not_found(client: AgentsSandboxClient) -> None:
    with pytest.raises(ExecNotFoundError):
        await client.wait_for_exec("no-such-exec")
    with pytest.raises(InvalidArgumentError, match="max_output_bytes"):
        await client.wait_for_exec("no-such-exec", max_output_bytes=-1)


@any_release
async def test_commands_have_no_time_limit_unless_the_caller_sets_one(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("train",)).never()
    async with AgentsSandboxClient(daemon.socket_path, operation_timeout_seconds=0.05) as hasty:
        run = Background(hasty.run, ID, ("train",), exec_id="my-exec")
        await off_loop(daemon.wait_for_streams, 1)
        with pytest.raises(OperationTimeoutError):
            await hasty.wait_for_sandbox(ID, STOPPED)  # the run has no such bound
        async with AgentsSandboxClient(daemon.socket_path, exec_timeout_seconds=0.05) as bounded:
            with pytest.raises(OperationTimeoutError, match=r"within 0\.05 s"):
                await bounded.run(ID, ("train",))
            with pytest.raises(OperationTimeoutError, match=r"within 0\.05 s"):
                await bounded.create_exec(ID, ("train",), wait=True)
            with pytest.raises(OperationTimeoutError, match=r"within 0\.05 s"):
                await bounded.wait_for_exec("my-exec")
            with pytest.raises(OperationTimeoutError, match=r"within 0\.1 s"):
                await bounded.wait_for_exec("my-exec", timeout_seconds=0.1)
        await client.cancel_exec("my-exec")
        assert (await run.result()).state is ExecState.CANCELLED
    with pytest.raises(InvalidArgumentError, match="exec_timeout_seconds must be above 0"):
        AgentsSandboxClient(daemon.socket_path, exec_timeout_seconds=0)


@any_release
@pytest.mark.parametrize("in_turn", [False, True], ids=["shared", "in turn"])
async def test_without_a_bound_one_outage_has_one(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
    in_turn: bool,
) -> None:
    if in_turn:
        stop_background(monkeypatch)
        monkeypatch.setattr(_deadline, "LOOK_SECONDS", 0.05)
    daemon.on_exec(("train",)).never()
    await client.create_exec(ID, ("train",), exec_id="my-exec")
    async with AgentsSandboxClient(
        daemon.socket_path, timeout_seconds=0.2, operation_timeout_seconds=0.2
    ) as hasty:
        calls = [
            Background(hasty.wait_for_exec, "my-exec"),
            Background(hasty.wait_for_sandbox, ID, STOPPED, timeout_seconds=math.inf),
        ]
        await off_loop(daemon.wait_for_streams, 2 if in_turn else 1)
        await off_loop(daemon.kill)
        for call in calls:
            with pytest.raises(DaemonUnavailableError, match="nothing listens there") as caught:
                await call.result()
            assert " so far, " in str(caught.value)
            assert "and the daemon is unavailable" in str(caught.value)
            assert caught.value.sandbox_id == ID


@any_release
async def test_an_outage_that_ends_in_time_is_survived(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("train",)).never()
    run = Background(client.run, ID, ("train",), exec_id="my-exec")
    await off_loop(daemon.wait_for_streams, 1)
    await restart(daemon)
    result = await run.result()
    assert result.error == "exec was running when daemon restarted"


@any_release
async def test_a_wait_that_begins_during_an_outage_counts_it_too(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    daemon.on_exec(("train",)).never()
    async with AgentsSandboxClient(daemon.socket_path, operation_timeout_seconds=0.1) as hasty:
        run = Background(hasty.run, ID, ("train",), exec_id="my-exec")
        await off_loop(daemon.wait_for_streams, 1)
        with (
            daemon.faults.failing(method="Ping", code="UNAVAILABLE"),
            daemon.faults.failing(method="SubscribeSandboxEvents", code="UNAVAILABLE"),
        ):
            await off_loop(daemon.faults.drop_streams)
            await off_loop(daemon.wait_for_call, "Ping", count=1 + count(daemon, "Ping"))
            before = count(daemon, "GetExec")
            late = Background(hasty.wait_for_exec, "my-exec")
            # Both read a snapshot each time that the outage would be too long, and go on.
            await off_loop(daemon.wait_for_call, "GetExec", count=before + 4)
        await client.cancel_exec("my-exec", wait=False)
        assert (await run.result()).state is ExecState.CANCELLED
        assert (await late.result()).state is ExecState.CANCELLED


@any_release
@pytest.mark.parametrize("follows", [False, True], ids=["at once", "later"])
async def test_without_a_bound_a_silent_daemon_has_one(
    client: AgentsSandboxClient,
    sandbox: SandboxHandle,
    daemon: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
    follows: bool,
) -> None:
    monkeypatch.setattr(_deadline, "SILENCE_SECONDS", 0.05)
    daemon.on_exec(("train",)).never()
    started = await client.create_exec(ID, ("train",))
    async with AgentsSandboxClient(
        daemon.socket_path, timeout_seconds=0.2, operation_timeout_seconds=0.2
    ) as hasty:
        if follows:
            wait = Background(hasty.wait_for_exec, started, timeout_seconds=math.inf)
            await off_loop(daemon.wait_for_streams, 1)
        with daemon.faults.half_open():
            if not follows:
                wait = Background(hasty.wait_for_exec, started)
            with pytest.raises(DaemonUnavailableError, match="it does not answer") as caught:
                await wait.result()
    assert caught.value.exec_id == started.exec_id


@any_release
async def test_a_daemon_that_was_never_there_is_an_error_at_once(tmp_path: Path) -> None:
    async with AgentsSandboxClient(tmp_path / "none.sock") as client:
        for wait_for, one in ((client.wait_for_exec, "my-exec"), (client.wait_for_sandbox, ID)):
            with pytest.raises(DaemonUnavailableError, match=r"does not exist|is missing"):
                await wait_for(one)
