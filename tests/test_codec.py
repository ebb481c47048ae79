"""Models become messages and messages become models without loss."""

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
    CompanionContainerEventDetails,
    CompanionContainerSpec,
    CopySpec,
    ExecEventDetails,
    ExecHandle,
    ExecState,
    HealthcheckConfig,
    InvalidArgumentError,
    MountSpec,
    PortMapping,
    SandboxEvent,
    SandboxEventType,
    SandboxHandle,
    SandboxPhaseDetails,
    SandboxState,
    ServiceEventDetails,
    ServiceSpec,
)
from agents_sandbox._arguments.creates import NewSandbox
from agents_sandbox._wire import codec
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire import v04_pb2 as v04
from agents_sandbox._wire.creates import as_companion
from agents_sandbox._wire.dialects import dialect_of
from agents_sandbox._wire.releases import NEWEST, OLDEST
from agents_sandbox.testing._protocol.dialect import DIALECT_02, DIALECT_04, FIELDS_SINCE_04

MessageT = TypeVar("MessageT", bound=Message)

MAX_DURATION = timedelta(seconds=315_576_000_000)

texts = st.text(max_size=5)
# On the wire an empty string and no string are the same; the models use None.
optional_texts = st.text(min_size=1, max_size=5) | st.none()
strings = st.lists(texts, max_size=2).map(tuple)
commands = st.none() | st.lists(texts, min_size=1, max_size=2).map(tuple)
mappings = st.dictionaries(texts, texts, max_size=2)
# A variable has a name.
variables = st.dictionaries(st.text(min_size=1, max_size=5), texts, max_size=2)
times = st.datetimes(timezones=st.just(timezone.utc)) | st.none()
durations = st.timedeltas(timedelta(0), MAX_DURATION) | st.none()
int32s = st.integers(-(2**31), 2**31 - 1)
uint64s = st.integers(0, 2**64 - 1)


def states(kind: type[enum.Enum]) -> st.SearchStrategy[Any]:
    return st.sampled_from(list(kind)) | int32s.map(kind)


# A path contains no NUL, and is absolute.
paths = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=5).map("/{}".format)
mounts = st.builds(MountSpec, paths, paths, st.booleans())
copies = st.builds(CopySpec, paths, paths, strings)
healthchecks = st.builds(
    HealthcheckConfig,
    strings,
    durations,
    durations,
    # 0 and unset are the same for the daemon and on the wire.
    st.integers(1, 2**32 - 1) | st.none(),
    durations,
    durations,
)
services = st.builds(ServiceSpec, texts, texts, variables, healthchecks | st.none(), strings)
service_lists = st.lists(services, max_size=2).map(tuple)
companions = st.builds(
    CompanionContainerSpec,
    *(texts, texts, variables, healthchecks | st.none(), commands, strings),
    *[optional_texts] * 3,
)
companion_lists = st.lists(companions, max_size=2).map(tuple)
port_numbers = st.integers(1, 65535)
ports = st.builds(PortMapping, port_numbers, port_numbers, st.sampled_from(["tcp", "udp", "sctp"]))


def sandboxes(**side_containers: st.SearchStrategy[Any]) -> st.SearchStrategy[SandboxHandle]:
    """Snapshots; the dialects differ in the side containers."""
    return st.builds(
        SandboxHandle,
        sandbox_id=texts,
        state=states(SandboxState),
        last_event_sequence=uint64s,
        labels=mappings,
        created_at=times,
        image=texts,
        error_code=optional_texts,
        error_message=optional_texts,
        state_changed_at=times,
        **{
            "required_services": st.just(()),
            "optional_services": st.just(()),
            **side_containers,
        },
    )


sandboxes_v02 = sandboxes(required_services=service_lists, optional_services=service_lists)
sandboxes_v04 = sandboxes(companion_containers=companion_lists)
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


MESSAGES: dict[type[Any], type[Message]] = {
    ServiceSpec: pb.ServiceSpec,
    CompanionContainerSpec: v04.CompanionContainerSpec,
}


def to_message(model: Any, kind: type[MessageT]) -> MessageT:
    """Encode a model only by its field names, with protobuf's own conversions."""
    message = kind()
    for field in dataclasses.fields(model):
        name, value = field.name, getattr(model, field.name)
        # A field that a dialect does not have is empty in its models.
        if value is None or value == () or name.endswith("_log_path"):
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
                to_message(item, MESSAGES[type(item)]) if type(item) in MESSAGES else item
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


