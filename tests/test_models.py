"""Models: documented fields, immutable in every part."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import typing
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from agents_sandbox import (
    CompanionContainerEventDetails,
    CompanionContainerSpec,
    CopySpec,
    DeleteSandboxesResult,
    ExecEventDetails,
    ExecHandle,
    ExecResult,
    ExecState,
    HealthcheckConfig,
    InvalidArgumentError,
    MountSpec,
    PingInfo,
    PortMapping,
    SandboxEvent,
    SandboxEventType,
    SandboxHandle,
    SandboxPhaseDetails,
    SandboxState,
    ServiceEventDetails,
    ServiceSpec,
)
from agents_sandbox._frozen import FrozenMapping

NOON = datetime(2025, 1, 2, 12, tzinfo=timezone.utc)
HEALTHCHECK = HealthcheckConfig(("CMD", "true"), "5s", 1.5, 3, timedelta(seconds=1), "100ms")
SERVICE = ServiceSpec("db", "postgres:16", {"A": "1"}, HEALTHCHECK, ("echo",))
COMPANION = CompanionContainerSpec(
    "web", "nginx:1", {"A": "1"}, HEALTHCHECK, ("nginx",), ("echo",), "0.5", "512m", "10g"
)

MODELS: list[Any] = [
    MountSpec("/a", "/b", True),
    CopySpec("/a", "/b", ("*.pyc",)),
    HEALTHCHECK,
    SERVICE,
    SandboxHandle(
        sandbox_id="box-1",
        state=SandboxState.READY,
        last_event_sequence=3,
        required_services=(SERVICE,),
        optional_services=(ServiceSpec("cache", "redis:7"),),
        labels={"team": "core"},
        created_at=NOON,
        image="img",
        error_code="E",
        error_message="m",
        state_changed_at=NOON,
        companion_containers=(COMPANION,),
    ),
    ExecHandle(
        exec_id="exec-1",
        sandbox_id="box-1",
        state=ExecState.FAILED,
        command=("false",),
        cwd="/",
        env_overrides={"A": "1"},
        exit_code=1,
        error="exit code 1",
        last_event_sequence=5,
        stdout_log_path="/out",
        stderr_log_path="/err",
    ),
    ExecResult(
        exec_id="exec-1",
        sandbox_id="box-1",
        state=ExecState.FAILED,
        command=("false",),
        cwd="/",
        env_overrides={"A": "1"},
        exit_code=1,
        error="exit code 1",
        last_event_sequence=5,
        stdout_log_path="/out",
        stderr_log_path="/err",
    ),
    SandboxPhaseDetails("materialize", "E", "m", "idle_ttl"),
    ExecEventDetails("exec-1", 1, ExecState.FAILED, "E", "m"),
    ServiceEventDetails("db", "E", "m"),
    SandboxEvent(
        event_id="box-1-3",
        sequence=3,
        sandbox_id="box-1",
        event_type=SandboxEventType.SANDBOX_READY,
        occurred_at=NOON,
        replay=True,
        snapshot=True,
        sandbox_state=SandboxState.READY,
        sandbox_phase=SandboxPhaseDetails(),
        exec=ExecEventDetails("exec-1", None, ExecState.RUNNING),
        service=ServiceEventDetails("db"),
    ),
    COMPANION,
    PortMapping(8080, 18080, "udp"),
    CompanionContainerEventDetails("web", "E", "m"),
    PingInfo("0.2.1", "agboxd"),
    DeleteSandboxesResult(("box-1",), 1),
]
VALUES: list[Any] = [
    *MODELS,
    *(SandboxState(9), ExecState(9), SandboxEventType(99), SandboxState.READY),
    *(FrozenMapping(), FrozenMapping({"b": "2", "a": "1"})),
]

# Source: the user's documentation, in its order. The fields after these are the SDK's own.
DOCUMENTED: dict[type[Any], dict[str, Any]] = {
    SandboxHandle: {
        "sandbox_id": str,
        "state": SandboxState,
        "last_event_sequence": int,
        "required_services": tuple[ServiceSpec, ...],
        "optional_services": tuple[ServiceSpec, ...],
        "labels": Mapping[str, str],
        "created_at": datetime | None,
        "image": str,
    },
    ServiceSpec: {
        "name": str,
        "image": str,
        "envs": Mapping[str, str],
        "healthcheck": HealthcheckConfig | None,
        "post_start_on_primary": tuple[str, ...],
    },
    HealthcheckConfig: {
        "test": tuple[str, ...],
        "interval": timedelta | None,
        "timeout": timedelta | None,
        "retries": int | None,
        "start_period": timedelta | None,
        "start_interval": timedelta | None,
    },
}
ADDED = {SandboxHandle: ["error_code", "error_message", "state_changed_at", "companion_containers"]}


def kind(value: object) -> str:
    return type(value).__name__


def test_results_can_be_made_with_their_output() -> None:
    result = ExecResult(
        *("exec-1", "box-1", ExecState.FINISHED, ("ls",), "", {}, 0),
        stdout="grüße",
        stderr=b"\xff",
        stderr_truncated=True,
    )
    assert (result.stdout_bytes, result.stderr_bytes) == ("grüße".encode(), b"\xff")
    assert (result.stdout_truncated, result.stderr_truncated) == (False, True)


@pytest.mark.parametrize("model", DOCUMENTED)
def test_fields_have_the_documented_names_types_and_order(model: type[Any]) -> None:
    hints = typing.get_type_hints(model)
    documented = DOCUMENTED[model]
    assert [field.name for field in dataclasses.fields(model)] == list(hints)
    assert list(hints.items())[: len(documented)] == list(documented.items())
    assert list(hints)[len(documented) :] == ADDED.get(model, [])


@pytest.mark.parametrize("model", MODELS, ids=kind)
def test_type_hints_resolve_and_hold(model: Any) -> None:
    assert list(typing.get_type_hints(type(model))) == list(type(model).__match_args__)


@pytest.mark.parametrize("model", MODELS, ids=kind)
def test_models_are_frozen_and_slotted(model: Any) -> None:
    name = dataclasses.fields(model)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(model, name, "other")
    with pytest.raises(dataclasses.FrozenInstanceError):
        delattr(model, name)
    assert not hasattr(model, "__dict__")


@pytest.mark.parametrize(
    "clone",
    [
        copy.copy,
        copy.deepcopy,
        *(lambda value, p=p: pickle.loads(pickle.dumps(value, p)) for p in range(6)),
    ],
)
@pytest.mark.parametrize("value", VALUES, ids=kind)
def test_clones_are_equal_in_every_respect(value: Any, clone: Callable[[Any], Any]) -> None:
    cloned = clone(value)
    assert type(cloned) is type(value)
    assert cloned == value
    assert hash(cloned) == hash(value)
    assert repr(cloned) == repr(value)


@pytest.mark.parametrize("model", MODELS, ids=kind)
def test_replace_changes_one_field_only(model: Any) -> None:
    assert dataclasses.replace(model) == model
    first = dataclasses.fields(model)[0].name
    value = getattr(model, first)
    # Paths are absolute.
    other = 1 if isinstance(value, int) else "/" if first == "source" else type(value)()
    changed = dataclasses.replace(model, **{first: other})
    assert changed != model
    assert dataclasses.replace(changed, **{first: value}) == model


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            SandboxHandle("box-1", SandboxState.READY, 3, (), (), {"team": "core"}, NOON, "a:1"),
            (
                "SandboxHandle(sandbox_id='box-1', state=READY, last_event_sequence=3, "
                "labels={'team': 'core'}, created_at=2025-01-02T12:00:00+00:00, image='a:1')"
            ),
        ),
        (
            ExecHandle(
                "exec-1", "box-1", ExecState.FINISHED, ("true",), "", {"TOKEN": "x"}, 0, None, 5
            ),
            (
                "ExecHandle(exec_id='exec-1', sandbox_id='box-1', state=FINISHED, command="
                "['true'], env_overrides={'TOKEN': ...}, exit_code=0, last_event_sequence=5)"
            ),
        ),
        (
            SandboxEvent(
                *("box-1-3", 3, "box-1", SandboxEventType(99), None, True, False),
                SandboxState.UNSPECIFIED,
                exec=ExecEventDetails("exec-1", None, ExecState.RUNNING),
            ),
            (
                "SandboxEvent(event_id='box-1-3', sequence=3, sandbox_id='box-1', "
                "event_type=UNKNOWN_99, replay=True, "
                "exec=ExecEventDetails(exec_id='exec-1', exec_state=RUNNING))"
            ),
        ),
        (
            ServiceSpec("db", "db:1", {"A": "x", "B": "y"}, HEALTHCHECK),
            (
                "ServiceSpec(name='db', image='db:1', envs={'A': ..., 'B': ...}, "
                "healthcheck=HealthcheckConfig(test=['CMD', 'true'], interval=5s, timeout=1.5s, "
                "retries=3, start_period=1s, start_interval=0.1s))"
            ),
        ),
        (MountSpec("/a", "/b"), "MountSpec(source='/a', target='/b')"),
        (PortMapping(80, 8080), "PortMapping(container_port=80, host_port=8080)"),
        (
            CopySpec("/" + "a" * 300, "/b", [str(number) for number in range(7)]),
            (
                f"CopySpec(source='/{'a' * 199}'... (301 characters), target='/b', "
                "exclude_patterns=['0', '1', '2', '3', '4', ... 2 more])"
            ),
        ),
    ],
    ids=kind,
)
def test_a_repr_is_one_line_of_what_differs_from_the_defaults(model: Any, expected: str) -> None:
    assert repr(model) == expected


@pytest.mark.parametrize("model", MODELS, ids=kind)
def test_a_repr_never_grows_beyond_reason(model: Any) -> None:
    def grown(value: Any) -> Any:
        if isinstance(value, str):
            return "\n" * 10_000_000
        return value * 1000 if isinstance(value, tuple) else value

    values = {field.name: grown(getattr(model, field.name)) for field in dataclasses.fields(model)}
    for name, value in values.items():
        object.__setattr__(model := copy.copy(model), name, value)
    assert len(repr(model)) < 20_000
    assert "\n" not in repr(model)


def test_a_repr_can_be_made_of_an_object_that_is_not_complete() -> None:
    assert repr(object.__new__(MountSpec)) == "MountSpec()"


def test_what_a_caller_may_leave_out() -> None:
    assert MountSpec("/a", "/b").writable is False
    assert CopySpec("/a", "/b").exclude_patterns == ()
    service = ServiceSpec("db", "img")
    assert (service.envs, service.healthcheck, service.post_start_on_primary) == ({}, None, ())
    companion = CompanionContainerSpec("web", "img")
    assert (companion.envs, companion.healthcheck, companion.post_start_on_primary) == (
        {},
        None,
        (),
    )
    limits = (companion.cpu_limit, companion.memory_limit, companion.disk_limit)
    assert (companion.command, limits) == (None, (None, None, None))
    assert PortMapping(1, 65535).protocol == "tcp"
    unset = dataclasses.astuple(HealthcheckConfig(("NONE",)))
    assert unset == (("NONE",), None, None, None, None, None)


def test_what_a_daemon_may_leave_out_is_none() -> None:
    handle = SandboxHandle("box-1", SandboxState.READY, 3, (), (), {}, None, "img")
    assert (handle.error_code, handle.error_message, handle.state_changed_at) == (None,) * 3
    assert handle.companion_containers == ()
    assert dataclasses.astuple(CompanionContainerEventDetails("db")) == ("db", None, None)
    assert dataclasses.astuple(SandboxPhaseDetails()) == (None,) * 4
    assert dataclasses.astuple(ServiceEventDetails("db")) == ("db", None, None)
    unset = dataclasses.astuple(ExecEventDetails("exec-1", None, ExecState.RUNNING))
    assert unset == ("exec-1", None, ExecState.RUNNING, None, None)


def test_events_of_services_and_companions_can_be_read_under_both_names() -> None:
    def event(service: ServiceEventDetails | None) -> SandboxEvent:
        return SandboxEvent(
            *("box-1-3", 3, "box-1", SandboxEventType.COMPANION_CONTAINER_FAILED),
            *(None, True, False, SandboxState.READY),
            service=service,
        )

    failed = event(ServiceEventDetails("db", "E", "m"))
    assert failed.companion_container == CompanionContainerEventDetails("db", "E", "m")
    assert event(None).companion_container is None

    details = CompanionContainerEventDetails("db", "E", "m")
    required = ("box-1-3", 3, "box-1", SandboxEventType.COMPANION_CONTAINER_FAILED, None)
    made = SandboxEvent(*required, companion_container=details)
    assert (made.companion_container, made.service) == (details, failed.service)
    assert dataclasses.replace(made, service=None).companion_container is None


def test_a_companions_command_comes_before_its_hooks() -> None:
    """Another order would make a hook of the command of a caller who passes it by position."""
    assert COMPANION.command == ("nginx",)
    assert COMPANION.post_start_on_primary == ("echo",)


def test_specs_take_what_users_have_and_hold_what_is_documented() -> None:
    check = HealthcheckConfig(["CMD", "true"], "5s", 2, 0, 0.5, timedelta(seconds=1))
    assert check.test == ("CMD", "true")
    assert (check.interval, check.timeout) == (timedelta(seconds=5), timedelta(seconds=2))
    assert (check.start_period, check.start_interval) == (timedelta(0, 0.5), timedelta(0, 1))
    assert check.retries == 0
    assert HealthcheckConfig((), retries=2**32 - 1).retries == 2**32 - 1

    assert MountSpec(Path("/a b"), Path("/b")) == MountSpec("/a b", "/b")
    copied = CopySpec(Path("/a"), "/b", (p for p in ["*.pyc"]))
    assert copied == CopySpec("/a", Path("/b"), ["*.pyc"])
    assert copied.exclude_patterns == ("*.pyc",)
    assert ServiceSpec("a", "b", post_start_on_primary=["x"]).post_start_on_primary == ("x",)

    lists = CompanionContainerSpec("a", "b", post_start_on_primary=["x"], command=iter(["y", ""]))
    assert (lists.post_start_on_primary, lists.command) == (("x",), ("y", ""))
    assert CompanionContainerSpec("a", "b", cpu_limit="") == CompanionContainerSpec("a", "b")
    protocols = ("tcp", "UDP", "Sctp")
    ports = [PortMapping(1, 2, protocol) for protocol in protocols]
    assert [port.protocol for port in ports] == ["tcp", "udp", "sctp"]
    assert ports[1] == PortMapping(1, 2, "udp")


def companion(**arguments: Any) -> CompanionContainerSpec:
    return CompanionContainerSpec(**{"name": "a", "image": "b", **arguments})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        # Type checkers refuse these too, as intended; hence each ignore.
        (lambda: MountSpec("a", "/b"), "MountSpec.source must be an absolute path"),
        (lambda: MountSpec("/a", "b"), "MountSpec.target must be an absolute path"),
        (lambda: CopySpec("a", "/b"), "CopySpec.source must be an absolute path"),
        (lambda: CopySpec("/a", "~b"), "CopySpec.target must be an absolute path"),
        (lambda: MountSpec(1, "/b"), "MountSpec.source must be a str"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: MountSpec("/a", b"/b"), "MountSpec.target must be a str"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: MountSpec("/a", "/b", "no"), "MountSpec.writable must be True"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: CopySpec(None, "/b"), "CopySpec.source must be a str"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: CopySpec("/a", "\ud800"), "CopySpec.target is not valid Unicode"),
        (lambda: CopySpec("/a", "/b\0"), "CopySpec.target must not contain NUL"),
        (lambda: CopySpec("/a", "/b", "*.pyc"), "CopySpec.exclude_patterns must be a sequence"),
        (lambda: HealthcheckConfig("true"), "HealthcheckConfig.test must be a sequence"),
        (lambda: HealthcheckConfig((), "5"), "HealthcheckConfig.interval: invalid duration '5'"),
        (lambda: HealthcheckConfig((), timeout=True), "HealthcheckConfig.timeout must be"),
        (lambda: HealthcheckConfig((), start_period="x"), "HealthcheckConfig.start_period: inv"),
        (lambda: HealthcheckConfig((), start_interval="x"), "HealthcheckConfig.start_interval: "),
        (lambda: HealthcheckConfig((), retries=-1), "HealthcheckConfig.retries must be an int"),
        (lambda: HealthcheckConfig((), retries=2**32), "HealthcheckConfig.retries must be an int"),
        (lambda: ServiceSpec(None, "b"), "ServiceSpec.name must be a str"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: ServiceSpec("a", 1), "ServiceSpec.image must be a str"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: ServiceSpec("a", "b", {"A": 1}), "ServiceSpec.envs['A'] must be a str"),  # type: ignore[dict-item]  # wrong on purpose
        (lambda: ServiceSpec("a", "b", healthcheck=""), "ServiceSpec.healthcheck must be a H"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: ServiceSpec("a", "b", post_start_on_primary="x"), "ServiceSpec.post_start_on_"),
        (lambda: companion(name=1), "CompanionContainerSpec.name must be a str"),
        (lambda: companion(image=None), "CompanionContainerSpec.image must be a str"),
        (lambda: companion(envs=["A=1"]), "CompanionContainerSpec.envs must be a mapping"),
        (lambda: companion(healthcheck="x"), "CompanionContainerSpec.healthcheck must be a Health"),
        (lambda: companion(post_start_on_primary="x"), "CompanionContainerSpec.post_start_on_"),
        (lambda: companion(command="sleep 1"), "CompanionContainerSpec.command must be a sequence"),
        (lambda: companion(command=[]), "CompanionContainerSpec.command must not be empty: omit"),
        (lambda: companion(command=iter(())), "CompanionContainerSpec.command must not be empty"),
        (lambda: companion(command=["a", 1]), "CompanionContainerSpec.command[1] must be a str"),
        (
            lambda: companion(cpu_limit=0.5),
            "CompanionContainerSpec.cpu_limit must be a str, not fl",
        ),
        (lambda: companion(memory_limit=1), "CompanionContainerSpec.memory_limit must be a str"),
        (lambda: companion(disk_limit=b"1"), "CompanionContainerSpec.disk_limit must be a str"),
        (lambda: PortMapping(0, 1), "PortMapping.container_port must be an int from 1 to 65535"),
        (lambda: PortMapping(1, 65536), "PortMapping.host_port must be an int from 1 to 65535"),
        (lambda: PortMapping(1, True), "PortMapping.host_port must be an int from 1 to 65535"),
        (lambda: PortMapping("1", 1), "PortMapping.container_port must be an int"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: PortMapping(1, 2, "icmp"), "PortMapping.protocol must be one of tcp, udp, sctp: "),
        (lambda: PortMapping(1, 2, None), "PortMapping.protocol must be one of tcp, udp, sctp: "),  # type: ignore[arg-type]  # wrong on purpose
    ],
)
def test_specs_refuse_what_is_wrong_by_name(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        make()
    assert str(caught.value).startswith(message)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("index", [4, 5])
def test_handles_keep_their_own_copy_of_mappings(index: int) -> None:
    name = {4: "labels", 5: "env_overrides"}[index]
    mine = {"a": "1"}
    model = dataclasses.replace(MODELS[index], **{name: mine})
    mine["a"] = "2"
    assert getattr(model, name) == {"a": "1"}
    with pytest.raises(TypeError):
        getattr(model, name)["a"] = "2"


def test_a_frozen_mapping_is_a_dict() -> None:
    mapping = FrozenMapping({"b": "2", "a": "1"})
    assert mapping == {"a": "1", "b": "2"}
    assert {"a": "1", "b": "2"} == mapping  # noqa: SIM300 - the other way round
    assert mapping != {"a": "1"}
    assert (list(mapping), len(mapping), mapping["a"]) == (["b", "a"], 2, "1")
    assert repr(mapping) == "{'b': '2', 'a': '1'}"
    assert hash(mapping) == hash(FrozenMapping({"a": "1", "b": "2"}))
    empty: FrozenMapping[str] = FrozenMapping()
    assert empty == FrozenMapping({}) == {}
    with pytest.raises(KeyError):
        mapping["c"]
    assert isinstance(mapping, dict)
    assert json.dumps(mapping) == '{"b": "2", "a": "1"}'


def test_what_is_made_from_a_frozen_mapping_can_be_changed() -> None:
    mapping = FrozenMapping({"a": "1"})
    for made in (
        mapping.copy(),
        dict(mapping),
        mapping | {"b": "2"},
        {"b": "2"} | mapping,
        {**mapping},
    ):
        assert type(made) is dict
    changed: dict[str, str] = mapping
    changed |= {"b": "2"}
    assert (changed, mapping) == ({"a": "1", "b": "2"}, {"a": "1"})


@pytest.mark.parametrize(
    "change",
    [
        lambda mapping: mapping.__setitem__("a", "2"),
        lambda mapping: mapping.__delitem__("a"),
        lambda mapping: mapping.update(a="2"),
        lambda mapping: mapping.update({}),
        lambda mapping: mapping.setdefault("a"),
        lambda mapping: mapping.pop("a"),
        lambda mapping: mapping.pop("b", None),
        lambda mapping: mapping.popitem(),
        lambda mapping: mapping.clear(),
    ],
)
def test_a_frozen_mapping_refuses_changes(change: Callable[[Any], object]) -> None:
    mapping = FrozenMapping({"a": "1"})
    with pytest.raises(TypeError, match=r"immutable: change a copy of it, such as dict\(mapping\)"):
        change(mapping)
    assert mapping == {"a": "1"}


def test_a_frozen_mapping_has_no_other_way_to_change() -> None:
    mapping: Any = FrozenMapping({"a": "1"})
    mapping.__init__({"b": "2"})
    with pytest.raises(AttributeError):
        mapping.other = {}
    assert mapping == {"a": "1"}
    reading = {
        *("__contains__", "__getitem__", "__iter__", "__len__", "__reversed__", "__sizeof__"),
        *("__eq__", "__ge__", "__gt__", "__le__", "__lt__", "__ne__", "__or__", "__ror__"),
        *("copy", "fromkeys", "get", "items", "keys", "values"),
        *("__class_getitem__", "__doc__", "__getattribute__", "__repr__"),
    }
    assert vars(dict).keys() - vars(FrozenMapping).keys() <= reading
