"""What programs do that were written for the daemon project's own SDK, `agents-sandbox-sdk`."""

from __future__ import annotations

from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    CompanionContainerSpec,
    InvalidArgumentError,
    SandboxHandle,
)
from agents_sandbox.testing import FakeDaemon

from ..releases import each_dialect

pytestmark = each_dialect

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"


async def test_a_command_of_none_is_the_default(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    await client.create_sandbox(image=IMAGE, command=None)
    (create,) = [call for call in daemon.calls if call.method == "CreateSandbox"]
    assert not getattr(create.request.create_spec, "command", ())


@pytest.mark.parametrize("yaml", [None, "command: [sleep, '60']\n"])
@pytest.mark.parametrize("empty", [[], ()])
async def test_an_empty_command_is_refused_and_never_dropped(
    client: AgentsSandboxClient, daemon: FakeDaemon, empty: Any, yaml: str | None
) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^command must not be empty: omit it"):
        await client.create_sandbox(image=IMAGE, config_yaml=yaml, command=empty)
    with pytest.raises(InvalidArgumentError, match="command must not be empty: omit it"):
        CompanionContainerSpec("cache", "redis:7", command=empty)
    assert daemon.calls == ()


async def test_a_folder_of_none_is_the_default(
    client: AgentsSandboxClient, daemon: FakeDaemon, sandbox: SandboxHandle
) -> None:
    for call in (client.create_exec, client.run):
        handle = await call(sandbox.sandbox_id, ("true",), cwd=None)
        assert handle.cwd == ""