@given(companions)
def test_companions_come_back(companion: CompanionContainerSpec) -> None:
    message = over_the_wire(codec.encode_companion(companion))
    assert message == to_message(companion, v04.CompanionContainerSpec)
    assert codec.decode_companion(message) == companion


@given(ports)
def test_ports_are_encoded(port: PortMapping) -> None:
    message = over_the_wire(codec.encode_port(port))
    name = v04.PortProtocol.Name(message.protocol)
    told = (message.container_port, message.host_port, name)
    assert told == (
        port.container_port,
        port.host_port,
        {"tcp": "PORT_PROTOCOL_TCP", "udp": "PORT_PROTOCOL_UDP", "sctp": "PORT_PROTOCOL_SCTP"}[
            port.protocol
        ],
    )


@given(sandboxes_v02)
def test_sandboxes_of_dialect_02_are_decoded(handle: SandboxHandle) -> None:
    message = over_the_wire(to_message(handle, pb.SandboxHandle))
    assert codec.decode_sandbox_v02(message) == handle


@given(sandboxes_v04)
def test_sandboxes_of_dialect_04_are_decoded(handle: SandboxHandle) -> None:
    message = over_the_wire(to_message(handle, v04.SandboxHandle))
    assert codec.decode_sandbox_v04(message) == handle


COMMON: dict[str, st.SearchStrategy[Any]] = {
    "image": st.text(min_size=1, max_size=5),
    "mounts": st.lists(mounts, max_size=2).map(tuple),
    "copies": st.lists(copies, max_size=2).map(tuple),
    "builtin_tools": strings,
    "required_services": service_lists,
    "optional_services": service_lists,
    "labels": mappings,
    "envs": variables,
    "idle_ttl": durations,
}
SINCE_04: dict[str, st.SearchStrategy[Any]] = {
    "companion_containers": companion_lists,
    "ports": st.lists(ports, max_size=2).map(tuple),
    "command": commands,
    **dict.fromkeys(("cpu_limit", "memory_limit", "disk_limit", "gpus"), optional_texts),
}


def check_what_is_in_both_dialects(asked: dict[str, Any], spec: Any) -> None:
    for name in ("image", "labels", "envs"):
        assert getattr(spec, name) == asked[name]
    assert tuple(spec.builtin_tools) == asked["builtin_tools"]
    assert spec.mounts == [to_message(mount, pb.MountSpec) for mount in asked["mounts"]]
    assert spec.copies == [to_message(copy, pb.CopySpec) for copy in asked["copies"]]
    ttl = None if spec.idle_ttl is None else codec.decode_duration(spec.idle_ttl)
    assert ttl == asked["idle_ttl"]


# From the arguments of a create to a handle, through the fake daemon, which has its own code for
# creates and handles.
@given(st.fixed_dictionaries(COMMON))
def test_creates_of_dialect_02_come_back_in_handles(asked: dict[str, Any]) -> None:
    new = NewSandbox(**asked, sandbox_id="box-1")
    dialect = dialect_of(OLDEST)
    spec = DIALECT_02.decode_spec(over_the_wire(dialect.encode_create(new, OLDEST)).create_spec, ())
    check_what_is_in_both_dialects(asked, spec)
    common = {"sandbox_id": "box-1", "image": spec.image, "labels": spec.labels}
    handle = dialect.decode_sandbox(over_the_wire(DIALECT_02.encode_handle(spec, common)))
    assert (handle.image, handle.labels) == (asked["image"], asked["labels"])
    assert handle.required_services == asked["required_services"]
    assert handle.optional_services == asked["optional_services"]


@given(st.fixed_dictionaries({**COMMON, **SINCE_04}))
def test_creates_of_dialect_04_come_back_in_handles(asked: dict[str, Any]) -> None:
    new = NewSandbox(**asked, sandbox_id="box-1")
    dialect = dialect_of(NEWEST)
    spec = DIALECT_04.decode_spec(
        over_the_wire(dialect.encode_create(new, NEWEST)).create_spec, FIELDS_SINCE_04
    )
    check_what_is_in_both_dialects(asked, spec)
    protocols = ("tcp", "udp", "sctp")
    assert [
        PortMapping(port.container_port, port.host_port, protocols[port.protocol])
        for port in spec.ports
    ] == list(asked["ports"])
    assert tuple(spec.command) == (asked["command"] or ())
    for name in ("cpu_limit", "memory_limit", "disk_limit", "gpus"):
        assert getattr(spec, name) == (asked[name] or "")
    common = {"sandbox_id": "box-1", "image": spec.image, "labels": spec.labels}
    handle = dialect.decode_sandbox(over_the_wire(DIALECT_04.encode_handle(spec, common)))
    assert (handle.image, handle.labels) == (asked["image"], asked["labels"])
    services = (*asked["required_services"], *asked["optional_services"])
    assert handle.companion_containers == (
        *map(as_companion, services),
        *asked["companion_containers"],
    )


