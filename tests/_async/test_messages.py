"""What users read: messages of a sane length that name the next step."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    SandboxClientError,
    SandboxFailedError,
    SandboxHandle,
)
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop

# The daemon accepts no requests over 4 MiB.
LONG = "x" * 1_000_000
# A message may contain an explanation of the daemon of 1,000 characters and several ids.
SANE = 2_000

Call = Callable[[AgentsSandboxClient, Any], Any]


async def first_event(client: AgentsSandboxClient, sandbox_id: Any) -> None:
    async with client.subscribe_sandbox_events(sandbox_id, resume=False) as events:
        async for _ in events:
            break


# By method: a call with an id of something that exists.
OF_SANDBOXES: Mapping[str, Call] = {
    "get_sandbox": lambda client, one: client.get_sandbox(one),
    "resume_sandbox": lambda client, one: client.resume_sandbox(one),
    "stop_sandbox": lambda client, one: client.stop_sandbox(one),
    "delete_sandbox": lambda client, one: client.delete_sandbox(one),
    "create_exec": lambda client, one: client.create_exec(one, ("true",)),
    "run": lambda client, one: client.run(one, ("true",)),
    "subscribe_sandbox_events": first_event,
}
OF_EXECS: Mapping[str, Call] = {
    "get_exec": lambda client, one: client.get_exec(one),
    "cancel_exec": lambda client, one: client.cancel_exec(one),
}


def check_sane(error: BaseException) -> None:
    assert len(str(error)) < SANE
    assert len("".join(traceback.format_exception(error))) < 10 * SANE


@pytest.mark.parametrize("method", [*OF_SANDBOXES, *OF_EXECS])
async def test_no_message_grows_with_an_id(client: AgentsSandboxClient, method: str) -> None:
    with pytest.raises(SandboxClientError) as caught:
        await {**OF_SANDBOXES, **OF_EXECS}[method](client, LONG)
    check_sane(caught.value)
    assert LONG in (caught.value.sandbox_id, caught.value.exec_id)


async def test_no_message_grows_with_what_the_daemon_says(
    client: AgentsSandboxClient, daemon: FakeDaemon, sandbox: SandboxHandle
) -> None:
    daemon.on_exec(("sleep",)).never()
    run = Background(client.run, sandbox.sandbox_id, ("sleep",))
    await off_loop(daemon.wait_for_streams, 1)
    phase = pb.SandboxPhaseDetails(error_code=LONG, error_message=LONG)
    failed = pb.SandboxEvent(
        event_type=pb.SANDBOX_FAILED, sandbox_state=pb.SANDBOX_STATE_FAILED, sandbox_phase=phase
    )
    daemon.emit(sandbox.sandbox_id, failed)
    with pytest.raises(SandboxFailedError) as caught:
        await run.result()
    check_sane(caught.value)
    assert (caught.value.error_code, caught.value.error_message) == (LONG, LONG)
