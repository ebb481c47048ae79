"""Reading of `config_yaml`."""

from __future__ import annotations

import sys

import pytest
from google.protobuf.duration_pb2 import Duration

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._protocol.spec import Port, SideContainer, Spec

from .config_yaml import parse, reason, unmarshal
from .raw import IMAGE, Raw, Refusal, connected
from .releases import RELEASES, before, since

EVERYTHING = b"""
image: img
mounts:
- {source: /src, target: /dst, writable: yes}
copies:
- {source: /src, target: /dst, exclude_patterns: [a, 1]}
builtin_tools: [git]
labels: {team: core, number: 1, truth: true, nothing: }
envs: {A: "1"}
idle_ttl: 1h30m
required_services:
  zeta:
    image: redis:7
    envs: {R: 1}
    healthcheck:
      {test: [CMD, ping], interval: 500ms, timeout: 2s, retries: 5, start_period: 1s}
    post_start_on_primary: [echo]
  alpha: {image: redis:7}
optional_services:
---
second: document
"""


EMPTY_COMMAND = "command: empty array is not allowed; omit the field to use the default"
BAD_INTERVAL = 'invalid duration for interval: "fast": time: invalid duration "fast"'


def test_every_key() -> None:
    healthcheck = pb.HealthcheckConfig(
        test=["CMD", "ping"],
        interval=Duration(nanos=500_000_000),
        timeout=Duration(seconds=2),
        retries=5,
        start_period=Duration(seconds=1),
    )
    assert parse(EVERYTHING) == Spec(
        image="img",
        mounts=[pb.MountSpec(source="/src", target="/dst", writable=True)],
        copies=[pb.CopySpec(source="/src", target="/dst", exclude_patterns=["a", "1"])],
        builtin_tools=["git"],
        labels={"team": "core", "number": "1", "truth": "true", "nothing": ""},
        envs={"A": "1"},
        idle_ttl=Duration(seconds=5400),
        required_services=[
            SideContainer(name="alpha", image="redis:7"),
            SideContainer(
                name="zeta",
                image="redis:7",
                envs={"R": "1"},
                healthcheck=healthcheck,
                post_start_on_primary=["echo"],
            ),
        ],
    )


@pytest.mark.parametrize("text", ["---\n", "{}", "mounts:\nlabels: ~", "mounts: [{writable: }]"])
def test_empty_values_are_accepted(text: str) -> None:
    spec = parse(text)
    assert not spec.image
    assert len(spec.mounts) == text.count("writable")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# only a comment\n", "EOF"),
        ("imagee: x", unmarshal("field imagee not found in type control.YAMLConfig")),
        ("image: {a: b}", unmarshal("cannot unmarshal !!map into string")),
        ("mounts: 3", unmarshal("cannot unmarshal !!int `3` into []control.YAMLMountSpec")),
        ("- a\n- b\n", unmarshal("cannot unmarshal !!seq into control.YAMLConfig")),
        (
            "mounts:\n- source: /\n  readonly: true\n",
            unmarshal("field readonly not found in type control.YAMLMountSpec", 3),
        ),
        (
            "image: a\nlabels: {a: 1}\nimage: b",
            unmarshal('mapping key "image" already defined at line 1', 3),
        ),
        (
            "required_services:\n- name: db\n",
            unmarshal("cannot unmarshal !!seq into map[string]control.YAMLServiceSpec", 2),
        ),
        (
            "companion_containers:\n  db: {}\n",
            unmarshal("field companion_containers not found in type control.YAMLConfig"),
        ),
    ],
)
def test_wrong_content(text: str, expected: str) -> None:
    assert reason(text) == expected


EVERYTHING_NEW = """
ports:
- {container_port: 80, host_port: 8080}
- {container_port: 53, host_port: 5353, protocol: Udp}
command: [sleep, 60]
cpu_limit: 0.5
memory_limit: 64m
disk_limit: 1g
gpus: all
companion_containers:
  zeta: {image: redis:7, command: [a, b], cpu_limit: 1, memory_limit: 1g, disk_limit: '2'}
  alpha:
    healthcheck: {test: [NONE], start_interval: 1s}
"""


@pytest.mark.parametrize("version", since("0.4.3"))
def test_every_key_of_dialect_04(version: str) -> None:
    times = pb.HealthcheckConfig(test=["NONE"], start_interval=Duration(seconds=1))
    assert parse(EVERYTHING_NEW, version) == Spec(
        ports=[Port(80, 8080), Port(53, 5353, 1)],
        command=["sleep", "60"],
        cpu_limit="0.5",
        memory_limit="64m",
        disk_limit="1g",
        gpus="all",
        companion_containers=[
            SideContainer("alpha", "", healthcheck=times),
            SideContainer(
                "zeta",
                "redis:7",
                command=["a", "b"],
                cpu_limit="1",
                memory_limit="1g",
                disk_limit="2",
            ),
        ],
    )


