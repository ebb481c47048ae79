"""Whatever fails, a call ends in time with a result or with a complete error of this SDK."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    OperationTimeoutError,
    SandboxClientError,
    SandboxState,
)
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop, step
from ..examples import share
from ..releases import any_release
from ..troubles import REFUSALS, TROUBLES, Trouble, kinds_of_chaos, kinds_of_faults

pytestmark = any_release

# Timeouts of one RPC and of a call with its wait, in seconds; short, because many expire.
ONE, ALL = 0.08, 0.16


@dataclass(frozen=True)
class Case:
    """A call of a public method, and the ids that its errors must carry."""

    method: str
    call: Callable[[AgentsSandboxClient], Any]
    sandbox_id: str | None = None
    exec_id: str | None = None


# No earlier than the last event of a sandbox with three more commands than `prepare` runs.
_ENOUGH = 7


async def follow(client: AgentsSandboxClient, **options: Any) -> None:
    stream = client.subscribe_sandbox_events("reading", timeout_seconds=ALL, **options)
    async with stream as events:
        async for event in events:
            if event.sequence >= _ENOUGH:
                break


CASES = (
    Case("ping", lambda client: client.ping()),
    Case(
        "create_sandbox",
        lambda client: client.create_sandbox(image="a:1", sandbox_id="new-1"),
        "new-1",
    ),
    Case("create_sandbox", lambda client: client.create_sandbox(image="a:1")),
    Case(
        "create_sandbox",
        lambda client: client.create_sandbox(image="a:1", sandbox_id="new-2", wait=False),
        "new-2",
    ),
    Case("get_sandbox", lambda client: client.get_sandbox("reading"), "reading"),
    Case("list_sandboxes", lambda client: client.list_sandboxes()),
    Case(
        "wait_for_sandbox",
        lambda client: client.wait_for_sandbox("reading", SandboxState.STOPPED),
        "reading",
    ),
    Case("resume_sandbox", lambda client: client.resume_sandbox("resuming"), "resuming"),
    Case("stop_sandbox", lambda client: client.stop_sandbox("stopping"), "stopping"),
    Case("delete_sandbox", lambda client: client.delete_sandbox("deleting"), "deleting"),
    Case(
        "delete_sandbox",
        lambda client: client.delete_sandbox("deleting-2", wait=False),
        "deleting-2",
    ),
    Case(
        "delete_leftovers",
        lambda client: client.delete_leftovers({"delete": "me"}, older_than=0),
    ),
    Case("delete_sandboxes", lambda client: client.delete_sandboxes({"delete": "me"})),
    Case(
        "create_exec",
        lambda client: client.create_exec("reading", ("true",), exec_id="exec-1"),
        "reading",
        "exec-1",
    ),
    Case("create_exec", lambda client: client.create_exec("reading", ("true",)), "reading"),
    Case(
        "run",
        lambda client: client.run("reading", ("true",), exec_id="exec-2"),
        "reading",
        "exec-2",
    ),
    Case("run", lambda client: client.run("reading", ("true",)), "reading"),
    Case("cancel_exec", lambda client: client.cancel_exec("cancel-me"), None, "cancel-me"),
    Case("get_exec", lambda client: client.get_exec("read-me"), None, "read-me"),
    Case("wait_for_exec", lambda client: client.wait_for_exec("read-me"), None, "read-me"),
    Case(
        "list_active_execs",
        lambda client: client.list_active_execs(sandbox_id="reading"),
        "reading",
    ),
    Case("subscribe_sandbox_events", follow, "reading"),
    Case(
        "subscribe_sandbox_events",
        lambda client: follow(client, resume=False, include_current_snapshot=True),
        "reading",
    ),
)
CLOSING = Case(AgentsSandboxClient.aclose.__name__, lambda client: client.aclose())


async def prepare(daemon: FakeDaemon) -> None:
    """Create what the calls use."""
    daemon.on_exec(("sleep",)).never()
    async with AgentsSandboxClient(daemon.socket_path) as client:
        for name in ("reading", "resuming", "stopping", "deleting", "deleting-2", "deleting-3"):
            labels = {"delete": "me"} if name == "deleting-3" else {}
            await client.create_sandbox(image="a:1", sandbox_id=name, labels=labels, wait=False)
        while {box.state for box in await client.list_sandboxes()} != {SandboxState.READY}:
            pass
        await client.stop_sandbox("resuming")
        for name in ("cancel-me", "read-me"):
            await client.create_exec("reading", ("sleep",), exec_id=name)


async def outcome_of(call: Background) -> object:
    try:
        return await call.result()
    except Exception as error:  # noqa: BLE001 - the test looks at every kind
        return error


def fault_of(case: Case, outcome: object) -> str | None:
    """What is wrong with the outcome of a call; None: nothing."""
    if not isinstance(outcome, Exception):
        return None
    if not isinstance(outcome, SandboxClientError):
        return f"no error of the SDK: {outcome!r}"
    if case.sandbox_id not in (None, outcome.sandbox_id):
        return f"sandbox_id is {outcome.sandbox_id}: {outcome!r}"
    if case.exec_id not in (None, outcome.exec_id):
        return f"exec_id is {outcome.exec_id}: {outcome!r}"
    if outcome.code == "DEADLINE_EXCEEDED" and not isinstance(outcome, TimeoutError):
        return f"no TimeoutError: {outcome!r}"
    copy = pickle.loads(pickle.dumps(outcome))
    if (type(copy), copy.args, vars(copy)) != (type(outcome), outcome.args, vars(outcome)):
        return f"its copy is another one: {vars(copy)}"
    return None if str(outcome) else "it says nothing"


async def outcomes(
    daemon: FakeDaemon, client: AgentsSandboxClient, trouble: Trouble
) -> Mapping[Case, object]:
    """The outcomes of all calls, made at the same time under a trouble."""
    with trouble.begin(daemon):
        calls = {case: Background(case.call, client) for case in CASES}
        if trouble.strike is not None:
            # With a stream that is surely open, however slow the machine is.
            async with client.subscribe_sandbox_events("reading", timeout_seconds=10) as events:
                await step(events)
                await off_loop(trouble.strike, daemon)
        return {case: await outcome_of(call) for case, call in calls.items()}


def check(ends: Mapping[Case, object]) -> None:
    faults = [(case.method, fault_of(case, end)) for case, end in ends.items()]
    assert [(method, fault) for method, fault in faults if fault] == []


def client_of(daemon: FakeDaemon, release: str | None) -> AgentsSandboxClient:
    return AgentsSandboxClient(
        daemon.socket_path,
        timeout_seconds=ONE,
        operation_timeout_seconds=ALL,
        exec_timeout_seconds=ALL,
        daemon_version=release,
    )


# They change nothing, so one daemon is enough.
@pytest.mark.slow
async def test_no_raw_error_gets_out_if_every_call_fails(daemon: FakeDaemon) -> None:
    await prepare(daemon)
    # Without a release, the first RPC of many calls would be its detection.
    async with client_of(daemon, daemon.version) as client:
        for trouble in share(tuple(REFUSALS.values())):
            ends = await outcomes(daemon, client, trouble)
            check(ends)
            assert all(isinstance(end, Exception) for end in ends.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", TROUBLES)
async def test_no_raw_error_gets_out(daemon: FakeDaemon, name: str) -> None:
    trouble = TROUBLES[name]
    await prepare(daemon)
    async with client_of(daemon, None) as client:
        await client.ping(timeout_seconds=10)
        ends = dict(await outcomes(daemon, client, trouble))
        ends[CLOSING] = await outcome_of(Background(CLOSING.call, client))
    check(ends)


# Each call is answered, but too late.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["late answers", "half open"])
async def test_a_late_answer_is_a_timeout(daemon: FakeDaemon, name: str) -> None:
    await prepare(daemon)
    async with client_of(daemon, daemon.version) as client:
        await client.ping(timeout_seconds=10)
        ends = await outcomes(daemon, client, TROUBLES[name])
    for end in ends.values():
        assert isinstance(end, OperationTimeoutError)
        assert isinstance(end, TimeoutError)
        assert end.timeout_seconds is not None
        assert end.timeout_seconds <= ALL


def test_every_public_method_is_covered() -> None:
    public = {
        name
        for name, _ in inspect.getmembers(AgentsSandboxClient, callable)
        if not name.startswith("_")
    }
    without_io = {"attach", "attach_exec", "pool", "sandbox", "scope", "start_exec"}
    assert {case.method for case in (*CASES, CLOSING)} == public - without_io


def test_every_fault_is_covered() -> None:
    met = {trouble.kind for trouble in (*REFUSALS.values(), *TROUBLES.values())}
    assert kinds_of_faults() <= met


def test_every_kind_of_chaos_is_covered() -> None:
    assert kinds_of_chaos() == {
        "unavailable",
        "lose_answer",
        "burn",
        "deadline",
        "delay",
        "drop",
        "duplicate",
        "skip",
        "restart",
    }
