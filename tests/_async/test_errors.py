"""Every failure between the client and the daemon becomes an error of this SDK."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    ClientClosedError,
    DaemonError,
    DaemonUnavailableError,
    InvalidArgumentError,
    OperationTimeoutError,
    ProtocolError,
    SandboxClientError,
    SandboxNotFoundError,
)
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop
from ..releases import each_dialect

pytestmark = each_dialect


async def ping_error(path: Path | str | None) -> DaemonUnavailableError:
    """The error of a ping to a socket where no daemon answers."""
    async with AgentsSandboxClient(path) as client:
        with pytest.raises(DaemonUnavailableError) as caught:
            await client.ping()
    return caught.value


async def test_a_missing_socket_is_named(tmp_path: Path) -> None:
    error = await ping_error(tmp_path / "agboxd.sock")
    assert str(tmp_path / "agboxd.sock") in str(error)
    assert "the socket does not exist" in str(error)
    assert error.socket_path == str(tmp_path / "agboxd.sock")
    assert isinstance(error, ConnectionError)
    assert (error.code, error.retryable) == ("UNAVAILABLE", True)


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert f"folder {tmp_path / 'gone'} is missing" in str(
        await ping_error(tmp_path / "gone" / "agboxd.sock")
    )


async def test_a_file_that_is_no_socket_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "not a socket" in str(await ping_error(tmp_path / "file"))


async def test_a_stale_socket_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "stale"))
    assert "stale" in str(await ping_error(tmp_path / "stale"))


async def test_the_default_socket_is_that_of_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    error = await ping_error(None)
    assert error.socket_path == str(tmp_path / "agbox" / "agboxd.sock")
    assert "path from XDG_RUNTIME_DIR" in str(error)


async def test_a_default_that_cannot_be_derived_is_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    error = await ping_error(None)
    assert "XDG_RUNTIME_DIR is not set" in str(error)
    assert error.socket_path is None
    async with AgentsSandboxClient() as client:
        with pytest.raises(DaemonUnavailableError) as caught:
            async for _ in client.subscribe_sandbox_events("demo-sandbox"):
                pytest.fail("no event can come")
    assert caught.value.sandbox_id == "demo-sandbox"


async def test_the_default_socket_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "agbox").mkdir()
    with FakeDaemon(socket_path=tmp_path / "agbox" / "agboxd.sock"):
        async with AgentsSandboxClient() as client:
            assert (await client.ping()).daemon == "agboxd"


async def test_a_path_with_special_characters_is_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a b%20#?ü.sock"
    with FakeDaemon(socket_path=path):
        async with AgentsSandboxClient(path) as client:
            assert (await client.ping()).daemon == "agboxd"


async def test_a_daemon_that_comes_late_is_found(tmp_path: Path) -> None:
    path = tmp_path / "agboxd.sock"
    async with AgentsSandboxClient(path) as client:
        with pytest.raises(DaemonUnavailableError):
            await client.ping()
        with FakeDaemon(socket_path=path) as late:
            while True:
                try:
                    await client.ping()
                except DaemonUnavailableError:
                    continue
                break
            assert [call.method for call in late.calls] == ["Ping"]


async def test_an_answer_that_is_no_message_is_a_protocol_error(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.faults.answer_next("GetSandbox", b"\xff\xff")
    with pytest.raises(ProtocolError, match="get_sandbox: the answer cannot be decoded") as caught:
        await client.get_sandbox("demo-sandbox")
    assert caught.value.sandbox_id == "demo-sandbox"


async def test_an_error_without_a_reason_keeps_its_code(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next("GetExec", code="INTERNAL", message="storage is broken")
    with pytest.raises(DaemonError, match="get_exec: storage is broken") as caught:
        await client.get_exec("my-exec")
    assert (caught.value.code, caught.value.reason) == ("INTERNAL", None)
    assert caught.value.exec_id == "my-exec"


async def test_malformed_details_leave_the_status_code(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next("GetSandbox", code="NOT_FOUND", message="x", details=b"\xff\xff\xff")
    with pytest.raises(DaemonError) as caught:
        await client.get_sandbox("demo-sandbox")
    assert (caught.value.code, caught.value.metadata) == ("NOT_FOUND", {})


async def test_details_of_another_domain_do_not_count(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next(
        "Ping", code="NOT_FOUND", reason="SANDBOX_NOT_FOUND", domain="elsewhere"
    )
    with pytest.raises(DaemonError):
        await client.ping()


async def test_the_reason_decides_and_not_the_message(
    client: AgentsSandboxClient, daemon: FakeDaemon
) -> None:
    daemon.faults.fail_next(
        "Ping",
        code="UNKNOWN",
        message="exec was not found",
        reason="SANDBOX_NOT_FOUND",
        metadata={"sandbox_id": "other", "extra": "1"},
    )
    with pytest.raises(SandboxNotFoundError) as caught:
        await client.ping()
    assert caught.value.sandbox_id == "other"
    assert caught.value.metadata == {"sandbox_id": "other", "extra": "1"}


async def test_a_daemon_that_does_not_answer_is_timed_out(tmp_path: Path) -> None:
    # A listener that accepts no connection and sends nothing.
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute"))
        mute.listen()
        async with AgentsSandboxClient(tmp_path / "mute", timeout_seconds=0.3) as client:
            with pytest.raises(OperationTimeoutError, match=r"0\.3 s") as caught:
                await client.ping()
    assert caught.value.timeout_seconds == 0.3


async def test_a_closed_client_says_so(client: AgentsSandboxClient) -> None:
    await client.ping()
    await client.aclose()
    await client.aclose()
    with pytest.raises(ClientClosedError):
        await client.ping()
    with pytest.raises(ClientClosedError):
        async for _ in client.subscribe_sandbox_events("demo-sandbox"):
            pytest.fail("no event can come")


async def test_closing_before_any_call_is_fine(daemon: FakeDaemon) -> None:
    await AgentsSandboxClient(daemon.socket_path).aclose()
    assert daemon.calls == ()


async def test_closing_ends_waits_and_streams_under_way(daemon: FakeDaemon) -> None:
    client = AgentsSandboxClient(daemon.socket_path)

    async def follow() -> None:
        async for _ in client.subscribe_sandbox_events("demo-sandbox"):
            pass

    with daemon.paused():
        create = Background(client.create_sandbox, image="a:1", sandbox_id="demo-sandbox")
        await off_loop(daemon.wait_for_streams, 1)
        following = Background(follow)
        await off_loop(daemon.wait_for_streams, 2)
        await client.aclose()
        for call in (create, following):
            with pytest.raises(ClientClosedError):
                await call.result()
    await off_loop(daemon.wait_for_streams, 0)


async def test_closing_ends_an_rpc_under_way(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute"))
        mute.listen()
        client = AgentsSandboxClient(tmp_path / "mute", timeout_seconds=20)
        ping = Background(client.ping)
        peer, _ = await off_loop(mute.accept)
        with peer:
            await client.aclose()
            with pytest.raises(ClientClosedError):
                await ping.result()


@pytest.mark.parametrize(
    "options",
    [
        {"timeout_seconds": 0},
        {"timeout_seconds": -1},
        {"timeout_seconds": float("nan")},
        {"timeout_seconds": "5"},
        {"operation_timeout_seconds": 0},
        {"operation_timeout_seconds": True},
        {"socket_path": ""},
        {"socket_path": 5},
        {"socket_path": "/tmp/" + "x" * 200},
    ],
)
def test_bad_options_are_refused_immediately(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        AgentsSandboxClient(**options)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, SandboxClientError)
