"""The picture of a sandbox's life: whatever the daemon says, it is a picture of limited size."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents_sandbox import (
    AgentsSandboxClient,
    ExecEventDetails,
    InvalidArgumentError,
    InvalidArgumentTypeError,
    SandboxEvent,
    SandboxEventType,
    SandboxPhaseDetails,
    SandboxState,
    ServiceEventDetails,
    SyncAgentsSandboxClient,
    timeline,
)
from agents_sandbox._pictures.times import duration, marks

from .pictures import FOLDER, PICTURES, Story, a_failed_exec, picture

pytestmark = pytest.mark.once

SVG = "{http://www.w3.org/2000/svg}"
# Names and messages of a hostile daemon: markup, controls, text that turns around, lone surrogates.
HOSTILE = "</title><script>alert(1)</script>&amp;\x1b[2J\x00\u202e\ud800\ufffe'\""
LONG = HOSTILE * 40


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in parsed(svg).iter(f"{SVG}text")]


def rects(svg: str, kind: str) -> list[dict[str, str]]:
    return [one.attrib for one in parsed(svg).iter(f"{SVG}rect") if one.get("class") == kind]


hostile_text = st.one_of(
    st.text(max_size=30), st.sampled_from(["", "a", "DAEMON_RESTARTED", HOSTILE])
)
optional_text = st.none() | hostile_text
times = st.none() | st.datetimes() | st.datetimes(timezones=st.just(timezone.utc))


def of_any_number(kind: Any) -> st.SearchStrategy[Any]:
    return st.one_of(st.sampled_from([*kind]), st.integers(0, 2**31 - 1).map(kind))


events = st.builds(
    SandboxEvent,
    event_id=st.just("e"),
    sequence=st.integers(0, 2**64 - 1),
    sandbox_id=st.just(HOSTILE),
    event_type=of_any_number(SandboxEventType),
    occurred_at=times,
    snapshot=st.booleans(),
    sandbox_state=of_any_number(SandboxState),
    sandbox_phase=st.none() | st.builds(SandboxPhaseDetails, *[optional_text] * 4),
    exec=st.none()
    | st.builds(
        ExecEventDetails,
        exec_id=hostile_text,
        exit_code=st.none() | st.integers(-(2**31), 2**31),
        error_code=optional_text,
        error_message=optional_text,
    ),
    service=st.none() | st.builds(ServiceEventDetails, hostile_text, optional_text, optional_text),
)


@given(st.lists(events, max_size=20))
def test_any_events_make_a_well_formed_picture(given_events: list[SandboxEvent]) -> None:
    drawn = timeline(given_events)
    root = parsed(drawn.svg)
    assert root.tag == f"{SVG}svg"
    assert (root.get("role"), root[0].tag, root[1].tag) == ("img", f"{SVG}title", f"{SVG}desc")
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        *("svg", "title", "desc", "style", "g", "rect", "line", "text"),
    }
    assert {name for element in root.iter() for name in element.attrib} <= {
        *("class", "role", "viewBox", "x", "y", "width", "height", "rx", "x1", "y1", "x2", "y2"),
        "text-anchor",
    }
    assert "url(" not in drawn.svg.partition("<style>")[2].partition("</style>")[0]
    # It stays inside its frame.
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for element in root.iter(f"{SVG}rect"):
        x, y, wide, high = (float(element.get(name, 0)) for name in ("x", "y", "width", "height"))
        assert x >= 0
        assert y >= 0
        assert x + wide <= width + 0.2
        assert y + high <= height
    assert all(line.isprintable() for line in str(drawn).splitlines())
    if len({event.sequence for event in given_events}) == len(given_events):
        assert timeline(reversed(given_events)).svg == drawn.svg
    assert timeline(iter(given_events)).svg == drawn.svg


def crowd() -> Story:
    """More of everything than a picture has room for, with the longest texts."""
    story = Story(LONG)
    states = (SandboxState.PENDING, SandboxState.READY)
    for number in range(3000):
        exec_id = f"{LONG}{number}"
        time = number if number < 2000 else number + 1000
        story.tell(time, SandboxEventType.SANDBOX_READY, states[number % 2])
        story.start(time, exec_id)
        story.lose(time, exec_id)
        failed = ServiceEventDetails(f"{LONG}{number % 40}", LONG, LONG)
        story.tell(time, SandboxEventType.COMPANION_CONTAINER_FAILED, service=failed)
    phase = SandboxPhaseDetails(None, LONG, LONG)
    story.tell(4000, SandboxEventType.SANDBOX_FAILED, SandboxState.FAILED, phase=phase)
    return story


def test_thousands_of_execs_are_summed_up() -> None:
    drawn = timeline(crowd().events)
    assert len(drawn.svg) < 400_000
    assert len(str(drawn)) < 150_000
    assert "2970 more execs" in texts(drawn.svg)
    assert "2970 failed" in texts(drawn.svg)
    assert "30 more services" in texts(drawn.svg)
    assert "the daemon restarted 3000 times" in texts(drawn.svg)
    assert "2970 more execs: 2970 failed" in str(drawn)
    assert "30 more services" in str(drawn)
    # The states that are too short to be seen are one before and one after the long one.
    assert len(rects(drawn.svg, "other")) == 2 + 1  # and one in the legend


def test_failed_execs_and_long_ones_keep_their_bars() -> None:
    svg = picture("timeline-batch.svg").svg
    shown = texts(svg)
    failed = [text for text in shown if text.startswith("✗")]
    assert len(failed) == len(rects(svg, "hollow")) == 11
    assert "1970 finished" in shown
    assert {"task-0013", "task-0413", "task-1613"} <= {*shown}  # they took a minute
    assert "task-0001" not in shown


def test_a_picture_says_how_each_exec_ended() -> None:
    drawn = timeline(a_failed_exec().events)
    shown = texts(drawn.svg)
    for text in ("✓ exit 0, 38 s", "✗ exit 1, 31 s", "✗ DAEMON_RESTARTED", "service ready"):
        assert text in shown
    # Not by colour alone: those that failed are hollow, and have a sign.
    assert len(rects(drawn.svg, "hollow")) == 2
    assert len(rects(drawn.svg, "bar")) == 3
    assert str(drawn).splitlines()[:4] == [
        "Timeline of sandbox fix-issue-42",
        "2026-03-02 09:30:00 UTC, 3 min 16 s, 18 events, 5 execs, 2 failed, 1 restart",
        "PENDING, after 0, for 6.5 s",
        "READY, after 6.5 s, for 2 min 48 s",
    ]
    assert "the daemon restarted, between 2 min 14 s and 2 min 43 s" in str(drawn)
    assert "exec run-tests: exit 1, after 50 s, for 31 s" in str(drawn)
    root = parsed(drawn.svg)
    assert root[0].text == "Timeline of sandbox fix-issue-42"
    assert root[1].text == ". ".join(str(drawn).splitlines())
    assert repr(drawn).startswith("<Timeline of sandbox fix-issue-42: 2026-03-02")


def test_an_exec_can_be_cancelled_run_on_or_end_nobody_knows_how() -> None:
    story = Story("box-1")
    story.create(1)
    for exec_id in ("stopped", "running"):
        story.start(2, exec_id)
    story.tell(3, SandboxEventType.EXEC_CANCELLED, exec_=ExecEventDetails("stopped"))
    story.tell(4, SandboxEventType.EXEC_FAILED, exec_=ExecEventDetails("began before"))
    assert [text for text in texts(timeline(story.events).svg) if text[0] in "✓✗⊘▸?"] == [
        "✗ failed, 4 s",
        "⊘ cancelled, 1 s",
        "▸ running, 2 s",
    ]
    story.tell(5, SandboxEventType.SANDBOX_STOPPED, SandboxState.STOPPED)
    assert "? end unknown, 3 s" in texts(timeline(story.events).svg)
    story.tell(6, SandboxEventType.SANDBOX_DELETED, SandboxState.DELETED)
    drawn = timeline(story.events)
    assert "? end unknown, 3 s" in texts(drawn.svg)
    assert "STOPPED, after 5 s, for 1 s" in str(drawn)


@pytest.mark.parametrize("state", [SandboxState.STOPPED, SandboxState.FAILED])
def test_no_exec_runs_on_after_a_resume(state: SandboxState) -> None:
    story = Story("box-1")
    story.create(1)
    story.start(2, "a")
    story.start(2, "b")
    story.tell(3, SandboxEventType.SANDBOX_STOPPED, state)
    story.tell(4, SandboxEventType.SANDBOX_READY, SandboxState.READY)
    story.start(5, "c")
    story.end(6, "b", 0)  # which nobody has told before
    lines = str(timeline(story.events)).splitlines()
    assert lines[-3:] == [
        "exec a: end unknown, after 2 s, for 1 s",
        "exec b: exit 0, after 2 s, for 4 s",
        "exec c: running, after 5 s, for 1 s",
    ]


def test_a_service_that_still_runs_has_a_bar_to_the_end() -> None:
    story = Story("box-1")
    story.tell(0, SandboxEventType.SANDBOX_READY, SandboxState.READY)
    details = ServiceEventDetails("postgres", None, None)
    story.tell(1, SandboxEventType.SANDBOX_SERVICE_READY, service=details)
    story.tell(9, SandboxEventType.SANDBOX_READY, SandboxState.READY)
    drawn = timeline(story.events)
    assert {"postgres", "service ready"} <= {*texts(drawn.svg)}


def test_the_reason_of_a_failure_is_there_until_a_resume() -> None:
    drawn = picture("timeline-failed-sandbox.svg")
    reason = "CONTAINER_DIED: the primary container was killed: no memory"
    assert f"✗ {reason}" in texts(drawn.svg)
    assert f"FAILED, after 21 s, until the last event ({reason})" in str(drawn)
    assert "✗ CONTAINER_CRASHLOOP" in texts(drawn.svg)
    assert rects(drawn.svg, "failed")
    story = Story("box-1")
    story.tell(0, SandboxEventType.SANDBOX_FAILED, SandboxState.FAILED)
    story.tell(1, SandboxEventType.SANDBOX_READY, SandboxState.READY)
    assert not any("✗" in text for text in texts(timeline(story.events).svg))


def test_many_states_have_a_legend_of_several_lines() -> None:
    story = Story("box-1")
    for number, state in enumerate([*SandboxState][1:] * 2):
        story.tell(number, SandboxEventType.SANDBOX_PREPARING, state)
    story.tell(40, SandboxEventType.SANDBOX_PREPARING, SandboxState(12345678))
    legend = [one for one in rects(timeline(story.events).svg, "ready") if one["width"] == "10.0"]
    unknown = [one for one in rects(timeline(story.events).svg, "other") if one["width"] == "10.0"]
    assert float(unknown[0]["y"]) > float(legend[0]["y"])


def test_events_without_times_are_drawn_at_equal_distances() -> None:
    story = a_failed_exec()
    dateless = [
        SandboxEvent(
            *(event.event_id, event.sequence, event.sandbox_id, event.event_type, None),
            sandbox_state=event.sandbox_state,
            exec=event.exec,
            service=event.service,
        )
        for event in story.events
    ]
    drawn = timeline(dateless)
    assert "times unknown, events at equal distances" in str(drawn)
    assert "exec install: exit 0\n" in str(drawn)
    assert "the daemon restarted\n" in f"{drawn}\n"
    assert "✓ exit 0" in texts(drawn.svg)
    assert not [text for text in texts(drawn.svg) if re.search(r"\d (s|min)$", text)]


def test_a_time_that_is_missing_or_goes_back_is_that_of_the_event_before() -> None:
    story = Story("box-1")
    story.create(10)
    first, second, third = story.events
    moved = [
        SandboxEvent("e", 1, "box-1", first.event_type, None, sandbox_state=first.sandbox_state),
        SandboxEvent("e", 2, "box-1", second.event_type, third.occurred_at),
        SandboxEvent(
            "e", 3, "box-1", third.event_type, second.occurred_at, sandbox_state=third.sandbox_state
        ),
    ]
    assert "one moment" in str(timeline(moved))


def test_times_of_other_zones_keep_them() -> None:
    zone = timezone(timedelta(hours=2))
    when = datetime(2026, 1, 1, 12, tzinfo=zone)
    event = SandboxEvent("e", 1, "box-1", SandboxEventType.SANDBOX_READY, when)
    assert "2026-01-01 12:00:00+02:00, one moment" in str(timeline([event]))


def test_no_events_make_a_picture_that_says_so() -> None:
    drawn = timeline([])
    assert texts(drawn.svg) == ["No events", "0 events"]
    assert str(drawn) == "Timeline without events\n0 events"


def test_what_are_no_events_of_one_sandbox_is_refused() -> None:
    one, other = Story("box-1"), Story("box-2")
    one.create(1)
    other.create(1)
    with pytest.raises(
        InvalidArgumentError, match="events\\[3\\] is of box-2, others are of box-1"
    ):
        timeline([*one.events, *other.events])
    wrong: Any = [one.events[0], "SANDBOX_READY"]
    with pytest.raises(InvalidArgumentTypeError, match="events\\[1\\] must be a SandboxEvent, not"):
        timeline(wrong)


@pytest.mark.parametrize("client", [AgentsSandboxClient, SyncAgentsSandboxClient])
def test_a_stream_is_refused_because_it_does_not_end(client: Any) -> None:
    stream = client("/nowhere").subscribe_sandbox_events("box-1")
    with pytest.raises(InvalidArgumentTypeError, match="so collect its events first"):
        timeline(stream)


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_of_the_documentation_are_up_to_date(name: str, tmp_path: Path) -> None:
    picture(name).save(tmp_path / "new.svg")
    hint = "to draw them anew: python -m tests.pictures"
    assert (tmp_path / "new.svg").read_bytes() == (FOLDER / name).read_bytes(), hint


def test_notebooks_show_it() -> None:
    drawn: Any = timeline(a_failed_exec().events)
    assert drawn._repr_svg_() == drawn.svg
    assert drawn.svg in drawn._repr_html_()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0"),
        (0.0354, "35 ms"),
        (0.9996, "1 s"),
        (1.54, "1.5 s"),
        (9.96, "10 s"),
        (59.7, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (3 * 86400 + 4 * 3600, "3 d 4 h"),
    ],
)
def test_durations_have_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 1e12))
def test_an_axis_has_some_round_marks(length: float) -> None:
    marked = marks(length)
    assert marked[0] == 0
    assert 1 <= len(marked) <= 7
    assert marked[-1] <= length * 1.000001
