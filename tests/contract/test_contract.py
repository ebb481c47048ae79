"""The fake daemon behaves as the recorded ones did."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from .comparing import DOCKER, WORDINGS
from .conftest import Account
from .gaps import KNOWN_GAPS, Gap, gap_of, orphans
from .played import played
from .replay import MismatchError, Replay
from .session import fake_replay, live_replay
from .transcripts import RECORDINGS, Transcript, load, load_all
from .wire import Wire

pytestmark = [pytest.mark.once, pytest.mark.unmeasured]


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
        account.played[transcript.name] = played(transcript)
    with session as replay:
        account_for(transcript.name, replay, gap_of(transcript), account)


def account_for(name: str, replay: Replay, gap: Gap | None, account: Account) -> None:
    """Replay a transcript; a transcript with a row in the table of gaps must not pass."""
    try:
        replay.run()
    except MismatchError:
        if gap is None:
            raise
        account.in_table[name] = gap.reason
        pytest.xfail(gap.reason)
    assert gap is None, f"{name} passes: its row in KNOWN_GAPS is not needed"
    account.passed[name] = replay.report


def _skip_other_versions(transcript: Transcript, socket_path: str) -> None:
    """Skip transcripts of other releases; a local build replays all."""
    wire = Wire(socket_path, transcript.version, patience=10.0)
    answer = wire.call("Ping", {})
    wire.close()
    assert "response" in answer, f"no daemon answers at {socket_path}: {answer['error']}"
    version = answer["response"]["version"]
    if version not in ("dev", transcript.version):
        pytest.skip(f"the daemon at {socket_path} is {version}, not {transcript.version}")


@pytest.mark.parametrize("name", ["v0.4.3/ping", "v0.2.1/unknown_ids"])
def test_a_transcript_that_cannot_pass_has_a_row(tmp_path: Path, name: str) -> None:
    transcript = load(RECORDINGS / f"{name}.json")
    event = {"event_id": "x", "sequence": "1", "sandbox_id": "ghost-001"}
    event |= {"event_type": "SANDBOX_READY", "occurred_at": "2026-11-23T00:00:00Z"}
    spoilt = replace(transcript, events={"ghost-001": [event]})
    account, gap = Account(), Gap("*/*", None, "so it is")
    with (
        fake_replay(spoilt, tmp_path / "fixtures", tmp_path) as replay,
        pytest.raises(pytest.xfail.Exception, match="so it is"),
    ):
        account_for(name, replay, gap, account)
    assert account == Account(in_table={name: "so it is"})


def test_a_transcript_that_passes_must_not_have_a_row(tmp_path: Path) -> None:
    transcript, account = load(RECORDINGS / "v0.4.3/ping.json"), Account()
    gap = Gap("v0.4.3/p*", None, "so it was")
    with (
        fake_replay(transcript, tmp_path / "fixtures", tmp_path) as replay,
        pytest.raises(AssertionError, match=r"v0\.4\.3/ping passes: its row .* is not needed"),
    ):
        account_for(transcript.name, replay, gap, account)
    assert account == Account()


def test_gaps_are_found_by_pattern() -> None:
    ping = load(RECORDINGS / "v0.4.3/ping.json")
    rows = (Gap("v0.2.1/*", None, "other release"), Gap("*/ping", 0, "step"), Gap("*", None, "all"))
    assert gap_of(ping, rows) == rows[2]
    assert gap_of(ping, rows[:2]) is None
    assert orphans([ping], rows) == [rows[0]]
    assert orphans([ping], [Gap("*", 1, "no such step"), Gap("*", "moon", "no such host step")])


def test_each_row_of_each_table_is_about_something() -> None:
    transcripts = load_all(RECORDINGS)
    assert not orphans(transcripts, KNOWN_GAPS)
    recorded = json.dumps([[item.steps, item.events] for item in transcripts])
    for wording in (*WORDINGS, DOCKER):
        assert json.dumps(wording.prefix)[1:-1] in recorded
