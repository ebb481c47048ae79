"""Decoding is total: every message that a peer sends becomes a model, as good as a caller's own."""

from __future__ import annotations

import dataclasses
import pickle
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from agents_sandbox._frozen import FrozenMapping
from agents_sandbox._wire import codec
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire import v04_pb2 as v04

texts = st.text(max_size=5)
int32s = st.integers(-(2**31), 2**31 - 1)


@pytest.mark.parametrize(
    ("seconds", "nanos", "expected"),
    [
        (0, 0, timedelta(0)),
        (1, 999_999_999, timedelta(seconds=1, microseconds=999_999)),
        (-1, -500_000_000, timedelta(milliseconds=-1500)),
        (0, 2**31 - 1, timedelta(microseconds=2_147_483)),
        (2**63 - 1, 0, None),
        (-(2**63), -(2**31), None),
    ],
)
def test_odd_durations(seconds: int, nanos: int, expected: timedelta | None) -> None:
    assert codec.decode_duration(Duration(seconds=seconds, nanos=nanos)) == expected


@pytest.mark.parametrize(
    ("seconds", "nanos", "expected"),
    [
        (0, 0, datetime(1970, 1, 1, tzinfo=timezone.utc)),
        (0, -500_000_000, datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=timezone.utc)),
        (-62_135_596_800, 0, datetime(1, 1, 1, tzinfo=timezone.utc)),
        (-62_135_596_801, 0, None),
        (253_402_300_799, 999_999_999, datetime.max.replace(tzinfo=timezone.utc)),
        (253_402_300_800, 0, None),
        (2**63 - 1, 2**31 - 1, None),
        (-(2**63), -(2**31), None),
    ],
)
def test_odd_times(seconds: int, nanos: int, expected: datetime | None) -> None:
    assert codec.decode_timestamp(Timestamp(seconds=seconds, nanos=nanos)) == expected


def as_v02_event(message: Message) -> pb.SandboxEvent:
    """Read an event as the client does: streams are equal in both dialects."""
    return pb.SandboxEvent.FromString(message.SerializeToString())


DECODERS: list[tuple[type[Message], Callable[[Any], object]]] = [
    (Duration, codec.decode_duration),
    (Timestamp, codec.decode_timestamp),
    (pb.HealthcheckConfig, codec.decode_healthcheck),
    (pb.ServiceSpec, codec.decode_service),
    (pb.SandboxHandle, codec.decode_sandbox_v02),
    (v04.CompanionContainerSpec, codec.decode_companion),
    (v04.SandboxHandle, codec.decode_sandbox_v04),
    (v04.SandboxEvent, lambda message: codec.decode_event(as_v02_event(message))),
    (pb.ExecStatus, codec.decode_exec),
    (pb.SandboxEvent, codec.decode_event),
    (pb.PingResponse, codec.decode_ping),
    (pb.DeleteSandboxesResponse, codec.decode_deleted),
    (pb.CreateExecResponse, codec.decode_log_paths),
]

SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: texts,
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_ENUM: int32s,
    FieldDescriptor.TYPE_INT32: int32s,
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
}


def contents(descriptor: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Any values that a message's fields can contain, sensible or not."""
    written = DescriptorProto()
    descriptor.CopyToProto(written)
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for field, declared in zip(descriptor.fields, written.field, strict=True):
        nested = field.message_type
        if nested is not None and nested.GetOptions().map_entry:
            fields[field.name] = st.dictionaries(texts, texts, max_size=2)
            continue
        value = SCALARS[field.type] if nested is None else contents(nested)
        repeated = declared.label == declared.LABEL_REPEATED
        fields[field.name] = st.lists(value, max_size=2) if repeated else value
    return st.fixed_dictionaries({}, optional=fields)


def unknown_field(message: Message) -> bytes:
    """Serialize with a field that only a newer daemon knows: number 2000, a string."""
    return message.SerializeToString() + b"\x82\x7d\x03new"


def has_type(value: Any, hint: Any) -> bool:
    """Whether a value, with all that is in it, is exactly of the declared type of a field."""
    kind, arguments = typing.get_origin(hint), typing.get_args(hint)
    if kind in (typing.Union, types.UnionType):
        return any(has_type(value, choice) for choice in arguments)
    if kind is tuple:
        return type(value) is tuple and all(has_type(item, arguments[0]) for item in value)
    if kind is Mapping:
        items = [item for pair in value.items() for item in pair]
        return type(value) is FrozenMapping and all(type(item) is str for item in items)
    if not dataclasses.is_dataclass(hint):
        return type(value) is hint
    hints = typing.get_type_hints(hint)
    return type(value) is hint and all(has_type(getattr(value, n), hints[n]) for n in hints)


def made_by_a_caller(value: Any) -> Any:
    """Make the same value with the public constructors, which check it."""
    if type(value) is tuple:
        return tuple(map(made_by_a_caller, value))
    if not dataclasses.is_dataclass(value):
        return value
    names = [field.name for field in dataclasses.fields(value)]
    kind: Any = type(value)
    return kind(**{name: made_by_a_caller(getattr(value, name)) for name in names})


def check_decoded(decoded: Any, message: Message) -> None:
    checked, pickled = made_by_a_caller(decoded), pickle.dumps(decoded)
    if dataclasses.is_dataclass(decoded):
        assert has_type(decoded, type(decoded))
    message.Clear()
    for other in (checked, pickle.loads(pickled)):
        assert (decoded, hash(decoded), repr(decoded)) == (other, hash(other), repr(other))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "decode"), DECODERS)
@given(data=st.data())
def test_decoding_is_total_for_every_message(
    kind: type[Message], decode: Callable[[Any], object], data: st.DataObject
) -> None:
    message = kind(**data.draw(contents(kind.DESCRIPTOR)))
    received = kind.FromString(message.SerializeToString())
    decoded = decode(received)
    assert decode(kind.FromString(unknown_field(message))) == decoded
    check_decoded(decoded, received)


@pytest.mark.parametrize(("kind", "decode"), DECODERS)
@given(data=st.binary())
def test_decoding_is_total_for_whatever_parses(
    kind: type[Message], decode: Callable[[Any], object], data: bytes
) -> None:
    try:
        message = kind.FromString(data)
    except DecodeError:
        return
    check_decoded(decode(message), message)
