"""The replay itself: it reports all differences and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseError

from .gaps import Gap
from .replay import MismatchError, Report
from .session import fake_replay
from .transcripts import RECORDINGS, Json, Transcript, load

pytestmark = [pytest.mark.once, pytest.mark.unmeasured]

Change = Callable[[Json, Json], object]
"""Spoils the steps and the events of a recording."""


def recording(name: str) -> Transcript:
    return load(RECORDINGS / f"{name}.json")


def spoilt(transcript: Transcript, change: Change) -> Transcript:
    steps, events = copy.deepcopy(([*transcript.steps], dict(transcript.events)))
    change(steps, events)
    return replace(transcript, steps=steps, events=events)


def swap(events: Json, first: int, second: int) -> None:
    """Exchange two events together with their sequences."""
    events[first], events[second] = events[second], events[first]
    for index in (first, second):
        events[index]["sequence"] = str(index + 1)
        events[index]["event_id"] = f"{events[index]['sandbox_id']}-{index + 1}"


CHANGES: dict[str, tuple[str, Change, str]] = {
    "a field": (
        "v0.2.1/create_minimal",
        lambda steps, _: steps[0]["response"]["sandbox"].update(image="other:1"),
        "step 0, CreateSandbox: sandbox.image: recorded 'other:1', got 'ghcr.io",
    ),
    "a field too many": (
        "v0.2.1/create_minimal",
        lambda steps, _: steps[0]["response"]["sandbox"].pop("image"),
        "step 0, CreateSandbox: sandbox.image: recorded None",
    ),
    "the number of a list's items": (
        "v0.2.1/create_minimal",
        lambda steps, _: steps[4]["response"]["sandboxes"].append({"sandbox_id": "min-0002"}),
        "step 4, ListSandboxes: sandboxes length: recorded 2, got 1",
    ),
    "an error's message": (
        "v0.2.1/unknown_ids",
        lambda steps, _: steps[3]["error"].update(message="sandbox ghost-001 is gone"),
        "step 3, GetSandbox: error.message: recorded 'sandbox ghost-001 is gone'",
    ),
    "an error's metadata": (
        "v0.2.1/unknown_ids",
        lambda steps, _: steps[3]["error"].update(metadata={}),
        "step 3, GetSandbox: error.metadata.sandbox_id: recorded None",
    ),
    "an error in place of an answer": (
        "v0.2.1/ping",
        lambda steps, _: steps[0].update(error={"code": "INTERNAL", "message": "no"}),
        "step 0, Ping: error: recorded {'code': 'INTERNAL', 'message': 'no'}, got None",
    ),
    "an answer in place of an error": (
        "v0.2.1/unknown_ids",
        lambda steps, _: (steps[3].pop("error"), steps[3].update(response={})),
        "step 3, GetSandbox: error: recorded None, got {'code': 'NOT_FOUND'",
    ),
    "the state that is waited for": (
        "v0.2.1/create_minimal",
        lambda steps, _: steps[2].update(reached="SANDBOX_STATE_FAILED"),
        "step 2, wait: reached: recorded 'SANDBOX_STATE_FAILED', got 'SANDBOX_STATE_READY'",
    ),
    "a log": (
        "v0.2.1/exec_nonzero",
        lambda steps, _: steps[5]["observed"].update(
            {"<EXEC_LOG_ROOT>/exn-0001/exn-exec-1.stdout.log": None}
        ),
        "exn-exec-1.stdout.log: recorded None, got 'o\\n'",
    ),
    "a stream's event": (
        "v0.4.3/subscribe_snapshot",
        lambda steps, _: steps[3]["stream"][0].pop("snapshot"),
        "step 3, SubscribeSandboxEvents: stream[0]",
    ),
    "a stream's end": (
        "v0.4.3/subscribe_unknown",
        lambda steps, _: steps[0].update(end="server closed with OK"),
        "step 0, SubscribeSandboxEvents: end: recorded 'server closed with OK', got 'error'",
    ),
    "a background stream's event": (
        "v0.4.3/services_healthy",
        lambda steps, _: steps[1]["stream"][8].update(sandbox_state="SANDBOX_STATE_FAILED"),
        "in the background: stream[8].sandbox_state: recorded 'SANDBOX_STATE_FAILED'",
    ),
    "an event less": (
        "v0.2.1/create_minimal",
        lambda _, events: events["min-0001"].pop(),
        "history of min-0001: events length: recorded 4, got 5",
    ),
    "an event more": (
        "v0.2.1/create_minimal",
        lambda _, events: events["min-0001"].append(
            {**events["min-0001"][-1], "event_id": "min-0001-6", "sequence": "6"}
        ),
        "history of min-0001: events length: recorded 6, got 5",
    ),
    "the order of events": (
        "v0.2.1/exec_nonzero",
        lambda _, events: swap(events["exn-0001"], 4, 5),
        "history of exn-0001: events[4].event_type: recorded 'EXEC_STARTED', got 'EXEC_FAILED'",
    ),
    "the order of required services": (
        "v0.2.1/services_healthy",
        lambda _, events: swap(events["svh-0001"], 2, 3),
        "history of svh-0001: events[2].service.service_name: recorded 'db', got 'cache'",
    ),
    "the event that a time belongs to": (
        "v0.2.1/create_minimal",
        lambda steps, events: steps[3]["response"]["sandbox"].update(
            state_changed_at=events["min-0001"][1]["occurred_at"]
        ),
        "recorded 'the time of SANDBOX_PREPARING no. 1', got 'the time of SANDBOX_READY no. 1'",
    ),
    "when it was created": (
        "v0.2.1/create_minimal",
        lambda steps, events: steps[3]["response"]["sandbox"].update(
            created_at=events["min-0001"][0]["occurred_at"]
        ),
        "times.created: recorded 'at event 1', got 'before event 1'",
    ),
    "a generated id": (
        "v0.2.1/create_generated_id",
        lambda steps, _: steps[4]["response"]["exec"].update(
            exec_id="54cf66dd-3e4d-4137-af74-0b4713a8106b"
        ),
        "step 4, GetExec: exec.exec_id: recorded '54cf66dd",
    ),
    "a container": (
        "v0.4.3/services_healthy",
        lambda steps, _: steps[9].update(observed="agbox-primary-svh-0001"),
        "step 9, containers: observed: recorded 'agbox-primary-svh-0001', got 'agbox-cc-svh-0001-",
    ),
    "the state of a container": (
        "v0.4.3/crashloop",
        lambda steps, _: steps[13].update(
            observed=steps[13]["observed"].replace("comp1 running", "comp1 exited")
        ),
        "step 13, primary container: observed: recorded 'agbox-cc-crl-comp1-loop restarting\\n",
    ),
    "a network": (
        "v0.4.3/create_every_field",
        lambda steps, _: steps.insert(2, {**steps[12], "observed": "agbox-net-full-0002"}),
        "step 2, containers and networks left: observed: recorded 'agbox-net-full-0002', got",
    ),
    "the limit of a container": (
        "v0.4.3/create_every_field",
        lambda steps, _: steps[8].update(
            observed=steps[8]["observed"].replace("nano=500000000", "nano=5")
        ),
        "step 8, docker inspect of the primary: observed.nano: recorded 5, got 500000000",
    ),
    "what was inspected": (
        "v0.2.1/create_minimal",
        lambda steps, _: steps.append(
            {"host": "docker inspect of the primary", "observed": "mem=0"}
        ),
        "docker inspect of the primary: observed: recorded {'mem': 0}, got None",
    ),
    "a host step's outcome": (
        "v0.4.3/shutdown",
        lambda steps, _: steps[3].update(observed=True),
        "step 3, socket file after exit: observed: recorded True, got False",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_differences_are_reported(replayed: Callable[..., Report], change: str) -> None:
    name, spoil, told = CHANGES[change]
    with pytest.raises(MismatchError) as caught:
        replayed(spoilt(recording(name), spoil))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("v0.4.3/services_many", 4, 5),  # two companions
        ("v0.4.3/services_many", 2, 3),  # a companion and SANDBOX_READY
        ("v0.4.3/exec_running_at_stop_delete", 5, 6),  # what is killed and SANDBOX_DELETED
    ],
)
def test_what_a_daemon_may_choose_does_not_matter(
    replayed: Callable[..., Report], name: str, first: int, second: int
) -> None:
    def exchange(_: Json, events: Json) -> None:
        swap(list(events.values())[-1], first, second)

    replayed(spoilt(recording(name), exchange))


def test_a_state_that_never_comes_ends_the_replay(replayed: Callable[..., Report]) -> None:
    def spoil(steps: Json, _: Json) -> None:
        steps[2]["wait"]["sandbox_id"] = "min-0002"

    with pytest.raises(MismatchError, match=r"step 2, wait: GetSandbox ends with.*not replayed"):
        replayed(spoilt(recording("v0.2.1/create_minimal"), spoil))


def test_an_unknown_value_cannot_be_sent(replayed: Callable[..., Report]) -> None:
    def spoil(steps: Json, _: Json) -> None:
        steps[0]["request"]["sandbox_id"] = "<ELSEWHERE>"

    with pytest.raises(MismatchError, match="no answer contained the value of <ELSEWHERE>"):
        replayed(spoilt(recording("v0.2.1/create_minimal"), spoil))


def test_an_unknown_version_is_reported(replayed: Callable[..., Report]) -> None:
    transcript = replace(recording("v0.4.3/ping"), daemon="v9.9.9")
    with pytest.raises(ValueError, match=r"daemon version '9\.9\.9' is not supported"):
        replayed(transcript)


def with_host_step(text: str) -> Transcript:
    """A recording that begins with a host step and goes on with one call."""

    def spoil(steps: Json, _: Json) -> None:
        steps.insert(0, {"host": text, "observed": "full"})

    return spoilt(recording("v0.4.3/ping"), spoil)


@pytest.mark.parametrize("text", ["phase of the moon", "docker network ls", "daemon's log"])
def test_what_a_recorder_looked_at_is_listed_if_unknown(
    replayed: Callable[..., Report], text: str
) -> None:
    report = replayed(with_host_step(text))
    why = "no code looks at it: add it to _HOST_STEPS in tests/contract/targets.py"
    assert report == Report(1, [(0, text, why)])
    report = replayed(with_host_step(text), (Gap("*", text[:5] + "*", "so it is"),))
    assert report == Report(1, [(0, text, "so it is")])


@pytest.mark.parametrize(
    "text",
    ["docker pause the primary", "kill -STOP the daemon", "SIGINT", "0.5 s later", "dockerd"],
)
def test_what_a_recorder_did_ends_the_replay_if_unknown(
    replayed: Callable[..., Report], text: str
) -> None:
    with pytest.raises(MismatchError, match=r"cannot be replayed.*steps after it were not"):
        replayed(with_host_step(text))
    assert replayed(with_host_step(text), (Gap("*", text, "so it is"),)).compared == 1


def test_what_was_done_to_the_daemon_ends_the_replay_if_unknown(
    replayed: Callable[..., Report],
) -> None:
    with pytest.raises(MismatchError, match="there is no code to do 'full' to the daemon"):
        replayed(with_host_step("daemon"))


def test_what_is_not_in_a_record_is_listed(replayed: Callable[..., Report]) -> None:
    def spoil(steps: Json, _: Json) -> None:
        steps.insert(4, {"host": host, "observed": "wd=/ user= nano=0"})

    host = "docker inspect of the primary"
    transcript = spoilt(recording("v0.2.1/create_minimal"), spoil)
    listed = [(4, f"{host}: {part}", "no record has it") for part in ("user", "wd")]
    assert replayed(transcript) == Report(len(transcript.steps), listed)


def spoil_ping(steps: Json, _: Json) -> None:
    steps[0]["response"]["version"] = "other"


def test_a_gap_is_listed_with_its_reason(replayed: Callable[..., Report]) -> None:
    transcript = spoilt(recording("v0.4.3/ping"), spoil_ping)
    report = replayed(transcript, (Gap("v0.4.3/ping", 0, "so it is"),))
    assert report == Report(compared=0, not_replayed=[(0, "Ping", "so it is")])


def test_a_gap_that_is_not_needed_fails(replayed: Callable[..., Report]) -> None:
    with pytest.raises(MismatchError, match="step 0, Ping: its row in KNOWN_GAPS is not needed"):
        replayed(recording("v0.4.3/ping"), (Gap("*/ping", 0, "so it was"),))


def test_a_host_step_that_has_a_counterpart_needs_no_gap(
    replayed: Callable[..., Report],
) -> None:
    gap = Gap("*", "exec log files", "so it was")
    with pytest.raises(MismatchError, match="exec log files: its row in KNOWN_GAPS is not needed"):
        replayed(recording("v0.4.3/exec_nonzero"), (gap,))


def test_foreign_fields_do_not_get_through(tmp_path: Path) -> None:
    def spoil(steps: Json, _: Json) -> None:
        steps[0]["response"]["colour"] = "red"

    with (
        fake_replay(spoilt(recording("v0.4.3/ping"), spoil), tmp_path / "fixtures", tmp_path) as it,
        pytest.raises(ParseError, match="colour"),
    ):
        it.run()


def test_every_step_counts(replayed: Callable[..., Report]) -> None:
    transcript = recording("v0.2.1/create_minimal")
    report: Any = replayed(transcript)
    assert report == Report(compared=len(transcript.steps))
