"""Models to messages and back, exactly."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from hypothesis import example, given
from hypothesis import strategies as st

from agents_sandbox import (
    CopySpec,
    ExecEventDetails,
    ExecHandle,
    ExecState,
    HealthcheckConfig,
    InvalidArgumentError,
    MountSpec,
    SandboxEvent,
    SandboxEventType,
    SandboxHandle,
    SandboxPhaseDetails,
    SandboxState,
    ServiceEventDetails,
    ServiceSpec,
)
from agents_sandbox._wire import codec
from agents_sandbox._wire import v02_pb2 as pb

MessageT = TypeVar("MessageT", bound=Message)

MAX_DURATION = timedelta(seconds=315_576_000_000)

texts = st.text(max_size=5)
# The wire cannot tell an empty string from none; the models say None.
optional_texts = st.text(min_size=1, max_size=5) | st.none()
strings = st.lists(texts, max_size=2).map(tuple)
mappings = st.dictionaries(texts, texts, max_size=2)
times = st.datetimes(timezones=st.just(timezone.utc)) | st.none()
durations = st.timedeltas(timedelta(0), MAX_DURATION) | st.none()
int32s = st.integers(-(2**31), 2**31 - 1)
uint64s = st.integers(0, 2**64 - 1)


def states(kind: type[enum.Enum]) -> st.SearchStrategy[Any]:
    return st.sampled_from(list(kind)) | int32s.map(kind)


mounts = st.builds(MountSpec, texts, texts, st.booleans())
copies = st.builds(CopySpec, texts, texts, strings)
healthchecks = st.builds(
    HealthcheckConfig,
    strings,
    durations,
    durations,
    # 0 and unset are the same to the daemon, and on the wire.
    st.integers(1, 2**32 - 1) | st.none(),
    durations,
    durations,
)
services = st.builds(ServiceSpec, texts, texts, mappings, healthchecks | st.none(), strings)
service_lists = st.lists(services, max_size=2).map(tuple)
sandboxes = st.builds(
    SandboxHandle,
    texts,
    states(SandboxState),
    uint64s,
    service_lists,
    service_lists,
    mappings,
    times,
    texts,
    optional_texts,
    optional_texts,
    times,
)
running = st.tuples(st.sampled_from([ExecState.RUNNING, ExecState.CANCELLED]), st.none())
finished = st.tuples(st.just(ExecState.FINISHED), int32s)
failed = st.tuples(st.just(ExecState.FAILED), int32s.map(lambda code: code or None))
ends = running | finished | failed
execs = ends.flatmap(
    lambda end: st.builds(
        ExecHandle,
        exec_id=texts,
        sandbox_id=texts,
        state=st.just(end[0]),
        command=strings,
        cwd=texts,
        env_overrides=mappings,
        exit_code=st.just(end[1]),
        error=optional_texts,
        last_event_sequence=uint64s,
    )
)
exec_details = ends.flatmap(
    lambda end: st.builds(
        ExecEventDetails, texts, st.just(end[1]), st.just(end[0]), optional_texts, optional_texts
    )
)
details: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"sandbox_phase": st.builds(SandboxPhaseDetails, *[optional_texts] * 4)}),
    st.fixed_dictionaries({"exec": exec_details}),
    st.fixed_dictionaries(
        {"service": st.builds(ServiceEventDetails, texts, *[optional_texts] * 2)}
    ),
)
events = details.flatmap(
    lambda set_: st.builds(
        SandboxEvent,
        texts,
        uint64s,
        texts,
        states(SandboxEventType),
        times,
        st.booleans(),
        st.booleans(),
        states(SandboxState),
        **{name: st.just(value) for name, value in set_.items()},
    )
)


def to_message(model: Any, kind: type[MessageT]) -> MessageT:
    """Encode a model by nothing but its field names, with protobuf's own conversions."""
    message = kind()
    for field in dataclasses.fields(model):
        name, value = field.name, getattr(model, field.name)
        if value is None or name.endswith("_log_path"):
            continue
        target = getattr(message, name)
        if isinstance(value, enum.Enum):
            setattr(message, name, value.value)
        elif isinstance(value, datetime):
            target.FromDatetime(value)
        elif isinstance(value, timedelta):
            target.FromTimedelta(value)
            target.SetInParent()
        elif dataclasses.is_dataclass(value):
            target.CopyFrom(to_message(value, type(target)))
            target.SetInParent()
        elif isinstance(value, Mapping):
            target.update(value)
        elif isinstance(value, tuple):
            target.extend(
                to_message(item, pb.ServiceSpec) if isinstance(item, ServiceSpec) else item
                for item in value
            )
        else:
            setattr(message, name, value)
    return message


def over_the_wire(message: MessageT) -> MessageT:
    return type(message).FromString(message.SerializeToString())


@given(mounts)
def test_mounts_are_encoded(mount: MountSpec) -> None:
    assert over_the_wire(codec.encode_mount(mount)) == to_message(mount, pb.MountSpec)


@given(copies)
def test_copies_are_encoded(copy: CopySpec) -> None:
    assert over_the_wire(codec.encode_copy(copy)) == to_message(copy, pb.CopySpec)


@given(healthchecks)
def test_health_checks_come_back(check: HealthcheckConfig) -> None:
    message = over_the_wire(codec.encode_healthcheck(check))
    assert message == to_message(check, pb.HealthcheckConfig)
    assert codec.decode_healthcheck(message) == check


@given(services)
def test_services_come_back(service: ServiceSpec) -> None:
    message = over_the_wire(codec.encode_service(service))
    assert message == to_message(service, pb.ServiceSpec)
    assert codec.decode_service(message) == service


