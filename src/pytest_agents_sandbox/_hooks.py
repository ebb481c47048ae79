"""The plugin's interface to pytest: options, the marker, releases, and the outcome of tests."""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal

import pytest

from ._options import add_options, check_options, header, live_socket
from ._other_sdk import refuse_other_sdk
from ._outcome import record_outcome
from ._report import SECTION, descriptions
from ._versions import FACTORY, VERSION, versions_of

MARKER = (
    "agents_sandbox(*, versions=None, faults=(), leaks=True, all_used=True, redact=(), **options): "
    "configure "
    "the test's fake daemon. Options such as version= and exec_mode= are passed to "
    "agents_sandbox.testing.FakeDaemon; "
    "versions: a list of releases, or 'all': run the test once with each; "
    "faults: a function or a list of functions, called with the running daemon before the test; "
    "leaks=False: do not fail a test that leaves event streams or processes behind; "
    "all_used=False: do not fail a test that leaves planned faults, scripts or recorded takes "
    "unused; "
    "cassette=True: replay cassettes/<module>/<test>.json beside the test file, which "
    "--agents-sandbox-record records; a path relative to the test file names another one; "
    "redact: texts that are replaced in it. "
    "If a keyword is set more than once, the setting closest to the test applies."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the command line and of the configuration."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and the fixtures that depend on the options and on other plugins."""
    refuse_other_sdk()
    config.addinivalue_line("markers", MARKER)
    for name in ("agents_sandbox_socket", "agents_sandbox_record"):
        if (written := config.getoption(name)) is not None:
            setattr(config.option, name, _resolved(name, written))
    check_options(config)
    if live_socket(config) is not None:
        from . import _live  # noqa: PLC0415 - imports gRPC

        config.pluginmanager.register(_live, _live.__name__)
    if config.pluginmanager.hasplugin("asyncio"):
        from . import _loop  # noqa: PLC0415 - imports pytest-asyncio

        config.pluginmanager.register(_loop, _loop.__name__)


# At once, because tests may change the working folder.
def _resolved(name: str, written: str) -> str:
    from agents_sandbox import InvalidArgumentError, SyncAgentsSandboxClient  # noqa: PLC0415 - imports gRPC

    try:
        with SyncAgentsSandboxClient(written) as client:
            return client.socket_path
    except InvalidArgumentError as error:
        raise pytest.UsageError(f"--{name.replace('_', '-')}: {error}") from None


def pytest_report_header(config: pytest.Config) -> str:
    """Report which daemon the tests use."""
    return header(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once with each release that its marker or the command line names."""
    if VERSION not in metafunc.fixturenames:
        return
    versions = versions_of(metafunc.definition, metafunc.config)
    if versions is not None:
        # Daemons that tests share live longer than a test; pytest then goes version by version.
        shared = FACTORY in metafunc.fixturenames
        scope: Literal["session", "function"] = "session" if shared else "function"
        metafunc.parametrize(VERSION, versions, indirect=True, scope=scope)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember for the teardown whether the test passed; describe the daemons of a failed one."""
    record_outcome(item, call)
    report = yield
    if report.failed:
        texts = descriptions(item, report.longreprtext)
        report.sections += [(SECTION, text) for text in texts]
    return report
