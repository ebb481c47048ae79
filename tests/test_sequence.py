"""The order of events, without streams: accept, skip, repeat, gap, snapshot, interruption."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents_sandbox import (
    ProtocolError,
    SandboxEvent,
    SandboxEventType,
    SandboxSequenceExpiredError,
    SandboxState,
)
from agents_sandbox._sequence import EventSequence

ID = "demo-sandbox"


def event(sequence: int, sandbox_id: str = ID, *, snapshot: bool = False) -> SandboxEvent:
    return SandboxEvent(
        f"{sandbox_id}-{sequence}",
        sequence,
        sandbox_id,
        SandboxEventType.UNSPECIFIED,
        None,
        True,
        snapshot,
        SandboxState.UNSPECIFIED,
    )


def test_known_events_are_skipped_on_a_new_stream() -> None:
    sequence = EventSequence(ID, 1)
    assert [sequence.accept(event(item)) for item in (1, 2, 2, 3)] == [False, True, False, True]
    sequence.begin_stream()
    assert [sequence.accept(event(item)) for item in (2, 3, 4)] == [False, False, True]
    assert sequence.position == 4


@pytest.mark.parametrize("impossible", [0, 2])
def test_a_stream_never_goes_backwards(impossible: int) -> None:
    sequence = EventSequence(ID, 0)
    sequence.accept(event(3))
    with pytest.raises(ProtocolError, match=f"event {impossible} after event 3"):
        sequence.accept(event(impossible))


def test_an_event_is_not_repeated_endlessly() -> None:
    sequence = EventSequence(ID, 0)
    assert sequence.accept(event(1))
    assert not any(sequence.accept(event(1)) for _ in range(1000))
    with pytest.raises(ProtocolError, match="event 1 over 1000 times"):
        sequence.accept(event(1))


def test_a_stream_that_repeats_every_event_is_no_endless_repetition() -> None:
    sequence = EventSequence(ID, 0)
    for item in range(1, 2000):
        assert sequence.accept(event(item))
        assert not sequence.accept(event(item))


def test_a_resumed_stream_repeats_each_delivered_snapshot_once() -> None:
    sequence = EventSequence(ID, 0, include_current_snapshot=True)
    snapshots = [event(item, snapshot=True) for item in range(1, 2000)]
    for item in snapshots:
        assert sequence.accept(item)
        sequence.deliver(item)
    sequence.begin_stream()
    assert not any(sequence.accept(item) for item in snapshots)
    assert sequence.accept(event(2000, snapshot=True))


def test_the_event_of_another_sandbox_is_named_but_not_at_any_length() -> None:
    with pytest.raises(ProtocolError, match=r"an event of sandbox 'xxx.*'\.\.\.") as caught:
        EventSequence(ID, 0).accept(event(1, "x" * 10_000))
    assert caught.value.sandbox_id == ID
    assert len(str(caught.value)) < 200


def test_a_gap_is_reported_when_it_is_delivered() -> None:
    sequence = EventSequence(ID, 2)
    assert sequence.accept(event(5))
    with pytest.raises(SandboxSequenceExpiredError, match="events 3 to 4 of sandbox") as caught:
        sequence.deliver(event(5))
    assert (caught.value.from_sequence, caught.value.oldest_sequence) == (2, 5)
    assert caught.value.sandbox_id == ID


def test_a_snapshot_comes_first_and_only_on_request() -> None:
    with pytest.raises(ProtocolError, match="a snapshot that was not requested"):
        EventSequence(ID, 0).accept(event(7, snapshot=True))
    sequence = EventSequence(ID, 0, include_current_snapshot=True)
    assert sequence.accept(event(7, snapshot=True))
    sequence.deliver(event(7, snapshot=True))
    sequence.begin_stream()
    assert not sequence.accept(event(7, snapshot=True)), "it was delivered"
    assert sequence.accept(event(1))
    assert not sequence.wants_snapshot


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_step_that_delivers_nothing_was_interrupted(snapshot: bool) -> None:
    sequence = EventSequence(ID, 0, include_current_snapshot=snapshot)
    assert not sequence.interrupted, "no step has begun"
    sequence.begin_step()
    assert sequence.interrupted, "even before the event is accepted: it may have been read"
    assert sequence.accept(event(1, snapshot=snapshot))
    assert sequence.interrupted
    sequence.begin_step()
    assert sequence.position == 0
    sequence.begin_stream()
    assert sequence.accept(event(1, snapshot=snapshot))
    sequence.deliver(event(1, snapshot=snapshot))
    assert not sequence.interrupted


@given(st.integers(0, 5), st.lists(st.booleans(), max_size=40))
def test_each_event_is_delivered_once_however_often_the_reader_is_interrupted(
    begin: int, interruptions: list[bool]
) -> None:
    """One item a read: whether an interruption comes between it and the delivery."""
    sequence, delivered = EventSequence(ID, begin), []
    upcoming = begin + 1
    for interrupted in interruptions:
        if sequence.interrupted:
            sequence.begin_step()
            sequence.begin_stream()
            upcoming = sequence.position + 1
        else:
            sequence.begin_step()
        assert sequence.accept(event(upcoming))
        if not interrupted:
            sequence.deliver(event(upcoming))
            delivered.append(upcoming)
        upcoming += 1
    assert delivered == list(range(begin + 1, begin + 1 + interruptions.count(False)))