@given(sandboxes)
def test_sandboxes_are_decoded(handle: SandboxHandle) -> None:
    message = over_the_wire(to_message(handle, pb.SandboxHandle))
    assert codec.decode_sandbox(message) == handle


@given(execs)
def test_execs_are_decoded(handle: ExecHandle) -> None:
    message = over_the_wire(to_message(handle, pb.ExecStatus))
    assert codec.decode_exec(message) == handle


@given(events)
def test_events_are_decoded(event: SandboxEvent) -> None:
    message = over_the_wire(to_message(event, pb.SandboxEvent))
    assert codec.decode_event(message) == event


def test_what_is_not_set_reads_as_empty() -> None:
    sandbox = codec.decode_sandbox(pb.SandboxHandle())
    assert sandbox == SandboxHandle("", SandboxState.UNSPECIFIED, 0, (), (), {}, None, "")
    an_exec = codec.decode_exec(pb.ExecStatus())
    assert an_exec == ExecHandle("", "", ExecState.UNSPECIFIED, (), "", {}, None, None, 0)
    event = codec.decode_event(pb.SandboxEvent())
    assert (event.occurred_at, event.sandbox_phase, event.exec, event.service) == (None,) * 4
    empty = codec.decode_healthcheck(pb.HealthcheckConfig())
    assert empty == HealthcheckConfig(())
    assert codec.decode_service(pb.ServiceSpec()) == ServiceSpec("", "")


@pytest.mark.parametrize("retries", [None, 0])
def test_retries_of_zero_are_the_daemons_default(retries: int | None) -> None:
    message = codec.encode_healthcheck(HealthcheckConfig((), retries=retries))
    assert message == pb.HealthcheckConfig()


def test_durations_of_zero_are_sent() -> None:
    message = over_the_wire(codec.encode_healthcheck(HealthcheckConfig((), interval=0)))
    assert message.HasField("interval")
    assert codec.decode_healthcheck(message).interval == timedelta(0)


@pytest.mark.parametrize(
    ("name", "empty"),
    [
        ("sandbox_phase", SandboxPhaseDetails()),
        ("exec", ExecEventDetails("", None, ExecState.UNSPECIFIED)),
        ("service", ServiceEventDetails("")),
    ],
)
def test_empty_details_are_details_all_the_same(name: str, empty: object) -> None:
    message = pb.SandboxEvent()
    getattr(message, name).SetInParent()
    event = codec.decode_event(over_the_wire(message))
    told = {n: getattr(event, n) for n in ("sandbox_phase", "exec", "service")}
    assert told == {"sandbox_phase": None, "exec": None, "service": None, name: empty}


# Source: what the recorded daemon sends. It says 0 for "none" as well.
@pytest.mark.parametrize(
    ("state", "sent", "meant"),
    [
        (ExecState.UNSPECIFIED, 0, None),
        (ExecState.UNSPECIFIED, 5, None),
        (ExecState.RUNNING, 0, None),
        (ExecState.RUNNING, 5, None),
        (ExecState.FINISHED, 0, 0),
        (ExecState.FINISHED, 5, 5),
        (ExecState.FAILED, 0, None),
        (ExecState.FAILED, 127, 127),
        (ExecState.FAILED, -1, -1),
        (ExecState.CANCELLED, 0, None),
        (ExecState.CANCELLED, 137, None),
        (ExecState(99), 0, None),
        (ExecState(99), 5, None),
    ],
)
def test_exit_codes(state: ExecState, sent: int, meant: int | None) -> None:
    status = pb.ExecStatus(exit_code=sent)
    told = pb.ExecEventDetails(exit_code=sent)
    setattr(status, "state", state.value)  # noqa: B010 - the stubs want a wire enum
    setattr(told, "exec_state", state.value)  # noqa: B010
    assert codec.decode_exec(status).exit_code == meant
    event = codec.decode_event(pb.SandboxEvent(exec=told))
    assert event.exec == ExecEventDetails("", meant, state)


@pytest.mark.parametrize(
    ("logs", "paths"),
    [
        (None, (None, None)),
        (pb.CreateExecResponse(stdout_log_path="/o", stderr_log_path="/e"), ("/o", "/e")),
        (pb.CreateExecResponse(stdout_log_path="", stderr_log_path=""), (None, None)),
    ],
    ids=["read back", "kept", "not kept"],
)
def test_log_paths_come_from_the_answer_to_the_create(
    logs: pb.CreateExecResponse | None, paths: tuple[str | None, str | None]
) -> None:
    handle = codec.decode_exec(pb.ExecStatus(), logs)
    assert (handle.stdout_log_path, handle.stderr_log_path) == paths


@given(st.timedeltas(timedelta(0), MAX_DURATION))
@example(timedelta(0))
@example(MAX_DURATION)
def test_durations_come_back_exactly(value: timedelta) -> None:
    message = codec.encode_duration("it", value)
    reference = Duration()
    reference.FromTimedelta(value)
    assert message == reference
    assert codec.decode_duration(reference) == value


@pytest.mark.parametrize(
    "value",
    [timedelta(microseconds=-1), MAX_DURATION + timedelta.resolution, timedelta.max, timedelta.min],
)
def test_what_the_wire_cannot_carry_is_refused_by_name(value: timedelta) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^idle_ttl must be from 0 to 10,000 years"):
        codec.encode_duration("idle_ttl", value)
    for name in ("interval", "timeout", "start_period", "start_interval"):
        durations_: dict[str, Any] = {name: value}
        check = HealthcheckConfig((), **durations_)
        with pytest.raises(InvalidArgumentError, match=rf"^HealthcheckConfig\.{name} must be"):
            codec.encode_healthcheck(check)


def test_no_duration_stays_unset() -> None:
    assert codec.encode_duration("it", None) is None