@pytest.mark.parametrize(
    ("key", "release", "of_companions"),
    [
        ("required_services", None, False),
        ("companion_containers", "0.3.0", False),
        ("ports", "0.4.0", False),
        ("command", "0.4.0", True),
        ("cpu_limit", "0.4.1", True),
        ("memory_limit", "0.4.1", True),
        ("disk_limit", "0.4.1", True),
        ("gpus", "0.4.3", False),
    ],
)
@pytest.mark.parametrize("version", RELEASES)
def test_each_release_has_its_keys(
    version: str, key: str, release: str | None, of_companions: bool
) -> None:
    known = version in (since(release) if release else before("0.3.0"))
    unknown = unmarshal(f"field {key} not found in type control.YAMLConfig")
    if known:
        assert parse(f"{key}:", version) == Spec()
    else:
        assert reason(f"{key}:", version) == unknown
    if version not in since("0.3.0"):
        return
    text = f"companion_containers: {{a: {{{key}: }}}}"
    if known and of_companions:
        assert parse(text, version).companion_containers == [SideContainer("a", "")]
    else:
        assert f"line 1: field {key} not found in type control." in reason(text, version)


@pytest.mark.parametrize("version", since("0.4.0"))
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("command: []", EMPTY_COMMAND),
        (
            "companion_containers: {db: {command: []}}",
            f"companion_containers[db].{EMPTY_COMMAND}",
        ),
        ("command: [a, '']", "command[1]: empty string entry is not allowed"),
        (
            "companion_containers: {db: {command: ['']}}",
            "companion_containers[db].command[0]: empty string entry is not allowed",
        ),
        (
            "ports: [{protocol: icmp}]",
            'unsupported port protocol "icmp"; must be tcp, udp, or sctp',
        ),
        (
            "companion_containers: {db: {healthcheck: {interval: fast}}}",
            f'companion container "db": {BAD_INTERVAL}',
        ),
    ],
)
def test_values_that_dialect_04_refuses(version: str, text: str, expected: str) -> None:
    assert reason(text, version) == expected


@pytest.mark.parametrize("version", RELEASES)
def test_yaml_is_read_before_other_checks(version: str) -> None:
    with FakeDaemon(version=version) as daemon, connected(daemon) as raw:
        refused = raw.refused(
            methods.CREATE_SANDBOX, sandbox_id="x", create_spec={}, config_yaml=b"image: ["
        )
        assert refused.code == "INVALID_ARGUMENT"
        assert refused.message.startswith("invalid config_yaml: yaml: ")
        raw(methods.CREATE_SANDBOX, create_spec={"image": IMAGE}, config_yaml=b"")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("idle_ttl: 5", 'idle_ttl: "5": time: missing unit in duration "5"'),
        ("idle_ttl: soon", 'idle_ttl: "soon": time: invalid duration "soon"'),
        ("idle_ttl: 5x", 'idle_ttl: "5x": time: unknown unit "x" in duration "5x"'),
    ],
)
def test_bad_durations(text: str, expected: str) -> None:
    assert reason(text) == f"invalid duration for {expected}"


def test_bad_duration_of_a_service() -> None:
    text = "optional_services: {db: {healthcheck: {interval: fast}}}"
    assert reason(text) == f'service "db": {BAD_INTERVAL}'


def test_create_from_yaml_alone(raw: Raw) -> None:
    text = f"image: {IMAGE}\nlabels: {{a: 1}}\n".encode()
    handle = raw(methods.CREATE_SANDBOX, sandbox_id="box-1", config_yaml=text).sandbox
    assert (handle.image, handle.labels) == (IMAGE, {"a": "1"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"---\n", "create_spec.image is required"),
        (b"required_services: {}", "create_spec.image is required"),
        (b"image: img\nidle_ttl: -5s", "idle_ttl must not be negative"),
        (
            b"image: img\nrequired_services: {db: {image: redis}}",
            'required service "db" must define healthcheck',
        ),
        (b"# nothing", "invalid config_yaml: EOF"),
    ],
)
def test_yaml_is_validated_like_a_spec(raw: Raw, text: bytes, message: str) -> None:
    refused = raw.refused(methods.CREATE_SANDBOX, sandbox_id="x", config_yaml=text)
    assert refused == Refusal("INVALID_ARGUMENT", message)


def test_missing_pyyaml_is_reported(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    refused = raw.refused(methods.CREATE_SANDBOX, sandbox_id="box-1", config_yaml=b"image: img")
    assert refused.code == "FAILED_PRECONDITION"
    assert "pip install 'agents-sandbox[testing]'" in refused.message
