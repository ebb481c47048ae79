"""The fake daemon of one test, from its marker to the checks after the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from agents_sandbox.testing import FakeDaemon

from ._hooks import fail, fake_version, passed
from ._marker import DaemonSetup, refuse

# How long the ends of streams may take to arrive at the daemon, in seconds.
LEAK_TIMEOUT = 10.0


@contextmanager
def running_daemon(item: pytest.Item, setup: DaemonSetup) -> Iterator[FakeDaemon]:
    """Run the daemon of a test; afterwards, fail the test if it left something behind."""
    with make_daemon(item, setup) as daemon:
        with ExitStack() as blocks:
            for fault in setup.faults:
                made = fault(daemon)
                if isinstance(made, AbstractContextManager) and made is not daemon:
                    blocks.enter_context(made)
            yield daemon
        # A failed test had no chance to clean up, and its own error is what matters.
        if passed(item):
            check_left_behind(daemon, setup)


def make_daemon(item: pytest.Item, setup: DaemonSetup) -> FakeDaemon:
    """Make the daemon from the marker and the command line; fail the test if they are wrong."""
    version = fake_version(item.config)
    default = {} if version is None else {"version": version}
    try:
        return FakeDaemon(**{**default, **setup.options})
    except (TypeError, ValueError) as error:
        refuse(item, f"or --agents-sandbox-version is wrong: {error}")


def check_left_behind(daemon: FakeDaemon, setup: DaemonSetup) -> None:
    """Fail the test if something is left at its daemon after its clients were closed."""
    try:
        if setup.leaks:
            daemon.assert_no_leaks(timeout=LEAK_TIMEOUT)
    except AssertionError as error:
        fail(
            f"{error}\nEnd what is left, or allow it with @pytest.mark.agents_sandbox(leaks=False)"
        )
    try:
        if setup.all_used:
            daemon.assert_all_used()
    except AssertionError as error:
        fail(f"{error}\nRemove it, or allow it with @pytest.mark.agents_sandbox(all_used=False)")
