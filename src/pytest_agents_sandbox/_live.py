"""A separate plugin, registered only if tests run against a live daemon."""

from __future__ import annotations

import pytest

from ._factory import skip_live
from ._marker import DaemonSetup
from ._options import live_socket


@pytest.fixture
def agents_sandbox_socket(request: pytest.FixtureRequest) -> str:
    """The path of the live daemon's socket, of --agents-sandbox-socket."""
    if keywords := DaemonSetup.of(request.node).fake_only:
        skip_live(request, f"sets {', '.join(keywords)} in its marker")
    socket_path = live_socket(request.config)
    assert socket_path is not None  # noqa: S101 - tells type checkers
    return socket_path
