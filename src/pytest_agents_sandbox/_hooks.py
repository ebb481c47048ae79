"""The plugin's side of pytest: its options, its marker, and how a test went or has to go."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

MARKER = (
    "agents_sandbox(*, faults=(), leaks=True, all_used=True, **options): a test's fake daemon. "
    "Options go to agents_sandbox.testing.FakeDaemon, such as version= and exec_mode=; "
    "faults: a function, or a list of them, each given the running daemon before the test; "
    "leaks=False: do not fail the test for event streams and processes that it leaves; "
    "all_used=False: nor for faults and scripts that it planned and never used. "
    "Each keyword counts that stands closest to the test."
)

_PASSED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the command line."""
    group = parser.getgroup("agents-sandbox", "agents-sandbox daemon")
    group.addoption(
        "--agents-sandbox-socket",
        metavar="PATH",
        # Tests may change the folder.
        type=lambda path: str(Path(path).absolute()),
        help="run the tests against the live daemon at this socket; those that need the fake "
        "one are skipped",
    )
    group.addoption(
        "--agents-sandbox-version",
        metavar="VERSION",
        help="the fake daemon's version for tests whose marker names none",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the fixture that needs pytest-asyncio where that is."""
    config.addinivalue_line("markers", MARKER)
    if live_socket(config) is not None and fake_version(config) is not None:
        raise pytest.UsageError(
            "--agents-sandbox-version is of the fake daemon, --agents-sandbox-socket leads to "
            "a live one: give only one of them"
        )
    if config.pluginmanager.hasplugin("asyncio"):
        from . import _loop  # noqa: PLC0415 - imports pytest-asyncio

        config.pluginmanager.register(_loop, _loop.__name__)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which daemon the tests meet, where that is not the usual one."""
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
    """Return the socket of the live daemon to test against; None: the fake one."""
    path: str | None = config.getoption("agents_sandbox_socket")
    return path


def fake_version(config: pytest.Config) -> str | None:
    """Return the version that the fake daemon has by default; None: its own."""
    version: str | None = config.getoption("agents_sandbox_version")
    return version


def passed(item: pytest.Item) -> bool:
    """Return whether a test ran to its end without failing or skipping."""
    return item.stash.get(_PASSED, False)


def fail(message: str) -> NoReturn:
    """Fail the test with a message alone: a traceback would lead into the plugin."""
    raise pytest.fail.Exception(message, pytrace=False) from None
