"""What all tests share: one fake daemon per test, on its own real socket."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from agents_sandbox._deadline import Backoff
from agents_sandbox.testing import ContainerBehavior, FakeDaemon

from .chaos.account import Account
from .examples import FEW, share

# Reproducible everywhere: the same examples on every run, and no time limit that a slow machine
# could exceed.
settings.register_profile("tests", derandomize=True, deadline=None)
# What one interpreter tries with a hundred examples, the others try with some.
settings.register_profile("few", settings.get_profile("tests"), max_examples=20)
settings.load_profile("few" if FEW else "tests")

# So many take some seconds for both flavours. `tox -e chaos` runs thousands.
CHAOS_RUNS = 16
RECORDED_RUNS = 4

# So many take a few seconds. A change of the primitives needs 2000, with several interpreters.
SIGNALS = 200

# Tests have no time for the interval of a health check.
QUICK = {
    image: ContainerBehavior(healthy_after=0) for image in ("postgres:16", "postgres:17", "redis:7")
}

# Each interpreter runs the tests in these folders, and each of them tries a share of the cases of a
# test: the releases of the daemon and all other parameters together.
CLIENTS = ("_async", "_sync_generated")

# Not so for tests with one of these marks: no interpreter leaves a case of them to another.
UNSHARED = ("once", "unmeasured", "unshared")

_CHAOS = pytest.StashKey[dict[str, Account]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suites; pytest does not look for them in subfolders."""
    group = parser.getgroup("contract", "contract with the real daemons")
    group.addoption(
        "--transcripts",
        metavar="DIR",
        help="replay the transcripts in this folder and in those in it (default: our own)",
    )
    group.addoption(
        "--daemon-socket",
        metavar="PATH",
        help="replay what is possible against the daemon that listens there",
    )
    group = parser.getgroup("chaos", "random faults")
    group.addoption(
        "--chaos-runs",
        metavar="N",
        type=int,
        default=CHAOS_RUNS,
        help="how many random programs to run in each flavour (default: %(default)s)",
    )
    group.addoption(
        "--chaos-seed",
        metavar="N",
        type=int,
        default=0,
        help="the seed of the first of them; the others follow (default: %(default)s)",
    )
    group.addoption(
        "--recorded-runs",
        metavar="N",
        type=int,
        default=RECORDED_RUNS,
        help="how many of them to run through the recorder, too (default: %(default)s)",
    )
    group = parser.getgroup("signals", "signals in the main thread")
    group.addoption(
        "--signals",
        metavar="N",
        type=int,
        default=SIGNALS,
        help="raise so many at random moments (default: %(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks."""
    config.stash[_CHAOS] = {}
    for mark in (
        "releases(*releases, everywhere=False): run with a daemon of each of these",
        "once: does not depend on the interpreter, so `tox` runs it with one of them only",
        "twice: depends little on the interpreter, so `tox` runs it with two of them only",
        "unmeasured: no coverage depends on it, so `tox` runs it where none is measured",
        "unshared: each interpreter tries all of its cases, because they cover different code",
        "slow: tries very many cases, so `tox -e quick` leaves it out",
    ):
        config.addinivalue_line("markers", mark)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Give the processes of xdist time to end."""
    # They write their coverage then. On a busy machine that takes longer than the 10 s after which
    # they would be killed, and their coverage lost.
    session: Any = config.pluginmanager.get_plugin("dsession")
    session.nodemanager.EXIT_TIMEOUT = 60


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of the fake daemon and of the plugin, and share out those of the clients."""
    shared: dict[tuple[Path, str], list[pytest.Item]] = {}
    for item in items:
        if item.path.parent.name in ("testing", "plugin"):
            item.add_marker(pytest.mark.twice)  # all tests of clients use both
        elif item.path.parent.name in CLIENTS and not any(map(item.get_closest_marker, UNSHARED)):
            shared.setdefault((item.path, item.name.partition("[")[0]), []).append(item)
    left_out = {item for cases in shared.values() for item in set(cases) - set(share(cases))}
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish() -> None:
    """Spare the garbage collector the thousands of tests, which live to the end."""
    # Tests collect garbage to see what is left; with these it would take a quarter of a second.
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with a daemon once for each release in its mark."""
    mark = metafunc.definition.get_closest_marker("releases")
    if mark is not None and "release" in metafunc.fixturenames:
        metafunc.parametrize("release", _releases(metafunc, mark))
    if "chaos_seed" in metafunc.fixturenames:
        options: Any = metafunc.config.option
        seeds = range(options.chaos_seed, options.chaos_seed + options.chaos_runs)
        metafunc.parametrize("chaos_seed", seeds)
    if "recorded_seed" in metafunc.fixturenames:
        options = metafunc.config.option
        seeds = range(options.chaos_seed, options.chaos_seed + options.recorded_runs)
        metafunc.parametrize("recorded_seed", seeds)


def _releases(metafunc: pytest.Metafunc, mark: pytest.Mark) -> list[Any]:
    if metafunc.definition.path.parent.name in CLIENTS or mark.kwargs.get("everywhere"):
        return list(mark.args)
    *older, newest = mark.args
    return [*(pytest.param(release, marks=pytest.mark.once) for release in older), newest]


@pytest.fixture
def chaos_accounts(pytestconfig: pytest.Config) -> dict[str, Account]:
    """The accounts of the chaos suite, by flavour."""
    return pytestconfig.stash[_CHAOS]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the accounts of the chaos suite."""
    accounts = config.stash[_CHAOS]
    if accounts:
        terminalreporter.section("random faults")
    for flavour, account in accounts.items():
        for line in account.lines(flavour):
            terminalreporter.write_line(line)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client pauses for no time, and its clock does not move."""
    monkeypatch.setattr(Backoff, "pause", lambda backoff, deadline: 0.0)


@pytest.fixture
def release() -> str:
    """The release of the test's daemon, unless a mark sets another one."""
    return "0.2.1"


@pytest.fixture
def daemon(release: str) -> Iterator[FakeDaemon]:
    """A running fake daemon whose execs are scripted."""
    with FakeDaemon(version=release, containers=QUICK) as running:
        yield running
        if running.running:  # otherwise the test stopped it, and nothing is left
            running.assert_no_leaks()