@given(execs)
def test_execs_are_decoded(handle: ExecHandle) -> None:
    message = over_the_wire(to_message(handle, pb.ExecStatus))
    assert codec.decode_exec(message) == handle


@given(events)
def test_events_are_decoded(event: SandboxEvent) -> None:
    message = over_the_wire(to_message(event, pb.SandboxEvent))
    assert codec.decode_event(message) == event


# The event streams of both dialects are the same on the wire.
@given(events)
def test_events_of_dialect_04_are_decoded(event: SandboxEvent) -> None:
    message, details = v04.SandboxEvent(), event.service
    if details is not None:
        message.companion_container.CopyFrom(
            v04.CompanionContainerEventDetails(
                name=details.service_name,
                error_code=details.error_code or "",
                error_message=details.error_message or "",
            )
        )
    rest = to_message(dataclasses.replace(event, service=None), pb.SandboxEvent)
    message.MergeFromString(rest.SerializeToString())
    told = codec.decode_event(pb.SandboxEvent.FromString(message.SerializeToString()))
    assert told == event
    assert told.companion_container == (
        details and CompanionContainerEventDetails(*dataclasses.astuple(details))
    )


def test_what_is_not_set_reads_as_empty() -> None:
    for sandbox in (
        codec.decode_sandbox_v02(pb.SandboxHandle()),
        codec.decode_sandbox_v04(v04.SandboxHandle()),
    ):
        assert sandbox == SandboxHandle("", SandboxState.UNSPECIFIED, 0, (), (), {}, None, "")
    companion = codec.decode_companion(v04.CompanionContainerSpec())
    assert companion == CompanionContainerSpec("", "")
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


# Source: recordings of the daemon. It also sends 0 for "none".
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
    setattr(told, "exec_state", state.value)  # noqa: B010 - the stubs want a wire enum
    assert codec.decode_exec(status).exit_code == meant
    event = codec.decode_event(pb.SandboxEvent(exec=told))
    assert event.exec == ExecEventDetails("", meant, state)


@pytest.mark.parametrize(
    ("answer", "paths"),
    [
        (pb.CreateExecResponse(stdout_log_path="/o", stderr_log_path="/e"), ("/o", "/e")),
        (pb.CreateExecResponse(stdout_log_path="", stderr_log_path=""), (None, None)),
    ],
    ids=["kept", "not kept"],
)
def test_log_paths_come_from_the_answer_to_the_create(
    answer: pb.CreateExecResponse, paths: tuple[str | None, str | None]
) -> None:
    handle = codec.decode_exec(pb.ExecStatus(), codec.decode_log_paths(answer))
    assert (handle.stdout_log_path, handle.stderr_log_path) == paths
    read_back = codec.decode_exec(pb.ExecStatus())
    assert (read_back.stdout_log_path, read_back.stderr_log_path) == (None, None)


@given(st.timedeltas(timedelta(0), MAX_DURATION))
@example(timedelta(0))
@example(MAX_DURATION)
def test_durations_come_back_exactly(value: timedelta) -> None:
    message = codec.encode_duration(value)
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
        NewSandbox(image="img", idle_ttl=value)
    for name in ("interval", "timeout", "start_period", "start_interval"):
        durations_: dict[str, Any] = {name: value}
        check = HealthcheckConfig((), **durations_)
        places: list[dict[str, Any]] = [
            {"required_services": [ServiceSpec("db", "img", healthcheck=check)]},
            {"optional_services": [ServiceSpec("db", "img", healthcheck=check)]},
            {"companion_containers": [CompanionContainerSpec("db", "img", healthcheck=check)]},
        ]
        for containers in places:
            with pytest.raises(InvalidArgumentError, match=rf"^HealthcheckConfig\.{name} must be"):
                NewSandbox(image="img", **containers)


def test_no_duration_stays_unset() -> None:
    assert codec.encode_duration(None) is None
