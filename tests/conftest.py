"""What all tests share: one fake daemon a test, on a real socket of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from agents_sandbox.testing import FakeDaemon

# Reproducible everywhere: the same examples on each run, and no time limit
# that a slow machine could miss.
settings.register_profile("tests", derandomize=True, deadline=None)
settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the contract suite; pytest looks for them in no deeper folder."""
    group = parser.getgroup("contract", "contract with the real daemons")
    group.addoption(
        "--transcripts",
        metavar="DIR",
        help="replay the transcripts in this folder and in those in it (default: our own)",
    )
    group.addoption(
        "--daemon-socket",
        metavar="PATH",
        help="replay against the daemon that listens there, as far as that is possible",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks."""
    config.addinivalue_line("markers", "releases(*releases): run with a daemon of each of these")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that meets a daemon once for each release that it is marked with."""
    mark = metafunc.definition.get_closest_marker("releases")
    if mark is not None and "release" in metafunc.fixturenames:
        metafunc.parametrize("release", mark.args)


@pytest.fixture
def release() -> str:
    """The release of the test's daemon, where no mark says otherwise."""
    return "0.2.1"


@pytest.fixture
def daemon(release: str) -> Iterator[FakeDaemon]:
    """A running fake daemon whose execs are scripted."""
    with FakeDaemon(version=release) as running:
        yield running
        if running.running:  # else the test has ended it, and nothing is left
            running.assert_no_leaks()
