"""One test for each transcript, and a summary of all of them at the end of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from agents_sandbox.testing._commands.isolation.probe import obstacle_to_isolation

from .gaps import KNOWN_GAPS, Gap
from .hosts import EXEC_MODE
from .played import Played
from .replay import Report
from .session import fake_replay
from .transcripts import RECORDINGS, Transcript, load_all


@dataclass
class Account:
    """The results of all transcripts of a run."""

    passed: dict[str, Report] = field(default_factory=dict)
    """By name."""
    in_table: dict[str, str] = field(default_factory=dict)
    """The transcripts that cannot pass, with the reason."""
    played: dict[str, dict[str, Played]] = field(default_factory=dict)
    """The commands that were played back, by exec id."""


_ACCOUNT = pytest.StashKey[Account]()


def transcripts_of(config: pytest.Config) -> list[Transcript]:
    """The transcripts that this run replays."""
    return load_all(Path(config.getoption("--transcripts") or RECORDINGS))


@pytest.fixture
def replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    """Replays a transcript."""
    monkeypatch.setenv("HOME", str(tmp_path))

    folders = (tmp_path / f"fixtures-{number}" for number in count())

    def run(transcript: Transcript, gaps: Sequence[Gap] = KNOWN_GAPS) -> Report:
        with fake_replay(transcript, next(folders), tmp_path, gaps) as replay:
            replay.run()
            return replay.report

    return run


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ACCOUNT] = Account()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "transcript" in metafunc.fixturenames:
        found = transcripts_of(metafunc.config)
        metafunc.parametrize("transcript", found, ids=[item.name for item in found])


@pytest.fixture
def account(pytestconfig: pytest.Config) -> Account:
    """The summary of this run."""
    return pytestconfig.stash[_ACCOUNT]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    account = config.stash[_ACCOUNT]
    if account.passed or account.in_table:
        terminalreporter.section("contract with the real daemons")
        for line in _lines(account):
            terminalreporter.write_line(line)


def _lines(account: Account) -> Iterator[str]:
    reports = account.passed.values()
    left_out = sum(len(report.not_replayed) for report in reports)
    yield (
        f"{len(account.passed)} transcripts passed, {len(account.in_table)} in the table of "
        f"known gaps; {sum(report.compared for report in reports)} steps compared, "
        f"{left_out} not replayable"
    )
    if EXEC_MODE == "passthrough":
        yield f"commands were not isolated: {obstacle_to_isolation()}"
    for name, reason in account.in_table.items():
        yield f"{name} does not pass: {reason}"
    for name, report in account.passed.items():
        for index, what, why in report.not_replayed:
            yield f"{name} step {index}, {what}: not replayed, {why}"
        for exec_id, item in account.played.get(name, {}).items():
            yield f"{name} exec {exec_id}: scripted, {item.reason}"
