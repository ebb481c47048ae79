"""The same transcripts against a daemon that runs already, here another fake daemon."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._faults import kinds

from .replay import MismatchError, Report
from .session import live_replay
from .test_replay import recording, spoilt, with_host_step
from .transcripts import Json, Transcript
from .wire import Wire

pytestmark = [pytest.mark.once, pytest.mark.unmeasured]

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def live() -> Iterator[FakeDaemon]:
    with FakeDaemon(version="0.4.3", exec_mode="passthrough") as daemon:
        yield daemon


def replayed(transcript: Transcript, live: FakeDaemon, tmp_path: Path) -> Report:
    with live_replay(transcript, tmp_path, live.socket_path) as replay:
        replay.run()
    return replay.report


def test_a_scenario_can_be_repeated_and_leaves_nothing(live: FakeDaemon, tmp_path: Path) -> None:
    transcript = recording("v0.4.3/exec_nonzero")
    for turn in ("first", "second"):
        folder = tmp_path / turn
        assert replayed(transcript, live, folder) == Report(len(transcript.steps))
    wire = Wire(live.socket_path, "0.4.3", patience=10.0)
    left = wire.call("ListSandboxes", {})["response"].get("sandboxes", [])
    wire.close()
    assert all(handle["state"] == "SANDBOX_STATE_DELETING" for handle in left)


def test_what_belongs_to_others_is_left_alone(live: FakeDaemon, tmp_path: Path) -> None:
    wire = Wire(live.socket_path, "0.4.3", patience=10.0)
    spec = {"image": "x", "labels": {"job": "1"}}
    wire.call("CreateSandbox", {"sandbox_id": "somebody", "create_spec": spec})

    def without_the_races(steps: Json, _: Json) -> None:
        del steps[9:11]  # right after a delete and during it

    transcript = spoilt(recording("v0.4.3/delete_sandboxes_by_label"), without_the_races)
    report = replayed(transcript, live, tmp_path)
    assert report == Report(len(transcript.steps))
    sandbox = wire.call("GetSandbox", {"sandbox_id": "somebody"})["response"]["sandbox"]
    wire.close()
    assert sandbox["state"] == "SANDBOX_STATE_READY"


@pytest.mark.parametrize(
    ("name", "first", "reason"),
    [
        ("restart_deleting", 5, "it needs the fake daemon's API: live daemons are not changed"),
        ("retention", 21, "it depends on the start of the daemon, which was long ago"),
        ("crashloop", 6, "a pause of 270 s needs the fake daemon's clock"),
    ],
)
def test_what_needs_the_fake_daemon_is_listed(
    live: FakeDaemon, tmp_path: Path, name: str, first: int, reason: str
) -> None:
    transcript = recording(f"v0.4.3/{name}")
    report = replayed(transcript, live, tmp_path)
    background = [i for i, step in enumerate(transcript.steps[:first]) if step.get("background")]
    assert report.compared == first - len(background)
    listed = {index: why for index, _, why in report.not_replayed}
    later = [*background, *range(first + 1, len(transcript.steps))]
    assert listed == {first: reason, **dict.fromkeys(later, f"it builds on step {first}")}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("containers left", "it needs the fake daemon's API"),
        ("phase of the moon", "no code looks at it: add it to _HOST_STEPS in tests/contract/"),
    ],
)
def test_what_needs_no_more_than_a_look_does_not_end_the_replay(
    live: FakeDaemon, tmp_path: Path, text: str, reason: str
) -> None:
    report = replayed(with_host_step(text), live, tmp_path)
    ((index, what, why),) = report.not_replayed
    assert (report.compared, index, what) == (1, 0, text)
    assert why.startswith(reason)


@pytest.mark.parametrize("code", ["OK", "CANCELLED"])
def test_a_daemon_may_see_a_deadline_before_the_client(
    live: FakeDaemon,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: Literal["OK", "CANCELLED"],
) -> None:
    monkeypatch.setattr(kinds, "_BEFORE_DEADLINE", 0.5)  # else a slow client is faster
    transcript = recording("v0.4.3/subscribe_deadline")
    with live.faults.ending_at_deadlines(code, times=1) as fault:
        assert replayed(transcript, live, tmp_path) == Report(len(transcript.steps))
    assert fault.hits == 1


def test_differences_are_reported(live: FakeDaemon, tmp_path: Path) -> None:
    def spoil(steps: Json, _: Json) -> None:
        steps[4]["response"]["exec"]["exit_code"] = 4

    with pytest.raises(MismatchError, match=r"exec\.exit_code: recorded 4, got 3"):
        replayed(spoilt(recording("v0.4.3/exec_nonzero"), spoil), live, tmp_path)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[str]:
    """The socket of a fake daemon 0.4.3 in its own process."""
    socket_path = str(tmp_path / "agboxd.sock")
    options = ("--daemon-version", "0.4.3", "--exec", "passthrough", "--socket", socket_path)
    command = [sys.executable, "-m", "agents_sandbox.testing", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield socket_path
        process.terminate()


def contract(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the suite with its options."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "tests/contract"]
    return subprocess.run(
        [*command, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


def test_the_suite_runs_against_a_socket(program: str) -> None:
    chosen = "test_transcript and (exec_ok or unknown_ids or restart_deleting)"
    run = contract("--daemon-socket", program, "-k", chosen)
    assert run.returncode == 0, run.stdout
    steps = [len(recording(f"v0.4.3/{name}").steps) for name in ("exec_ok", "unknown_ids")]
    kept = sum(steps) + 5  # in restart_deleting, the steps before the kill
    told = "3 transcripts passed, 0 in the table of known gaps"
    assert f"{told}; {kept} steps compared, 8 not replayable" in run.stdout
    assert "v0.4.3/restart_deleting step 5, daemon: not replayed, it needs the fake" in run.stdout
    assert "is 0.4.3, not 0.2.1" in run.stdout


def test_the_suite_takes_a_folder(tmp_path: Path) -> None:
    source = REPOSITORY / "tests/contract/transcripts/v0.2.1/unknown_ids.json"
    text = source.read_text(encoding="utf-8")
    (tmp_path / "new.json").write_text(
        text.replace('"scenario": "unknown_ids"', '"scenario": "new"'), encoding="utf-8"
    )
    run = contract("--transcripts", str(tmp_path), "-k", "test_transcript")
    assert run.returncode == 0, run.stdout
    assert "1 transcripts passed" in run.stdout


def test_a_folder_without_transcripts_is_reported(tmp_path: Path) -> None:
    run = contract("--transcripts", str(tmp_path), "-k", "test_transcript")
    assert run.returncode != 0
    assert f"no transcripts (*.json, */*.json) in {tmp_path}" in run.stdout
