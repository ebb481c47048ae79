"""What programs do that were written for the daemon project's own SDK, `agents-sandbox-sdk`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    CompanionContainerSpec,
    InvalidArgumentError,
    OperationTimeoutError,
    SandboxHandle,
    SandboxState,
)
from agents_sandbox.testing import FakeDaemon

from ..releases import each_dialect

pytestmark = each_dialect

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"


# The shape of the published examples.
async def live(config: Path, problem: Exception | None = None) -> tuple[list[str], str]:
    seen: list[str] = []
    async with AgentsSandboxClient(
        timeout_seconds=10.0, stream_timeout_seconds=20.0, operation_timeout_seconds=30.0
    ) as client:
        sandbox = await client.create_sandbox(config_yaml=config.read_text("utf-8"))
        try:
            labels: Any = sandbox.labels
            seen.append(f"{sandbox.state.name} {sandbox.state} {labels | {'a': 'b'}}")
            result = await client.run(
                sandbox.sandbox_id,
                ("sh", "-c", 'echo "$GREETING, $NAME"; echo oops >&2'),
                cwd="/workspace",
                env_overrides={"NAME": "user"},
            )
            if result.exit_code != 0 or result.state != 2:
                raise RuntimeError(f"exec {result.exec_id} failed: {result.error}")
            assert result.stdout_log_path is not None
            assert result.stderr_log_path is not None
            seen.append(Path(result.stdout_log_path).read_text("utf-8"))
            seen.append(Path(result.stderr_log_path).read_text("utf-8"))
            if problem is not None:
                raise problem
        finally:
            deleted = await client.delete_sandbox(sandbox.sandbox_id)
            seen.append(deleted.state.name)
    return seen, sandbox.sandbox_id


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A sandbox as the user of such a program declares it."""
    path = tmp_path / "sandbox.yaml"
    path.write_text(
        f"image: {IMAGE}\nlabels:\n  team: core\nenvs:\n  GREETING: hello\n  NAME: nobody\n",
        "utf-8",
    )
    return path


@pytest.fixture
def running(release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    """A daemon at the default socket, whose execs really run."""
    (tmp_path / "agbox").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    socket_path = tmp_path / "agbox" / "agboxd.sock"
    with FakeDaemon(version=release, socket_path=socket_path, exec_mode="passthrough") as daemon:
        yield daemon
        daemon.assert_no_leaks(sandboxes=True, execs=True)


async def test_a_program_creates_from_yaml_runs_reads_and_deletes(
    running: FakeDaemon, config: Path
) -> None:
    seen, sandbox_id = await live(config)
    assert seen == ["READY 2 {'team': 'core', 'a': 'b'}", "hello, user\n", "oops\n", "DELETED"]
    async with AgentsSandboxClient() as client:
        assert (await client.get_sandbox(sandbox_id)).state == 6


async def test_a_program_that_fails_deletes_its_sandbox(running: FakeDaemon, config: Path) -> None:
    with pytest.raises(KeyError, match="problem"):
        await live(config, KeyError("problem"))
    async with AgentsSandboxClient() as client:
        assert await client.list_sandboxes() == []
        (deleted,) = await client.list_sandboxes(include_deleted=True)
    assert deleted.state is SandboxState.DELETED


async def test_events_can_be_told_apart_by_truth_and_by_number(
    client: AgentsSandboxClient, sandbox: SandboxHandle, daemon: FakeDaemon
) -> None:
    await client.run(sandbox.sandbox_id, ("true",))
    numbers: list[int] = []
    async for event in client.subscribe_sandbox_events(sandbox.sandbox_id):
        numbers.append(int(event.event_type))
        # Events of execs change no state of the sandbox.
        assert bool(event.sandbox_state) is (event.exec is None)
        if event.exec and event.exec.exec_state == 2:
            break
    assert numbers == [1, 2, 3, 9, 10]


async def test_a_config_of_a_wrong_type_is_a_type_error(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    for kind in (TypeError, ValueError, InvalidArgumentError):
        with pytest.raises(kind, match=r"^config_yaml must be str or bytes, not int"):
            await client.create_sandbox(config_yaml=1)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ValueError, match="config_yaml that names one"):
        await client.create_sandbox()
    assert daemon.calls == ()


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
        client.other  # type: ignore[attr-defined]  # noqa: B018 - it raises
