"""Faults of event streams: dropped streams, duplicated events, gaps."""

from __future__ import annotations

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb

from .raw import Raw
from .trouble import DROPPED, sequences, until_failure


def test_dropping_streams_after_some_events(raw: Raw) -> None:
    raw.ready()
    with raw.daemon.faults.dropping_streams(after=2, times=2) as fault:
        with raw.stream() as stream:
            assert until_failure(stream) == ([1, 2], DROPPED)
        with raw.stream(from_sequence=1) as stream:
            assert until_failure(stream) == ([2, 3], DROPPED)
        assert fault.hits == 2
        assert sequences(raw, 3) == [1, 2, 3]
        raw(methods.PING)


def test_dropping_streams_before_the_first_event(raw: Raw) -> None:
    with raw.daemon.faults.dropping_streams(after=0) as fault:
        raw(methods.PING)
        with raw.stream("ghost") as stream:
            assert until_failure(stream) == ([], DROPPED)
        assert fault.hits == 1


def test_dropping_streams_that_have_sent_more_events(raw: Raw) -> None:
    raw.ready()
    with raw.stream() as stream:
        assert [next(stream).sequence for _ in range(3)] == [1, 2, 3]
        with raw.daemon.faults.dropping_streams(after=1):
            raw.start()
            assert until_failure(stream) == ([4], DROPPED)


def test_duplicating_events(raw: Raw) -> None:
    raw.ready()
    with raw.daemon.faults.duplicating_events() as fault:
        assert sequences(raw, 6) == [1, 1, 2, 2, 3, 3]
        assert fault.hits == 3
    assert sequences(raw, 3) == [1, 2, 3]


def test_duplicating_some_events(raw: Raw) -> None:
    raw.ready()
    faults = raw.daemon.faults
    with faults.duplicating_events(every=2):
        assert sequences(raw, 4) == [1, 2, 2, 3]
        assert sequences(raw, 3, from_sequence=1) == [2, 3, 3]
    with faults.duplicating_events(lambda event: event.event_type == pb.SANDBOX_READY):
        assert sequences(raw, 4) == [1, 2, 3, 3]
    with faults.duplicating_events(lambda event: event.sequence > 1, times=1):
        assert sequences(raw, 4) == [1, 2, 2, 3]


def test_skipping_events(raw: Raw) -> None:
    raw.ready()
    faults = raw.daemon.faults
    with faults.skipping_events(every=2) as fault:
        assert sequences(raw, 2) == [1, 3]
        assert fault.hits == 1
    with faults.skipping_events(lambda event: event.sequence < 3):
        assert sequences(raw, 1) == [3]
    with faults.skipping_events(times=1):
        assert sequences(raw, 2) == [2, 3]


def test_duplicating_events_of_a_stream_opened_before_the_block(raw: Raw) -> None:
    raw.ready()
    with raw.stream(from_sequence=2) as stream:
        assert next(stream).sequence == 3
        with raw.daemon.faults.duplicating_events():
            raw.start()
            assert [next(stream).sequence for _ in range(4)] == [4, 4, 5, 5]


def test_drop_counts_duplicates_whether_it_is_outer_or_inner(raw: Raw) -> None:
    raw.ready()
    faults = raw.daemon.faults
    with faults.dropping_streams(after=1), faults.duplicating_events(), raw.stream() as stream:
        assert until_failure(stream) == ([1], DROPPED)
    with faults.duplicating_events(), faults.dropping_streams(after=1), raw.stream() as stream:
        assert until_failure(stream) == ([1, 1], DROPPED)
