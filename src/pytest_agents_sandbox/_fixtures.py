"""The fixtures. They import what they need only when they run: see the package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from ._factory import SHARED, DaemonFactory, skip_live
from ._options import default_version, live_socket
from ._versions import Version

if TYPE_CHECKING:
    from agents_sandbox import AgentsSandboxClient, SyncAgentsSandboxClient
    from agents_sandbox.testing import FakeDaemon

    from ._shared import SharedDaemon


# The SDK's defaults. Variables in the environment of a developer would change them.
_TIMEOUTS: Any = {"timeout_seconds": 5.0, "operation_timeout_seconds": 60.0}


@pytest.fixture(scope="session")
def _agents_sandbox_version(request: pytest.FixtureRequest) -> Version:
    if hasattr(request, "param"):
        return Version(request.param, is_one_of_many=True)
    return Version(default_version(request.config), is_one_of_many=False)


@pytest.fixture
def agents_sandbox_daemon(
    request: pytest.FixtureRequest, _agents_sandbox_version: Version
) -> Iterator[FakeDaemon]:
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
    with running_daemon(request.node, setup, _agents_sandbox_version.name) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def agents_sandbox_daemon_factory(_agents_sandbox_version: Version) -> DaemonFactory:
    """Makes a fake daemon for a fixture of any scope: `factory(request, **keywords)`.

    The keywords are those of the marker. Between two tests that share the daemon it is checked as
    `agents_sandbox_daemon` is, and reset. A fixture named `agents_sandbox_daemon` that returns it
    provides the daemon of the other fixtures.
    """
    from ._shared import shared_daemon

    return DaemonFactory(partial(shared_daemon, _agents_sandbox_version))


@pytest.fixture(autouse=True)
def _agents_sandbox_reset(request: pytest.FixtureRequest) -> Iterator[None]:
    # Set up after the fixtures of wider scopes and before the others of the test, so that these
    # end before it and those after it.
    for shared in _shared(request):
        shared.begin(request.node)
    yield
    with ExitStack() as ends:
        for shared in _shared(request):
            ends.callback(shared.end, request.node)


def _shared(request: pytest.FixtureRequest) -> list[SharedDaemon]:
    running = request.config.stash.get(SHARED, [])
    return [shared for shared in running if shared.fixture in request.fixturenames]


@pytest.fixture
def agents_sandbox_socket(
    request: pytest.FixtureRequest, agents_sandbox_daemon: FakeDaemon
) -> Iterator[str]:
    """The path of the daemon's socket, for programs and for the test's own clients.

    The daemon is `agents_sandbox_daemon`, or the live daemon of `--agents-sandbox-socket`. While
    the test's cassette is recorded, it is the live daemon of `--agents-sandbox-record`.
    """
    from ._cassettes import socket_for

    with socket_for(request.node, agents_sandbox_daemon) as socket_path:
        yield socket_path


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
    client = AgentsSandboxClient(agents_sandbox_socket, **_TIMEOUTS)
    yield client
    close(client)


@pytest.fixture
def sync_agents_sandbox_client(agents_sandbox_socket: str) -> Iterator[SyncAgentsSandboxClient]:
    """An `agents_sandbox.SyncAgentsSandboxClient` of the test's daemon, closed after the test."""
    from agents_sandbox import SyncAgentsSandboxClient

    with SyncAgentsSandboxClient(agents_sandbox_socket, **_TIMEOUTS) as client:
        yield client
