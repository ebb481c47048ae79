"""Creates in both wire dialects: every argument is sent, or refused by name before any RPC."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from agents_sandbox import (
    CompanionContainerSpec,
    CopySpec,
    HealthcheckConfig,
    InvalidArgumentError,
    MountSpec,
    PortMapping,
    ServiceSpec,
    UnsupportedByDaemonError,
)
from agents_sandbox._arguments.creates import NewSandbox
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire import v04_pb2 as v04
from agents_sandbox._wire.creates import as_companion
from agents_sandbox._wire.dialects import dialect_of
from agents_sandbox._wire.releases import NEWEST, OLDEST, Release

ID = "box-1"
LAST_02, FIRST_04 = Release(0, 2, 1), Release(0, 3, 0)


def new(**arguments: Any) -> NewSandbox:
    return NewSandbox(**{"image": "img", **arguments})


def encoded(release: Release, **arguments: Any) -> Any:
    """The request that a daemon of a release receives."""
    return dialect_of(release).encode_create(new(**arguments), release)


POSTGRES = ServiceSpec(
    "db", "postgres:16", {"A": "1"}, HealthcheckConfig(["CMD", "true"], "5s", retries=4), ["x"]
)
REDIS = ServiceSpec("cache", "redis:7")
NGINX = CompanionContainerSpec(
    "web",
    "nginx:1",
    {"C": "3"},
    command=["nginx"],
    cpu_limit="1",
    memory_limit="1g",
    disk_limit="2g",
)
EVERYWHERE: dict[str, Any] = {
    "image": "img:1",
    "sandbox_id": "demo-sandbox",
    "config_yaml": "image: other",
    "mounts": [MountSpec(Path("/a"), "/b", writable=True)],
    "copies": [CopySpec("/c", "/d", ["*.pyc"])],
    "builtin_tools": ["git", "uv"],
    "required_services": [POSTGRES],
    "optional_services": (REDIS,),
    "labels": {"team": "core"},
    "envs": {"B": "2"},
    "idle_ttl": "1m30s",
}
NEW: dict[str, Any] = {
    "companion_containers": [NGINX],
    "ports": [PortMapping(8080, 18080), PortMapping(53, 10053, "udp"), PortMapping(1, 2, "sctp")],
    "command": ["sleep", "60"],
    "cpu_limit": "0.5",
    "memory_limit": "512m",
    "disk_limit": "10g",
    "gpus": "all",
}
SAME: dict[str, Any] = {
    "image": "img:1",
    "mounts": [pb.MountSpec(source="/a", target="/b", writable=True)],
    "copies": [pb.CopySpec(source="/c", target="/d", exclude_patterns=["*.pyc"])],
    "builtin_tools": ["git", "uv"],
    "labels": {"team": "core"},
    "envs": {"B": "2"},
    "idle_ttl": Duration(seconds=90),
}
DATABASE: dict[str, Any] = {
    "name": "db",
    "image": "postgres:16",
    "envs": {"A": "1"},
    "healthcheck": pb.HealthcheckConfig(
        test=["CMD", "true"], interval=Duration(seconds=5), retries=4
    ),
    "post_start_on_primary": ["x"],
}


@pytest.mark.parametrize("release", [OLDEST, LAST_02])
def test_a_create_sends_everything_that_dialect_02_knows(release: Release) -> None:
    assert encoded(release, **EVERYWHERE) == pb.CreateSandboxRequest(
        sandbox_id="demo-sandbox",
        config_yaml=b"image: other",
        create_spec=pb.CreateSpec(
            **SAME,
            required_services=[pb.ServiceSpec(**DATABASE)],
            optional_services=[pb.ServiceSpec(name="cache", image="redis:7")],
        ),
    )


def test_a_create_sends_everything_that_dialect_04_knows() -> None:
    assert encoded(NEWEST, **EVERYWHERE, **NEW) == v04.CreateSandboxRequest(
        sandbox_id="demo-sandbox",
        config_yaml=b"image: other",
        create_spec=v04.CreateSpec(
            **SAME,
            companion_containers=[
                v04.CompanionContainerSpec(**DATABASE),
                v04.CompanionContainerSpec(name="cache", image="redis:7"),
                v04.CompanionContainerSpec(
                    name="web",
                    image="nginx:1",
                    envs={"C": "3"},
                    command=["nginx"],
                    cpu_limit="1",
                    memory_limit="1g",
                    disk_limit="2g",
                ),
            ],
            ports=[
                v04.PortMapping(container_port=8080, host_port=18080),
                v04.PortMapping(container_port=53, host_port=10053, protocol="PORT_PROTOCOL_UDP"),
                v04.PortMapping(container_port=1, host_port=2, protocol="PORT_PROTOCOL_SCTP"),
            ],
            command=["sleep", "60"],
            cpu_limit="0.5",
            memory_limit="512m",
            disk_limit="10g",
            gpus="all",
        ),
    )


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        (LAST_02, pb.CreateSandboxRequest(sandbox_id=ID, create_spec=pb.CreateSpec(image="img"))),
        (
            FIRST_04,
            v04.CreateSandboxRequest(sandbox_id=ID, create_spec=v04.CreateSpec(image="img")),
        ),
    ],
)
def test_a_plain_create_sends_the_image_alone(release: Release, expected: object) -> None:
    assert encoded(release, sandbox_id=ID) == expected


@pytest.mark.parametrize(("name", "value"), NEW.items())
def test_what_dialect_02_lacks_is_refused(name: str, value: Any) -> None:
    asked = new(**{name: value})
    with pytest.raises(UnsupportedByDaemonError, match=f"^{name} requires daemon") as caught:
        dialect_of(LAST_02).encode_create(asked, LAST_02)
    assert (caught.value.field, caught.value.daemon_version) == (name, "0.2.1")


@pytest.mark.parametrize(
    "nothing",
    [
        *({name: ""} for name in ("cpu_limit", "memory_limit", "disk_limit", "gpus")),
        *({name: []} for name in ("companion_containers", "ports")),
        {"command": None},
    ],
    ids=str,
)
def test_what_is_not_set_is_not_refused(nothing: dict[str, Any]) -> None:
    plain = encoded(OLDEST, sandbox_id=ID)
    assert encoded(OLDEST, sandbox_id=ID, **nothing) == plain


def test_the_fields_of_a_companion_are_named_with_it() -> None:
    release = Release(0, 4, 0)
    asked = new(companion_containers=[CompanionContainerSpec("db", "img"), NGINX])
    with pytest.raises(UnsupportedByDaemonError) as caught:
        dialect_of(release).encode_create(asked, release)
    error = caught.value
    assert (error.field, error.since_version) == ("companion_containers[web].cpu_limit", "0.4.1")
    assert str(error) == (
        "companion_containers[web].cpu_limit requires daemon 0.4.1 or newer; this daemon is 0.4.0 "
        "and would ignore it. Upgrade the daemon or omit the argument"
    )


def test_every_argument_is_known_by_some_release() -> None:
    told = {name for _, name in new(**EVERYWHERE, **NEW).newer_fields()}
    assert told == NEW.keys()


def test_a_service_is_a_companion_with_nothing_more() -> None:
    assert as_companion(POSTGRES) == CompanionContainerSpec(
        "db", "postgres:16", POSTGRES.envs, POSTGRES.healthcheck, post_start_on_primary=["x"]
    )


@pytest.mark.parametrize(
    ("config_yaml", "sent"),
    [(None, b""), ("", b""), (b"", b""), ("image: \u00e9", b"image: \xc3\xa9"), (b"\xff", b"\xff")],
)
@pytest.mark.parametrize("release", [LAST_02, NEWEST])
def test_config_yaml_is_sent_as_it_is(
    release: Release, config_yaml: str | bytes | None, sent: bytes
) -> None:
    assert encoded(release, config_yaml=config_yaml).config_yaml == sent


def test_only_config_yaml_can_stand_in_for_the_image() -> None:
    assert new(image=None, config_yaml="image: x").image == ""
    for nothing in (None, "", b""):
        for image in (None, ""):
            with pytest.raises(InvalidArgumentError, match=r"image is required: .* config_yaml"):
                new(image=image, config_yaml=nothing)


@pytest.mark.parametrize(
    ("idle_ttl", "sent"),
    [
        (0, Duration()),
        ("0", Duration()),
        (1.5, Duration(seconds=1, nanos=500_000_000)),
        (timedelta(hours=1), Duration(seconds=3600)),
    ],
)
@pytest.mark.parametrize("release", [LAST_02, NEWEST])
def test_an_idle_ttl_of_zero_is_sent_unlike_none(
    release: Release, idle_ttl: Any, sent: Duration
) -> None:
    spec = encoded(release, idle_ttl=idle_ttl).create_spec
    assert spec.HasField("idle_ttl")
    assert spec.idle_ttl == sent
    assert not encoded(release, idle_ttl=None).create_spec.HasField("idle_ttl")


def test_an_id_left_out_becomes_a_new_uuid() -> None:
    first, second = new().sandbox_id, new().sandbox_id
    assert first != second
    for made in (first, second):
        assert str(uuid.UUID(made)) == made
        assert uuid.UUID(made).version == 4


def test_arguments_are_copied() -> None:
    labels, command = {"team": "core"}, ["ls"]
    asked = new(labels=labels, command=command, ports=iter([PortMapping(1, 2)]))
    labels["team"], command[0] = "other", "rm"
    assert (asked.labels, asked.command, asked.ports) == (
        {"team": "core"},
        ("ls",),
        (PortMapping(1, 2),),
    )


TOO_LONG = HealthcheckConfig((), interval=timedelta.max)
REFUSALS: dict[str, list[Any]] = {
    "image": [b"img", "\ud800"],
    "sandbox_id": ["", "abc", "-abcd", 1],
    "config_yaml": [1, bytearray(b"a"), "\ud800"],
    "mounts": [None, MountSpec("/a", "/b"), ["/a"]],
    "copies": [None, [MountSpec("/a", "/b")]],
    "builtin_tools": ["git", {"git"}, [1]],
    "required_services": ["db", ["db"], [CompanionContainerSpec("a", "b")]],
    "optional_services": [{"db": "img"}],
    "companion_containers": [NGINX, [POSTGRES], "web"],
    "labels": [[("a", "b")], {"a": 1}],
    "envs": ["A=1", {1: "a"}, {"": "a"}],
    "idle_ttl": ["5", -1, "-1s", True, float("nan"), timedelta.max],
    "ports": [PortMapping(1, 2), [(1, 2)], {8080: 18080}],
    "command": ["sleep 60", {"ls"}, [1], [], ()],
    "cpu_limit": [0.5, 1, b"1", "\ud800"],
    "memory_limit": [1024],
    "disk_limit": [1024],
    "gpus": [True, 1, ["all"]],
}


@pytest.mark.parametrize(
    ("name", "bad"), [(name, bad) for name, all_ in REFUSALS.items() for bad in all_]
)
def test_what_is_wrong_is_refused_by_name(name: str, bad: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        new(**{name: bad})
    assert str(caught.value).startswith(name)


@pytest.mark.parametrize(
    "arguments",
    [
        {"required_services": [ServiceSpec("a", "b", healthcheck=TOO_LONG)]},
        {"optional_services": [ServiceSpec("a", "b", healthcheck=TOO_LONG)]},
        {"companion_containers": [CompanionContainerSpec("a", "b", healthcheck=TOO_LONG)]},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_durations_beyond_the_wire_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^HealthcheckConfig\.interval must be from 0"):
        new(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [{"labels": ()}, {"envs": 0}, {"mounts": ""}, {"image": 0, "config_yaml": "image: x"}],
    ids=str,
)
def test_what_is_false_but_of_another_type_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"^{next(iter(arguments))} must be"):
        new(**arguments)


def test_config_yaml_may_be_bytes_too() -> None:
    with pytest.raises(InvalidArgumentError, match="str or bytes"):
        new(config_yaml=bytearray(b"image: x"))
