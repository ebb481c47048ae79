"""Fake daemons that several tests share, and what happens to them between two tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

from agents_sandbox.testing import FakeDaemon

from ._daemon import begin_faults, check_test, make_daemon, running_daemon
from ._factory import SHARED
from ._marker import MARK, DaemonSetup, daemon_keywords
from ._outcome import fail
from ._report import Watched, watch
from ._versions import Version

_OPTIONS = "agents_sandbox_daemon_factory(request, "


class SharedDaemon:
    """A daemon for the scope of a fixture, and the test that uses it now.

    Args:
        request: That of the fixture.
        daemon: The running daemon.
        defaults: The keywords that the fixture set.
    """

    def __init__(
        self, request: pytest.FixtureRequest, daemon: FakeDaemon, defaults: Mapping[str, Any]
    ) -> None:
        self.fixture = str(request.fixturename)
        self._scope = request.scope
        self._daemon = daemon
        self._defaults = defaults
        self._marks = list(request.node.iter_markers("agents_sandbox"))
        self._used: tuple[DaemonSetup, Watched] | None = None
        self._faults = ExitStack()

    def begin(self, item: pytest.Item) -> None:
        """Prepare the daemon for a test; fail the test if its marker asks for another daemon."""
        setup = self._setup(item)
        self._used = setup, watch(item, self._daemon)
        try:
            self._faults = begin_faults(setup, self._daemon)
        except BaseException:
            self._daemon.reset()  # pytest calls no `end()`
            raise

    def _setup(self, item: pytest.Item) -> DaemonSetup:
        marks = [
            mark
            for mark in item.iter_markers("agents_sandbox")
            if not any(mark is known for known in self._marks)
        ]
        if keywords := daemon_keywords(marks):
            fail(
                f"{item.nodeid}: {MARK} sets {', '.join(keywords)}, but the fixture {self.fixture} "
                f"shares its daemon in the scope {self._scope}: pass it to "
                "agents_sandbox_daemon_factory there, or set it for the whole scope"
            )
        return DaemonSetup.of(item, self._defaults)

    def end(self, item: pytest.Item) -> None:
        """Check what a test left behind, and let the daemon forget the test."""
        used, self._used = self._used, None
        # None: its setup failed, or it asked for the fixture only while it ran.
        setup, watched = used or (None, watch(item, self._daemon))
        try:
            self._faults.close()
            check_test(item, self._daemon, setup or self._setup(item), _OPTIONS)
        except BaseException:
            watched.freeze()
            with suppress(Exception, pytest.fail.Exception):  # the first error matters
                self._daemon.reset()
            raise
        watched.freeze()
        self._daemon.reset()


@contextmanager
def shared_daemon(
    version: Version, request: pytest.FixtureRequest, defaults: Mapping[str, Any]
) -> Iterator[FakeDaemon]:
    """Run a daemon for the scope of a fixture.

    Args:
        version: The version if neither the fixture nor a marker sets one.
        request: That of the fixture.
        defaults: Keywords of the marker that the fixture sets.
    """
    if "versions" in defaults:
        fail(
            f"the fixture {request.fixturename} sets versions=: set it with {MARK} for the whole "
            "scope, or with --agents-sandbox-versions"
        )
    setup = DaemonSetup.of(request.node, defaults)
    own = setup.options.get("version", version.name)
    if version.is_one_of_many and own != version.name:
        fail(
            f"the fixture {request.fixturename} sets version={own!r}, but versions= or "
            "--agents-sandbox-versions ask for several: remove one of them"
        )
    if request.scope == "function":
        with running_daemon(request.node, setup, version.name) as daemon:
            yield daemon
        return
    running = request.config.stash.setdefault(SHARED, [])
    with make_daemon(request.node, setup, version.name) as daemon:
        shared = SharedDaemon(request, daemon, defaults)
        running.append(shared)
        yield daemon
        running.remove(shared)
