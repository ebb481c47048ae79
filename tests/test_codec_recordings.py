"""Recorded messages of real daemons: nothing is lost, and everything is understood."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message

from agents_sandbox import SandboxEventType, SandboxHandle, SandboxState
from agents_sandbox._wire import codec
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire import v04_pb2 as v04
from agents_sandbox._wire.methods import METHODS_V02, METHODS_V04

from .contract.transcripts import RECORDINGS, Transcript, load_all

EVENTS: dict[str, type[Message]] = {"v0.2.1": pb.SandboxEvent, "v0.4.3": v04.SandboxEvent}
DECODERS: dict[str, Callable[[Any], SandboxHandle]] = {
    "v0.2.1": codec.decode_sandbox_v02,
    "v0.4.3": codec.decode_sandbox_v04,
}
METHODS = {
    "v0.2.1": {method.name: method for method in METHODS_V02},
    "v0.4.3": {method.name: method for method in METHODS_V04},
}


def messages(transcript: Transcript) -> Iterator[tuple[type[Message], Any]]:
    """Yield each recorded message: its type and its JSON."""
    methods, event = METHODS[transcript.daemon], EVENTS[transcript.daemon]
    for step in transcript.steps:
        if "rpc" in step:
            yield methods[step["rpc"]].request_type, step["request"]
            if "response" in step:
                yield methods[step["rpc"]].response_type, step["response"]
            yield from ((event, told) for told in step.get("stream", ()))
    for history in transcript.events.values():
        yield from ((event, told) for told in history)


def sandboxes(message: Any) -> list[Any]:
    """The snapshots in an answer."""
    if hasattr(message, "sandboxes"):
        return list(message.sandboxes)
    return [message.sandbox] if hasattr(message, "sandbox") else []


def execs(message: Any) -> list[pb.ExecStatus]:
    if hasattr(message, "execs"):
        return list(message.execs)
    return [message.exec] if isinstance(message, pb.GetExecResponse) else []


TRANSCRIPTS = [pytest.param(item, id=item.name) for item in load_all(RECORDINGS)]


@pytest.mark.parametrize("transcript", TRANSCRIPTS)
def test_recorded_messages_survive_the_wire(transcript: Transcript) -> None:
    for kind, recorded in messages(transcript):
        message = ParseDict(recorded, kind())
        again = kind.FromString(message.SerializeToString())
        assert again == message
        assert MessageToDict(again, preserving_proto_field_name=True) == recorded


@pytest.mark.parametrize("transcript", TRANSCRIPTS)
def test_recorded_answers_are_understood(transcript: Transcript) -> None:
    for kind, recorded in messages(transcript):
        message = ParseDict(recorded, kind())
        for snapshot in sandboxes(message):
            handle = DECODERS[transcript.daemon](snapshot)
            assert handle.state in list(SandboxState)
            assert handle.created_at is not None
            assert (handle.sandbox_id, handle.labels) == (snapshot.sandbox_id, snapshot.labels)
            assert pickle.loads(pickle.dumps(handle)) == handle
        for status in execs(message):
            assert codec.decode_exec(status).command == tuple(status.command)


# The client reads the streams of both dialects with the messages of one.
@pytest.mark.parametrize("transcript", TRANSCRIPTS)
def test_recorded_events_are_understood(transcript: Transcript) -> None:
    for kind, recorded in messages(transcript):
        if kind is not EVENTS[transcript.daemon]:
            continue
        message = ParseDict(recorded, kind())
        read = pb.SandboxEvent.FromString(message.SerializeToString())
        assert kind.FromString(read.SerializeToString()) == message
        event = codec.decode_event(read)
        assert event.event_type in list(SandboxEventType)
        assert event.event_type.value == getattr(message, "event_type")  # noqa: B009 - only some messages have it
        details = recorded.get("companion_container") or recorded.get("service")
        if details is None:
            assert event.companion_container is None
        else:
            assert event.companion_container is not None
            name = details.get("name") or details["service_name"]
            assert event.companion_container.name == name
            assert event.companion_container.error_code == details.get("error_code")
