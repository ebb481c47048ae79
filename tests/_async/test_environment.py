"""Environment variables that set options of the client: argument, environment, default."""

from __future__ import annotations

import inspect

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    DaemonUnavailableError,
    InvalidArgumentError,
    OperationTimeoutError,
    SandboxState,
)
from agents_sandbox.testing import FakeDaemon

from ..releases import any_release

pytestmark = any_release

SOCKET = "AGENTS_SANDBOX_SOCKET"
TIMEOUT = "AGENTS_SANDBOX_TIMEOUT"
OPERATION_TIMEOUT = "AGENTS_SANDBOX_OPERATION_TIMEOUT"


async def test_the_socket_of_the_environment_is_used(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere")
    monkeypatch.setenv(SOCKET, f"unix://{daemon.socket_path}")
    async with AgentsSandboxClient() as client:
        monkeypatch.delenv(SOCKET)  # it was read when the client was made
        assert (await client.ping()).daemon == "agboxd"
        assert client.socket_path == daemon.socket_path


async def test_an_unavailable_daemon_is_reported_with_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SOCKET, "/nowhere/x.sock")
    async with AgentsSandboxClient() as client:
        with pytest.raises(DaemonUnavailableError, match=r"\(path from AGENTS_SANDBOX_SOCKET\)"):
            await client.ping()


def test_an_argument_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SOCKET, f"/{'x' * 200}")
    monkeypatch.setenv(TIMEOUT, "soon")
    monkeypatch.setenv(OPERATION_TIMEOUT, "later")
    # The same numbers as the defaults.
    client = AgentsSandboxClient("/run/x", timeout_seconds=5.0, operation_timeout_seconds=60.0)
    assert client.socket_path == "/run/x"


@pytest.mark.parametrize("variable", [SOCKET, TIMEOUT, OPERATION_TIMEOUT])
def test_an_empty_variable_counts_as_not_set(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    monkeypatch.setenv(variable, "")
    assert AgentsSandboxClient().socket_path == "/run/user/1/agbox/agboxd.sock"


@pytest.mark.parametrize("timeout", ["150ms", "0.15"])
async def test_the_timeout_of_the_environment_bounds_a_call(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, timeout: str
) -> None:
    monkeypatch.setenv(TIMEOUT, timeout)
    with daemon.faults.delaying(30, method="Ping"):
        async with AgentsSandboxClient(daemon.socket_path) as client:
            with pytest.raises(OperationTimeoutError, match=r"within 0\.15 s"):
                await client.ping()


async def test_the_operation_timeout_of_the_environment_bounds_a_wait(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OPERATION_TIMEOUT, "150ms")
    async with AgentsSandboxClient(daemon.socket_path) as client:
        sandbox = await client.create_sandbox(image="a:1", timeout_seconds=20)
        with pytest.raises(OperationTimeoutError) as caught:
            await client.wait_for_sandbox(sandbox, SandboxState.STOPPED)
    assert caught.value.timeout_seconds == 0.15


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        (SOCKET, "$NOT_SET/x", "that environment variable is not set"),
        (SOCKET, "https://host/x", ""),
        (SOCKET, f"/{'x' * 200}", "has 201 bytes"),
        (TIMEOUT, "5 s", ": invalid duration '5 s': write a number with its unit"),
        (TIMEOUT, "0s", " must be above 0"),
        (TIMEOUT, "-1", " must be above 0"),
        (TIMEOUT, "nan", " must be above 0"),
        (OPERATION_TIMEOUT, "soon", ": invalid duration 'soon'"),
        (OPERATION_TIMEOUT, "-1m", ""),
    ],
)
def test_an_error_names_the_variable(
    variable: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidArgumentError) as caught:
        AgentsSandboxClient()
    assert str(caught.value).startswith(variable)
    assert reason in str(caught.value)


def test_the_signature_shows_the_defaults() -> None:
    parameters = inspect.signature(AgentsSandboxClient).parameters
    assert parameters["timeout_seconds"].default == 5.0
    assert str(parameters["timeout_seconds"]).endswith(" = 5.0")
    assert str(parameters["operation_timeout_seconds"]).endswith(" = 60.0")
