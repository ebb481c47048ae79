"""`agents_sandbox_daemon_factory`: what makes daemons that several tests share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest

from ._options import live_socket

if TYPE_CHECKING:
    from agents_sandbox.testing import FakeDaemon

    from ._shared import SharedDaemon

SHARED: pytest.StashKey[list[SharedDaemon]] = pytest.StashKey()
"""The daemons that tests share now."""


class DaemonFactory:
    """Makes fake daemons for fixtures: the value of `agents_sandbox_daemon_factory`.

    Args:
        run: Runs a daemon for the scope of the fixture with this `request`.
    """

    def __init__(self, run: Callable[..., AbstractContextManager[FakeDaemon]]) -> None:
        self._run = run

    def __call__(self, request: pytest.FixtureRequest, **keywords: Any) -> FakeDaemon:
        """Start a daemon, and stop it at the end of the scope of a fixture.

        If the scope is wider than one test, the daemon is checked and reset after each test that
        uses the fixture.

        Args:
            request: The `request` of the fixture.
            keywords: As for the marker. Markers of the scope, such as `pytestmark` of a module,
                override them; those of single tests can set `faults=`, `leaks=` and `all_used=`.

        Returns:
            The running daemon.
        """
        if live_socket(request.config) is not None:
            skip_live(request, f"uses the fixture {request.fixturename}")
        context = self._run(request, keywords)
        daemon = context.__enter__()
        request.addfinalizer(lambda: context.__exit__(None, None, None))
        return daemon


def skip_live(request: pytest.FixtureRequest, reason: str) -> None:
    """Skip a test that cannot run against a live daemon."""
    pytest.skip(
        f"the test {reason}, so it needs the fake daemon; --agents-sandbox-socket selects the "
        f"live daemon at {live_socket(request.config)}"
    )
