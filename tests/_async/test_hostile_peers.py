"""A peer at the socket may be no daemon at all and may speak another protocol."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonError,
    DaemonUnavailableError,
    OperationTimeoutError,
    ProtocolError,
    SandboxClientError,
    _deadline,
)
from agents_sandbox.testing import FakeDaemon

from .. import hostile
from .._aio import Background
from ..hostile import listening
from ..releases import any_release


async def follow(client: AgentsSandboxClient) -> None:
    async with client.subscribe_sandbox_events("box-1") as events:
        async for event in events:
            pytest.fail(f"there can be no {event}")


CALLS: Mapping[str, Callable[[AgentsSandboxClient], Any]] = {
    "ping": lambda client: client.ping(),
    "get": lambda client: client.get_sandbox("box-1"),
    "list": lambda client: client.list_sandboxes(),
    "create": lambda client: client.create_sandbox(image="a:1", sandbox_id="box-1"),
    "stop": lambda client: client.stop_sandbox("box-1"),
    "run": lambda client: client.run("box-1", ("true",)),
    "follow": follow,
}
NAMELESS = ("ping", "list")


async def error_of(call: Background) -> SandboxClientError:
    with pytest.raises(SandboxClientError) as caught:
        await call.result()
    return caught.value


async def errors_at(path: Path, **options: Any) -> dict[str, SandboxClientError]:
    """The error of each call; all are made at the same time, then the client is closed."""
    async with AgentsSandboxClient(path, **options) as client:
        calls = {name: Background(call, client) for name, call in CALLS.items()}
        errors = {name: await error_of(call) for name, call in calls.items()}
    for name, error in errors.items():
        assert error.sandbox_id == (None if name in NAMELESS else "box-1")
    return errors


IMPATIENT: Mapping[str, Any] = {"timeout_seconds": 0.06, "operation_timeout_seconds": 0.12}


@pytest.fixture
def early_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the client ping a silent daemon soon."""
    monkeypatch.setattr(_deadline, "SILENCE_SECONDS", 0.05)


@pytest.mark.usefixtures("early_questions")
@pytest.mark.parametrize("peer", hostile.SILENT_PEERS)
async def test_a_peer_that_never_answers_is_timed_out(tmp_path: Path, peer: str) -> None:
    with listening(tmp_path / "peer", hostile.SILENT_PEERS[peer]) as path:
        errors = await errors_at(path, **IMPATIENT)
    follower = errors.pop("follow")
    assert isinstance(follower, DaemonUnavailableError)
    assert "the socket accepts connections" in str(follower)
    assert "the peer is not a daemon" in str(follower)
    for error in errors.values():
        assert isinstance(error, OperationTimeoutError)
        assert isinstance(error, TimeoutError)
        assert error.timeout_seconds == 0.06
        assert "increase timeout_seconds" in str(error)


@pytest.mark.usefixtures("early_questions")
@pytest.mark.parametrize("peer", hostile.LOST_PEERS)
async def test_a_peer_that_hangs_up_is_given_up(tmp_path: Path, peer: str) -> None:
    with listening(tmp_path / "peer", hostile.LOST_PEERS[peer]) as path:
        errors = await errors_at(path, **IMPATIENT)
    assert isinstance(errors.pop("follow"), DaemonUnavailableError)
    # The first attempt can still have been in progress at the deadline.
    for error in errors.values():
        assert isinstance(error, DaemonUnavailableError | OperationTimeoutError)


@pytest.mark.parametrize("peer", hostile.LOST_PEERS)
async def test_a_call_that_cannot_be_retried_fails_immediately(
    tmp_path: Path, pauses: list[float], peer: str
) -> None:
    with listening(tmp_path / "peer", hostile.LOST_PEERS[peer]) as path:
        async with AgentsSandboxClient(path, timeout_seconds=30) as client:
            with pytest.raises(
                DaemonUnavailableError, match="the socket accepts connections"
            ) as caught:
                await client.stop_sandbox("box-1", wait=False)
    assert "the peer is not a daemon" in str(caught.value)
    assert (caught.value.code, caught.value.retryable) == ("UNAVAILABLE", True)
    assert (caught.value.socket_path, caught.value.sandbox_id) == (str(path), "box-1")
    assert pauses == []


