"""Event streams: replay, snapshots, new events and ends."""

from __future__ import annotations

import itertools
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb

from .raw import Raw, not_found, refusal

pytestmark = pytest.mark.once


def take(stream: Any, count: int) -> list[pb.SandboxEvent]:
    events = list(itertools.islice(stream, count))
    assert len(events) == count
    return events


def sequences(stream: Any, count: int) -> list[int]:
    return [event.sequence for event in take(stream, count)]


def test_history_and_new_events_are_all_marked_as_replay(raw: Raw) -> None:
    raw.ready()
    with raw.stream() as stream:
        history = take(stream, 3)
        raw.start()
        new = take(stream, 2)

    assert [event.sequence for event in history + new] == [1, 2, 3, 4, 5]
    assert all(event.replay for event in history + new)
    assert not any(event.snapshot for event in history + new)
    assert {event.sandbox_id for event in history} == {"box-1"}


def test_from_sequence_skips_earlier_events(raw: Raw) -> None:
    raw.ready()
    with raw.stream(from_sequence=2) as stream:
        assert sequences(stream, 1) == [3]
    with raw.stream(from_sequence=3) as stream:
        raw.daemon.wait_for_streams(1)
        raw.start()
        assert sequences(stream, 2) == [4, 5]


def test_from_sequence_after_the_newest_event_is_refused(raw: Raw) -> None:
    raw.ready()
    with raw.stream(from_sequence=4) as stream, pytest.raises(grpc.RpcError) as caught:
        next(stream)

    refused = refusal(caught.value)
    assert (refused.code, refused.reason) == ("OUT_OF_RANGE", "SANDBOX_EVENT_SEQUENCE_EXPIRED")
    assert refused.message == "sandbox box-1 event sequence 4 is outside retained history"
    assert refused.metadata == {"sandbox_id": "box-1", "from_sequence": "4"}


@pytest.mark.parametrize("sandbox_id", ["ghost", ""])
def test_unknown_sandbox_is_refused(raw: Raw, sandbox_id: str) -> None:
    with (
        raw.stream(sandbox_id, from_sequence=5) as stream,
        pytest.raises(grpc.RpcError) as caught,
    ):
        next(stream)
    assert refusal(caught.value) == not_found(sandbox_id)


def test_snapshot_repeats_the_newest_event(raw: Raw) -> None:
    raw.ready()
    with raw.stream(include_current_snapshot=True) as stream:
        events = take(stream, 4)

    assert [event.sequence for event in events] == [3, 1, 2, 3]
    assert [event.snapshot for event in events] == [True, False, False, False]
    assert events[0].event_id == "box-1-3"


def test_snapshot_adds_the_running_execs(raw: Raw) -> None:
    raw.ready()
    raw.daemon.on_exec(["sleep"]).never()
    raw.start("true", exec_id="done")
    raw.finished("done")
    raw.start("sleep", exec_id="exec-1")
    raw.start("sleep", exec_id="exec-2")
    with raw.stream(from_sequence=7, include_current_snapshot=True) as stream:
        newest, first, second = take(stream, 3)

    assert (newest.event_id, newest.sandbox_state) == ("box-1-7", pb.SANDBOX_STATE_UNSPECIFIED)
    assert first.event_id == "box-1-snapshot-exec-1"
    assert second.event_id == "box-1-snapshot-exec-2"
    for event in (first, second):
        assert (event.sequence, event.snapshot, event.replay) == (7, True, True)
        assert event.sandbox_state == pb.SANDBOX_STATE_READY
        assert event.event_type == pb.EXEC_STARTED
        assert event.exec.exec_state == pb.EXEC_STATE_RUNNING
        assert event.occurred_at.ToNanoseconds() > newest.occurred_at.ToNanoseconds()


def test_snapshot_is_sent_even_before_a_refusal(raw: Raw) -> None:
    raw.ready()
    with raw.stream(from_sequence=9, include_current_snapshot=True) as stream:
        assert sequences(stream, 1) == [3]
        with pytest.raises(grpc.RpcError) as caught:
            next(stream)
    assert refusal(caught.value).metadata["from_sequence"] == "9"


def test_stream_continues_after_a_delete_and_ends_with_the_record(raw: Raw) -> None:
    raw.ready()
    with raw.stream() as stream, raw.stream() as other:
        raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
        assert sequences(stream, 5) == [1, 2, 3, 4, 5]
        assert raw.daemon.open_streams == 2
        raw.daemon.purge("box-1")
        for ended in (stream, other):
            with pytest.raises(grpc.RpcError) as caught:
                take(ended, 6)
            assert refusal(caught.value) == not_found("box-1")
    raw.daemon.wait_for_streams(0)


def test_cancelled_stream_is_closed(raw: Raw) -> None:
    raw.ready()
    with raw.stream() as stream:
        take(stream, 1)
        assert raw.daemon.open_streams == 1
    raw.daemon.wait_for_streams(0)
    assert raw.daemon.open_streams == 0


def test_dropped_streams_fail(raw: Raw) -> None:
    raw.ready()
    with raw.stream() as stream:
        take(stream, 3)
        raw.daemon.faults.drop_streams()
        with pytest.raises(grpc.RpcError) as caught:
            next(stream)
    assert refusal(caught.value).code == "UNAVAILABLE"


def test_ended_streams_end_cleanly(raw: Raw) -> None:
    raw.ready()
    with raw.stream() as stream:
        take(stream, 3)
        raw.daemon.faults.end_streams()
        assert list(stream) == []
        assert stream.code() == grpc.StatusCode.OK


def test_emitted_event_is_completed(raw: Raw) -> None:
    raw.ready()
    # The enums do not have these numbers, but the wire can carry them.
    event = pb.SandboxEvent(event_type=99, sandbox_state=77)  # type: ignore[arg-type]  # of a newer daemon
    raw.daemon.emit("box-1", event)
    with raw.stream(from_sequence=3) as stream:
        (seen,) = take(stream, 1)

    assert (seen.event_id, seen.sequence, seen.sandbox_id) == ("box-1-4", 4, "box-1")
    assert (seen.event_type, seen.sandbox_state) == (99, 77)
    assert seen.HasField("occurred_at")
    assert not event.sequence
    assert raw.get().last_event_sequence == 4
    assert raw.get().state == pb.SANDBOX_STATE_READY


def test_emitted_event_keeps_its_own_fields(raw: Raw) -> None:
    raw.ready()
    for sequence in (9, 5):
        raw.daemon.emit("box-1", pb.SandboxEvent(sequence=sequence, event_id="x", sandbox_id="y"))
    raw.daemon.emit("box-1", pb.SandboxEvent(occurred_at=Timestamp(seconds=1)))
    with raw.stream(from_sequence=3) as stream:
        events = take(stream, 3)

    assert [event.sequence for event in events] == [9, 5, 10]
    assert [event.event_id for event in events] == ["x", "x", "box-1-10"]
    assert [event.sandbox_id for event in events] == ["y", "y", "box-1"]
    assert events[2].occurred_at == Timestamp(seconds=1)


def test_emit_needs_a_sandbox(raw: Raw) -> None:
    with pytest.raises(LookupError, match="sandbox ghost was not found"):
        raw.daemon.emit("ghost", pb.SandboxEvent())
