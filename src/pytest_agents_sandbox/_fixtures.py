"""The fixtures. They import what they need only when they run: see the package."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from ._hooks import live_socket

if TYPE_CHECKING:
    from agents_sandbox import AgentsSandboxClient, SyncAgentsSandboxClient
    from agents_sandbox.testing import FakeDaemon


@pytest.fixture
def agents_sandbox_daemon(request: pytest.FixtureRequest) -> Iterator[FakeDaemon]:
    """A running `agents_sandbox.testing.FakeDaemon` for this test alone.

    `@pytest.mark.agents_sandbox(version="0.2.0", ...)` sets its arguments. After a test that
    passed, event streams or processes that it left behind and faults or scripts that it never used
    make it fail. The plugin's clients close their streams before that.
    """
    from ._daemon import running_daemon
    from ._marker import DaemonSetup

    setup = DaemonSetup.of(request.node)
    if live_socket(request.config) is not None:
        skip_live(request, "uses the fixture agents_sandbox_daemon")
    with running_daemon(request.node, setup) as daemon:
        yield daemon


@pytest.fixture
def agents_sandbox_socket(request: pytest.FixtureRequest) -> str:
    """The path of the daemon's socket, for programs and for the test's own clients.

    The daemon is `agents_sandbox_daemon`, or the live daemon of --agents-sandbox-socket.
    """
    from ._marker import DaemonSetup

    socket_path = live_socket(request.config)
    if socket_path is None:
        daemon: FakeDaemon = request.getfixturevalue("agents_sandbox_daemon")
        return daemon.socket_path
    if keywords := DaemonSetup.of(request.node).fake_only:
        skip_live(request, f"sets {', '.join(keywords)} in its marker")
    return socket_path


@pytest.fixture
def agents_sandbox_client(
    request: pytest.FixtureRequest, agents_sandbox_socket: str
) -> Iterator[AgentsSandboxClient]:
    """An `agents_sandbox.AgentsSandboxClient` of the test's daemon, closed after the test.

    It is for async tests, with any plugin that runs them, and for `asyncio.run()` in plain tests.
    """
    from agents_sandbox import AgentsSandboxClient

    from ._closing import close

    by_pytest_asyncio = request.node.get_closest_marker("asyncio") is not None
    if by_pytest_asyncio and request.config.pluginmanager.hasplugin("asyncio"):
        # A fixture that is set up before the client outlives it.
        request.getfixturevalue("_agents_sandbox_loop")
    client = AgentsSandboxClient(agents_sandbox_socket)
    yield client
    close(client)


@pytest.fixture
def sync_agents_sandbox_client(agents_sandbox_socket: str) -> Iterator[SyncAgentsSandboxClient]:
    """An `agents_sandbox.SyncAgentsSandboxClient` of the test's daemon, closed after the test."""
    from agents_sandbox import SyncAgentsSandboxClient

    with SyncAgentsSandboxClient(agents_sandbox_socket) as client:
        yield client


def skip_live(request: pytest.FixtureRequest, reason: str) -> None:
    """Skip a test that cannot run against a live daemon."""
    pytest.skip(
        f"the test {reason}, so it needs the fake daemon; --agents-sandbox-socket selects the "
        f"live daemon at {live_socket(request.config)}"
    )