@pytest.mark.parametrize("peer", hostile.BROKEN_PEERS)
async def test_malformed_answers_are_refused(tmp_path: Path, peer: str) -> None:
    with listening(tmp_path / "peer", hostile.BROKEN_PEERS[peer]) as path:
        async with AgentsSandboxClient(path, timeout_seconds=30) as client:
            with pytest.raises(DaemonError, match="ping: ") as caught:
                await client.ping()
        assert caught.value.code in {"INTERNAL", "UNKNOWN"}
        errors = await errors_at(path, timeout_seconds=30, operation_timeout_seconds=30)
    # An answer that breaks the connection breaks it for all its calls.
    for error in errors.values():
        assert isinstance(error, DaemonError | ProtocolError | DaemonUnavailableError)


# Source: gRPC's table of HTTP/2 error codes, in its PROTOCOL-HTTP2.md.
@pytest.mark.parametrize(
    ("reset", "code"),
    [
        (0, "INTERNAL"),
        (1, "INTERNAL"),
        (2, "INTERNAL"),
        (11, "RESOURCE_EXHAUSTED"),
        (12, "PERMISSION_DENIED"),
    ],
)
async def test_a_request_that_is_reset_fails_with_its_code(
    tmp_path: Path, reset: int, code: str
) -> None:
    with listening(tmp_path / "peer", hostile.resetting(reset)) as path:
        errors = await errors_at(path, timeout_seconds=30, operation_timeout_seconds=30)
    for error in errors.values():
        assert isinstance(error, DaemonError)
        assert error.code == code


async def test_a_request_that_is_cancelled_is_lost(tmp_path: Path) -> None:
    with listening(tmp_path / "peer", hostile.resetting(8)) as path:
        errors = await errors_at(path, timeout_seconds=1, operation_timeout_seconds=1)
    for error in errors.values():
        assert isinstance(error, DaemonUnavailableError)
        assert (error.code, error.retryable) == ("CANCELLED", True)


@any_release
@pytest.mark.parametrize("peer", [hostile.silent, hostile.closing, hostile.http1, hostile.http2()])
async def test_a_daemon_that_replaces_the_peer_is_found(
    tmp_path: Path, release: str, peer: hostile.Behaviour
) -> None:
    path = tmp_path / "agboxd.sock"
    async with AgentsSandboxClient(path, **IMPATIENT) as client:
        with listening(path, peer), pytest.raises(SandboxClientError):
            await client.get_sandbox("box-1")
        path.unlink()
        with FakeDaemon(version=release, socket_path=path):
            assert (await client.ping(timeout_seconds=30)).version == release


def make_stale(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


PLACES: Mapping[str, tuple[Callable[[Path], object], str, bool]] = {
    "nothing": (lambda path: None, "the socket does not exist", True),
    "no folder": (lambda path: path.parent.rmdir(), "is missing", True),
    "a file": (Path.touch, "it is not a socket", False),
    "a folder": (Path.mkdir, "it is not a socket", False),
    "a pipe": (os.mkfifo, "it is not a socket", False),
    "a stale socket": (make_stale, "the socket is stale", True),
}


@pytest.mark.parametrize("place", PLACES)
async def test_a_socket_without_a_listener_is_not_waited_for(
    tmp_path: Path, pauses: list[float], place: str
) -> None:
    make, told, retryable = PLACES[place]
    (tmp_path / "agbox").mkdir()
    make(tmp_path / "agbox" / "agboxd.sock")
    errors = await errors_at(tmp_path / "agbox" / "agboxd.sock")
    for error in errors.values():
        assert isinstance(error, DaemonUnavailableError)
        assert told in str(error)
        assert error.retryable is retryable
    assert pauses == []


# The permissions are simulated, because tests may run as the superuser.
async def test_a_forbidden_socket_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    def deny(path: object, **kwargs: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as denied:
        denied.setattr(os, "stat", deny)
        errors = await errors_at(tmp_path / "agboxd.sock")
    for error in errors.values():
        assert isinstance(error, DaemonUnavailableError)
        assert "permission denied for one of its folders" in str(error)
        assert not error.retryable
    assert pauses == []


@any_release
async def test_a_daemon_is_not_waited_for_if_a_file_replaced_its_socket(
    client: AgentsSandboxClient, daemon: FakeDaemon, pauses: list[float]
) -> None:
    await client.ping()
    daemon.kill(stale_socket=False)
    Path(daemon.socket_path).touch()
    for call in CALLS.values():
        with pytest.raises(DaemonUnavailableError, match="it is not a socket"):
            await call(client)
    assert pauses == []
