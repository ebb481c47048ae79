"""The fake daemon of one test, from its marker to the checks after the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from agents_sandbox.testing import FakeDaemon

from ._hooks import fail, fake_version, passed, unscripted
from ._marker import DaemonSetup, refuse

# How long the ends of streams may take to arrive at the daemon, in seconds.
LEAK_TIMEOUT = 10.0


@contextmanager
def running_daemon(item: pytest.Item, setup: DaemonSetup) -> Iterator[FakeDaemon]:
    """Run the daemon of a test; afterwards, fail the test if it left something behind."""
    with make_daemon(item, setup) as daemon:
        for fault in setup.faults:
            fault(daemon)
        yield daemon
        # Also after a failed test: `stop()` would raise it with a traceback.
        if daemon.unscripted == "fail":
            check(daemon.assert_all_scripted, 'unscripted="succeed"', "Script it")
        # A failed test had no chance to clean up, and its own error is what matters.
        if passed(item):
            check_left_behind(daemon, setup)


def make_daemon(item: pytest.Item, setup: DaemonSetup) -> FakeDaemon:
    """Make the daemon from the marker and the command line; fail the test if they are wrong."""
    version = fake_version(item.config)
    default = {} if version is None else {"version": version}
    # In other modes, each command really runs.
    if setup.options.get("exec_mode", "scripted") == "scripted":
        default["unscripted"] = unscripted(item.config)
    try:
        return FakeDaemon(**{**default, **setup.options})
    except (TypeError, ValueError) as error:
        refuse(item, f"or --agents-sandbox-version is wrong: {error}")


def check_left_behind(daemon: FakeDaemon, setup: DaemonSetup) -> None:
    """Fail the test if something is left at its daemon after its clients were closed."""
    if setup.leaks:
        check(
            lambda: daemon.assert_no_leaks(timeout=LEAK_TIMEOUT), "leaks=False", "End what is left"
        )
    if setup.all_used:
        check(daemon.assert_all_used, "all_used=False", "Remove it")


def check(assertion: Callable[[], None], keyword: str, remedy: str) -> None:
    """Fail the test with the message of an assertion, a remedy, and the keyword that allows it."""
    try:
        assertion()
    except AssertionError as error:
        fail(f"{error}\n{remedy}, or allow it with @pytest.mark.agents_sandbox({keyword})")
