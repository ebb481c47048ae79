"""The table of states: what each call does in each state of its sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    ExecAlreadyTerminalError,
    ExecNotFoundError,
    SandboxInvalidStateError,
    SandboxNotFoundError,
    SandboxNotReadyError,
    SandboxState,
)
from agents_sandbox.testing import FakeDaemon

from .._aio import off_loop, step
from ..releases import each_dialect
from .conftest import IMAGE

pytestmark = each_dialect

S = SandboxState
ID = "demo-sandbox"
PURGED = "purged"
UNKNOWN = "unknown"
STATES = [S.PENDING, S.READY, S.STOPPED, S.FAILED, S.DELETING, S.DELETED, PURGED, UNKNOWN]


def label(state: SandboxState | str) -> str:
    """The name of a state in the name of a test."""
    return state if isinstance(state, str) else state.name


@pytest.fixture
def daemon(release: str) -> Any:
    """A daemon that cannot pull a certain image."""
    with FakeDaemon(version=release, missing_images=["typo:1"]) as running:
        yield running
        running.assert_no_leaks()


@asynccontextmanager
async def in_state(
    client: AgentsSandboxClient, daemon: FakeDaemon, state: SandboxState | str
) -> AsyncIterator[None]:
    """Keep the sandbox in a state while the block lasts."""
    if state in (S.PENDING, UNKNOWN):
        with daemon.paused():
            if state is S.PENDING:
                await client.create_sandbox(image=IMAGE, sandbox_id=ID, wait=False)
            yield
        return
    if state is S.FAILED:
        await client.create_sandbox(image="typo:1", sandbox_id=ID, wait=False)
        stream = client.subscribe_sandbox_events(ID)
        while (await step(stream)).sandbox_state is not S.FAILED:
            pass
        await stream.aclose()
    else:
        await client.create_sandbox(image=IMAGE, sandbox_id=ID)
        await client.run(ID, ("true",), exec_id="my-exec")
    if state is S.STOPPED:
        await client.stop_sandbox(ID)
    if state in (S.DELETED, PURGED):
        await client.delete_sandbox(ID)
    if state is PURGED:
        await off_loop(daemon.purge, ID)
    with daemon.paused():
        if state is S.DELETING:
            await client.delete_sandbox(ID, wait=False)
        yield


# Source: the daemon's table of states. Cases without a row fail for an unknown sandbox and succeed
# in all other states.
NOT_READY = dict.fromkeys(
    (S.PENDING, S.STOPPED, S.FAILED, S.DELETING, S.DELETED), SandboxNotReadyError
)
INVALID = dict.fromkeys(
    (S.PENDING, S.READY, S.STOPPED, S.FAILED, S.DELETING, S.DELETED), SandboxInvalidStateError
)
ROWS: dict[str, dict[Any, type[Exception] | SandboxState]] = {
    "get_sandbox": {},
    "stop_sandbox": {**INVALID, S.READY: S.READY},
    "resume_sandbox": {**INVALID, S.STOPPED: S.PENDING},
    "delete_sandbox": {
        **dict.fromkeys((S.PENDING, S.READY, S.STOPPED, S.FAILED), S.DELETING),
        S.DELETING: S.DELETING,
        S.DELETED: S.DELETED,
    },
    "create_exec": {**NOT_READY},
    "subscribe_sandbox_events": {},
}


async def call(client: AgentsSandboxClient, method: str) -> SandboxState | None:
    """Make a call that does not wait; return the state in its result, or None."""
    if method == "subscribe_sandbox_events":
        async with client.subscribe_sandbox_events(ID) as events:
            assert (await step(events)).sequence == 1
        return None
    arguments: dict[str, Any] = {} if method == "get_sandbox" else {"wait": False}
    function: Callable[..., Any] = getattr(client, method)
    if method == "create_exec":
        await function(ID, ("true",), **arguments)
        return None
    state: SandboxState = (await function(ID, **arguments)).state
    return state


@pytest.mark.parametrize("state", STATES, ids=label)
@pytest.mark.parametrize("method", ROWS)
async def test_a_call_in_each_state(
    client: AgentsSandboxClient, daemon: FakeDaemon, method: str, state: SandboxState | str
) -> None:
    expected = ROWS[method].get(state)
    if state in (PURGED, UNKNOWN):
        expected = SandboxNotFoundError
    async with in_state(client, daemon, state):
        if isinstance(expected, type):
            with pytest.raises(expected) as caught:
                await call(client, method)
            assert getattr(caught.value, "sandbox_id", None) == ID
        elif method == "get_sandbox":
            assert await call(client, method) is state
        else:
            assert await call(client, method) is expected
        await off_loop(daemon.wait_for_streams, 0)


@pytest.mark.parametrize("state", [S.READY, S.STOPPED, S.DELETING, S.DELETED, PURGED], ids=label)
async def test_execs_in_each_state(
    client: AgentsSandboxClient, daemon: FakeDaemon, state: SandboxState | str
) -> None:
    async with in_state(client, daemon, state):
        expected = ExecNotFoundError if state is PURGED else ExecAlreadyTerminalError
        with pytest.raises(expected):
            await client.cancel_exec("my-exec")
        if state is PURGED:
            with pytest.raises(ExecNotFoundError):
                await client.get_exec("my-exec")
        else:
            assert (await client.get_exec("my-exec")).exit_code == 0
