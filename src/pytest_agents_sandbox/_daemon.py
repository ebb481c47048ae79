"""The fake daemon of one test, from its marker to the checks after the test."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest

from agents_sandbox.testing import ExecScript, FakeDaemon

from ._cassettes import check_cassette, with_cassette, without_sandboxes
from ._marker import MARK, DaemonSetup, refuse
from ._options import unscripted
from ._outcome import fail, passed
from ._report import watch

# How long the ends of streams may take to arrive at the daemon, in seconds.
LEAK_TIMEOUT = 10.0

_RECORD = "Record the cassette again with mode rewrite"


@contextmanager
def running_daemon(item: pytest.Item, setup: DaemonSetup, version: str) -> Iterator[FakeDaemon]:
    """Run the daemon of a test; afterwards, fail the test if it left something behind."""
    with make_daemon(item, setup, version) as daemon:
        watch(item, daemon)
        with without_sandboxes(item, daemon), begin_faults(setup, daemon):
            yield daemon
        check_test(item, daemon, setup)


def begin_faults(setup: DaemonSetup, daemon: FakeDaemon) -> ExitStack:
    """Call the marker's functions; return the blocks that they made, which are open."""
    with ExitStack() as blocks:
        for fault in setup.faults:
            made = fault(daemon)
            if made is None or isinstance(made, (FakeDaemon, ExecScript)):
                continue  # it has done its work
            if not isinstance(made, AbstractContextManager):
                if inspect.iscoroutine(made):
                    made.close()
                fail(
                    f"a function in faults= of {MARK} returned {made!r:.200}: return nothing, or "
                    "one block that lasts for the test, such as daemon.faults.failing(). What it "
                    "opens with its own `with` ends before the test"
                )
            blocks.enter_context(made)
        return blocks.pop_all()


def make_daemon(
    node: pytest.Item | pytest.Collector, setup: DaemonSetup, version: str
) -> FakeDaemon:
    """Make the daemon from the marker and the defaults; fail the test if they are wrong."""
    defaults: dict[str, Any] = {"version": version}
    # In other modes, each command really runs.
    if setup.options.get("exec_mode", "scripted") == "scripted":
        defaults["unscripted"] = unscripted(node.config)
    try:
        return FakeDaemon(**{**defaults, **with_cassette(node, setup)})
    except RuntimeError as error:  # commands cannot be isolated here
        refuse(node, f"cannot be satisfied: {error}")
    except OSError as error:  # the cassette's
        refuse(node, f"cannot be satisfied: {error}")
    except (TypeError, ValueError) as error:
        others = (
            "or what sets the version, --agents-sandbox-version(s) or the ini option "
            "agents_sandbox_version, "
        )
        default = "version" in str(error) and "version" not in setup.options
        refuse(node, f"{others if default else ''}is wrong: {error}")


def check_test(
    item: pytest.Item, daemon: FakeDaemon, setup: DaemonSetup, options: str = f"{MARK}("
) -> None:
    """Fail a test if something is wrong at its daemon after its clients were closed.

    Args:
        item: The test.
        daemon: Its daemon.
        setup: What its marker sets.
        options: How a call begins that sets arguments of the daemon.
    """
    if not check_cassette(item, daemon):
        return  # its commands went to another daemon
    # Also after a failed test: `stop()` would raise it with a traceback.
    has_cassette = bool(setup.options.get("cassette"))
    if has_cassette:
        check(daemon.assert_all_scripted, "an on_exec() of its own", _RECORD)
    elif daemon.unscripted == "fail":
        check(daemon.assert_all_scripted, f'{options}unscripted="succeed")', "Script it")
    # A failed test had no chance to clean up, and its own error is what matters.
    if not passed(item):
        return
    if setup.leaks:
        check(
            lambda: daemon.assert_no_leaks(timeout=LEAK_TIMEOUT),
            f"{MARK}(leaks=False)",
            "Close the streams, and stop or delete the sandboxes of processes",
        )
    if setup.all_used:
        remedy = f"{_RECORD}, and remove unused scripts" if has_cassette else "Remove it"
        check(daemon.assert_all_used, f"{MARK}(all_used=False)", remedy)


def check(assertion: Callable[[], None], permission: str, remedy: str) -> None:
    """Fail the test with the message of an assertion, a remedy, and what would allow it."""
    try:
        assertion()
    except AssertionError as error:
        fail(f"{error}\n{remedy}, or allow it with {permission}")
