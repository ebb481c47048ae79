"""The fake daemon behaves as the recorded ones did."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Account
from .gaps import gap_of, orphans
from .replay import MismatchError
from .session import fake_replay, live_replay
from .transcripts import RECORDINGS, Transcript, load_all
from .wire import Wire


def test_transcript(
    transcript: Transcript,
    account: Account,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    socket_path = pytestconfig.getoption("--daemon-socket")
    if socket_path:
        _skip_other_versions(transcript, socket_path)
        session = live_replay(transcript, tmp_path / "fixtures", socket_path)
    else:
        session = fake_replay(transcript, tmp_path / "fixtures", home)
    gap = gap_of(transcript)
    with session as replay:
        try:
            replay.run()
        except MismatchError:
            if gap is None:
                raise
            account.in_table[transcript.name] = gap.reason
            pytest.xfail(gap.reason)
    assert gap is None, f"{transcript.name} passes: its row in KNOWN_GAPS is not needed any more"
    account.passed[transcript.name] = replay.report


def _skip_other_versions(transcript: Transcript, socket_path: str) -> None:
    """A release replays its own transcripts; a local build whatever it is given."""
    wire = Wire(socket_path, transcript.version, patience=10.0)
    answer = wire.call("Ping", {})
    wire.close()
    assert "response" in answer, f"no daemon answers at {socket_path}: {answer['error']}"
    version = answer["response"]["version"]
    if version not in ("dev", transcript.version):
        pytest.skip(f"the daemon at {socket_path} is {version}, not {transcript.version}")


def test_each_row_of_the_table_of_gaps_is_about_something() -> None:
    assert not orphans(load_all(RECORDINGS))
