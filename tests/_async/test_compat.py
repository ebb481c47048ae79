"""What programs do that were written for the daemon project's own SDK, `agents-sandbox-sdk`."""

from __future__ import annotations

from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    CompanionContainerSpec,
    InvalidArgumentError,
    OperationTimeoutError,
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


async def test_streams_of_a_client_can_have_a_timeout(
    daemon: FakeDaemon, sandbox: SandboxHandle
) -> None:
    path = daemon.socket_path
    async with AgentsSandboxClient(path, stream_timeout_seconds=0.05) as client:
        assert client.socket_path == path
        with pytest.raises(OperationTimeoutError, match=r"0\.05 s"):
            async for _ in client.subscribe_sandbox_events(sandbox.sandbox_id):
                pass
        seen = 0
        # The timeout of a stream itself matters more.
        async for _ in client.subscribe_sandbox_events(sandbox.sandbox_id, timeout_seconds=20):
            seen += 1
            if seen == sandbox.last_event_sequence:
                break
    with pytest.raises(InvalidArgumentError, match="stream_timeout_seconds"):
        AgentsSandboxClient(path, stream_timeout_seconds=0)


def test_the_default_path_of_the_socket_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    assert AgentsSandboxClient().socket_path.startswith("/")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(RuntimeError, match="XDG_RUNTIME_DIR is not set"):
        AgentsSandboxClient().socket_path  # noqa: B018 - it raises


def test_the_other_flavours_close_is_explained() -> None:
    client = AgentsSandboxClient("/nowhere")
    own = client.aclose.__name__
    (other,) = {f"{prefix}close" for prefix in ("", "a")} - {own}
    with pytest.raises(AttributeError, match=rf"no attribute '{other}': it is closed with {own}\("):
        getattr(client, other)
    with pytest.raises(AttributeError, match=r"object has no attribute 'other'$"):
        client.other  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018 - it raises
