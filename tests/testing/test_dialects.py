"""The two wire dialects: decoding, encoding, and requests in the wrong one."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire import v04_pb2 as v04
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._protocol.dialect import DIALECT_02, DIALECT_04, FIELDS_SINCE_04
from agents_sandbox.testing._protocol.profile import profile_for
from agents_sandbox.testing._protocol.spec import Port

from .raw import TIMEOUT, Refusal, connected, refusal
from .releases import RELEASES

pytestmark = pytest.mark.once

# The keys of config_yaml that a release knows reveal its dialect and its features.
PROBES = {
    "required_services: {}": ("0.2.0", "0.2.1"),
    "companion_containers: {}": tuple(RELEASES[2:]),
    "ports: []": ("0.4.0", "0.4.1", "0.4.2", "0.4.3", "dev"),
    "cpu_limit: ''": ("0.4.1", "0.4.2", "0.4.3", "dev"),
    "gpus: ''": ("0.4.3", "dev"),
}


@pytest.mark.parametrize("version", RELEASES)
def test_probes_without_side_effects(version: str) -> None:
    with FakeDaemon(version=version) as daemon, connected(daemon) as raw:
        for probe, knowing in PROBES.items():
            refused = raw.refused(methods.CREATE_SANDBOX, config_yaml=probe.encode())
            unknown = (
                "invalid config_yaml: yaml: unmarshal errors:\n"
                f"  line 1: field {probe.split(':')[0]} not found in type control.YAMLConfig"
            )
            expected = "create_spec.image is required" if version in knowing else unknown
            assert refused == Refusal("INVALID_ARGUMENT", expected)
        assert not raw(methods.LIST_SANDBOXES, include_deleted=True).sandboxes


TEXT = st.text(max_size=3)
TEXTS = st.lists(TEXT, max_size=2)
TEXT_MAP = st.dictionaries(TEXT, TEXT, max_size=2)
DURATIONS = st.none() | st.builds(Duration, seconds=st.integers(-9, 9))
HEALTHCHECKS = st.none() | st.builds(
    pb.HealthcheckConfig,
    test=TEXTS,
    interval=DURATIONS,
    timeout=DURATIONS,
    retries=st.integers(0, 9),
    start_period=DURATIONS,
    start_interval=DURATIONS,
)
SIDE_FIELDS: dict[str, Any] = {
    "name": TEXT,
    "image": TEXT,
    "envs": TEXT_MAP,
    "healthcheck": HEALTHCHECKS,
    "post_start_on_primary": TEXTS,
}
LIMITS = dict.fromkeys(("cpu_limit", "memory_limit", "disk_limit"), TEXT)
COMMON: dict[str, Any] = {
    "image": TEXT,
    "mounts": st.lists(st.builds(pb.MountSpec, source=TEXT, target=TEXT), max_size=2),
    "copies": st.lists(st.builds(pb.CopySpec, source=TEXT, exclude_patterns=TEXTS), max_size=2),
    "builtin_tools": TEXTS,
    "labels": TEXT_MAP,
    "envs": TEXT_MAP,
    "idle_ttl": DURATIONS,
}
SERVICES = st.lists(st.builds(pb.ServiceSpec, **SIDE_FIELDS), max_size=2)
COMPANIONS = st.lists(
    st.builds(v04.CompanionContainerSpec, **SIDE_FIELDS, command=TEXTS, **LIMITS), max_size=2
)
PORTS = st.lists(
    st.builds(
        v04.PortMapping,
        container_port=st.integers(0, 9),
        host_port=st.integers(0, 9),
        protocol=st.integers(-1, 3),
    ),
    max_size=2,
)
SPECS_02 = st.builds(
    pb.CreateSpec, required_services=SERVICES, optional_services=SERVICES, **COMMON
)
SPECS_04 = st.builds(
    v04.CreateSpec,
    companion_containers=COMPANIONS,
    ports=PORTS,
    command=TEXTS,
    gpus=TEXT,
    **LIMITS,
    **COMMON,
)


@given(SPECS_02)
def test_dialect_02_keeps_every_field(sent: pb.CreateSpec) -> None:
    spec = DIALECT_02.decode_spec(sent, frozenset())
    handle = DIALECT_02.encode_handle(spec, {})

    assert isinstance(handle, pb.SandboxHandle)
    assert handle.required_services == sent.required_services
    assert handle.optional_services == sent.optional_services
    assert len(spec.side_containers) == len(sent.required_services) + len(sent.optional_services)
    assert {name: getattr(spec, name) for name in COMMON} == common_fields(sent)


@given(SPECS_04)
def test_dialect_04_keeps_every_field(sent: v04.CreateSpec) -> None:
    spec = DIALECT_04.decode_spec(sent, FIELDS_SINCE_04)
    handle = DIALECT_04.encode_handle(spec, {})

    assert isinstance(handle, v04.SandboxHandle)
    assert handle.companion_containers == sent.companion_containers
    assert len(spec.side_containers) == len(sent.companion_containers)
    assert {name: getattr(spec, name) for name in COMMON} == common_fields(sent)
    assert spec.ports == [
        Port(port.container_port, port.host_port, port.protocol) for port in sent.ports
    ]
    assert spec.command == list(sent.command)
    for name in (*LIMITS, "gpus"):
        assert getattr(spec, name) == getattr(sent, name)


def common_fields(sent: Any) -> dict[str, Any]:
    fields = {name: getattr(sent, name) for name in COMMON}
    for name in ("mounts", "copies", "builtin_tools"):
        fields[name] = list(fields[name])
    if not sent.HasField("idle_ttl"):
        fields["idle_ttl"] = None
    return fields


@given(SPECS_04)
def test_fields_of_later_releases_are_dropped(sent: v04.CreateSpec) -> None:
    spec = DIALECT_04.decode_spec(sent, profile_for("0.3.0").new_fields)
    bare = v04.CreateSpec()
    bare.CopyFrom(sent)
    for name in FIELDS_SINCE_04:
        bare.ClearField(name)
    for companion in bare.companion_containers:
        for name in ("command", *LIMITS):
            companion.ClearField(name)
    assert spec == DIALECT_04.decode_spec(bare, FIELDS_SINCE_04)


IMAGE: dict[str, Any] = {"image": "img"}
CACHE = {"name": "cache", "image": "redis:7"}
BAD_HOST_PORT = "port host_port must be between 1 and 65535, got"


@pytest.mark.parametrize(
    ("version", "sent", "message"),
    [
        ("0.4.3", pb.CreateSpec(**IMAGE, idle_ttl=Duration(seconds=30)), f"{BAD_HOST_PORT} 0"),
        (
            "0.4.3",
            pb.CreateSpec(**IMAGE, idle_ttl=Duration(seconds=30, nanos=500_000_000)),
            f"{BAD_HOST_PORT} 500000000",
        ),
        (
            "0.4.3",
            pb.CreateSpec(**IMAGE, idle_ttl=Duration()),
            "port container_port must be between 1 and 65535, got 0",
        ),
        (
            "0.2.1",
            v04.CreateSpec(**IMAGE, companion_containers=[CACHE]),
            'required service "cache" must define healthcheck',
        ),
    ],
)
def test_wrong_dialect_is_refused_as_recorded(version: str, sent: Any, message: str) -> None:
    request = methods.CREATE_SANDBOX if version == "0.4.3" else methods.CREATE_SANDBOX_V04
    body = request.request_type(create_spec=sent, sandbox_id="x").SerializeToString()
    with (
        FakeDaemon(version=version) as daemon,
        grpc.insecure_channel(f"unix:{daemon.socket_path}") as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        call: Any = channel.unary_unary(request.path)
        call(body, timeout=TIMEOUT)
    assert refusal(caught.value) == Refusal("INVALID_ARGUMENT", message)
