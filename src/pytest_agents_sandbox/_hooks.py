"""The plugin's interface to pytest: options, the marker, and the outcome of tests."""

from __future__ import annotations

import reprlib
from typing import NoReturn

import pytest

from ._other_sdk import refuse_other_sdk

MARKER = (
    "agents_sandbox(*, faults=(), leaks=True, all_used=True, **options): configure the test's fake "
    "daemon. Options such as version= and exec_mode= are passed to "
    "agents_sandbox.testing.FakeDaemon; "
    "faults: a function or a list of functions, called with the running daemon before the test; "
    "leaks=False: do not fail a test that leaves event streams or processes behind; "
    "all_used=False: do not fail a test that leaves planned faults or scripts unused. "
    "If a keyword is set more than once, the setting closest to the test applies."
)

UNSCRIPTED = ("succeed", "fail")

_PASSED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the command line."""
    group = parser.getgroup("agents-sandbox", "agents-sandbox daemon")
    group.addoption(
        "--agents-sandbox-socket",
        metavar="PATH",
        help="run the tests against the live daemon at this socket; skip those that need the fake "
        "daemon",
    )
    group.addoption(
        "--agents-sandbox-version",
        metavar="VERSION",
        help="the fake daemon's version for tests whose marker does not set one",
    )
    group.addoption(
        "--agents-sandbox-unscripted",
        choices=UNSCRIPTED,
        help="what commands that match no on_exec() do where the marker does not say: succeed, or "
        "fail, which fails the test, too (default: the ini option agents_sandbox_unscripted)",
    )
    parser.addini(
        "agents_sandbox_unscripted",
        "what commands that match no on_exec() do where the marker does not say: succeed or fail",
        default="succeed",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and, if pytest-asyncio is installed, the fixture that needs it."""
    refuse_other_sdk()
    if unscripted(config) not in UNSCRIPTED:
        raise pytest.UsageError(
            f"the ini option agents_sandbox_unscripted must be {' or '.join(UNSCRIPTED)}, not "
            f"{reprlib.repr(unscripted(config))}"
        )
    config.addinivalue_line("markers", MARKER)
    if (written := live_socket(config)) is not None:
        config.option.agents_sandbox_socket = _resolved(written)
    if live_socket(config) is not None and fake_version(config) is not None:
        raise pytest.UsageError(
            "--agents-sandbox-version sets the version of the fake daemon, but "
            "--agents-sandbox-socket selects a live daemon: pass only one of them"
        )
    if config.pluginmanager.hasplugin("asyncio"):
        from . import _loop  # noqa: PLC0415 - imports pytest-asyncio

        config.pluginmanager.register(_loop, _loop.__name__)


# At once, because tests may change the working folder.
def _resolved(written: str) -> str:
    from agents_sandbox import InvalidArgumentError, SyncAgentsSandboxClient  # noqa: PLC0415 - imports gRPC

    try:
        with SyncAgentsSandboxClient(written) as client:
            return client.socket_path
    except InvalidArgumentError as error:
        raise pytest.UsageError(f"--agents-sandbox-socket: {error}") from None


def pytest_report_header(config: pytest.Config) -> str | None:
    """Report which daemon the tests use, if it is not the default one."""
    if (socket_path := live_socket(config)) is not None:
        return f"agents-sandbox: live daemon at {socket_path}"
    if (version := fake_version(config)) is not None:
        return f"agents-sandbox: fake daemon {version}"
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Remember for the teardown whether the test passed."""
    if call.when == "call":
        item.stash[_PASSED] = call.excinfo is None


def live_socket(config: pytest.Config) -> str | None:
    """Return the socket of the live daemon to test against; None: use the fake daemon."""
    path: str | None = config.getoption("agents_sandbox_socket")
    return path


def fake_version(config: pytest.Config) -> str | None:
    """Return the version from the command line; None: the fake daemon's own default."""
    version: str | None = config.getoption("agents_sandbox_version")
    return version


def unscripted(config: pytest.Config) -> str:
    """Return what unscripted commands do where the marker does not say."""
    option: str | None = config.getoption("agents_sandbox_unscripted")
    return option or str(config.getini("agents_sandbox_unscripted"))


def passed(item: pytest.Item) -> bool:
    """Return whether a test ran to its end without a failure or a skip."""
    return item.stash.get(_PASSED, False)


def fail(message: str) -> NoReturn:
    """Fail the test with only a message: a traceback would show the plugin's code."""
    raise pytest.fail.Exception(message, pytrace=False) from None
