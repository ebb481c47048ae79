"""Declarative configuration: how it is read and how a spec overrides it."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing._config_yaml import merge, parse_config_yaml
from agents_sandbox.testing._durations import parse_duration
from agents_sandbox.testing._errors import StatusError
from agents_sandbox.testing._spec import SideContainer, Spec

from .raw import IMAGE, Raw, Refusal

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


def reason(text: str | bytes) -> str:
    with pytest.raises(StatusError) as caught:
        parse_config_yaml(text.encode() if isinstance(text, str) else text)
    assert caught.value.details is None
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert caught.value.message.startswith("invalid config_yaml: ")
    return caught.value.message.removeprefix("invalid config_yaml: ")


def unmarshal(*errors: str) -> str:
    return "\n  ".join(("yaml: unmarshal errors:", *errors))


def test_every_key() -> None:
    healthcheck = pb.HealthcheckConfig(
        test=["CMD", "ping"],
        interval=Duration(nanos=500_000_000),
        timeout=Duration(seconds=2),
        retries=5,
        start_period=Duration(seconds=1),
    )
    assert parse_config_yaml(EVERYTHING) == Spec(
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
def test_empty_parts_are_fine(text: str) -> None:
    spec = parse_config_yaml(text.encode())
    assert not spec.image
    assert len(spec.mounts) == text.count("writable")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# only a comment\n", "EOF"),
        ("imagee: x", unmarshal("line 1: field imagee not found in type control.YAMLConfig")),
        ("image: {a: b}", unmarshal("line 1: cannot unmarshal !!map into string")),
        (
            "mounts: 3",
            unmarshal("line 1: cannot unmarshal !!int `3` into []control.YAMLMountSpec"),
        ),
        ("- a\n- b\n", unmarshal("line 1: cannot unmarshal !!seq into control.YAMLConfig")),
        (
            "mounts:\n- source: /\n  readonly: true\n  writable: 3\n",
            unmarshal(
                "line 3: field readonly not found in type control.YAMLMountSpec",
                "line 4: cannot unmarshal !!int `3` into bool",
            ),
        ),
        (
            "image: a\nlabels: {a: 1}\nimage: b",
            unmarshal('line 3: mapping key "image" already defined at line 1'),
        ),
        (
            "required_services:\n- name: db\n",
            unmarshal(
                "line 2: cannot unmarshal !!seq into map[string]control.YAMLServiceSpec",
            ),
        ),
        (
            "optional_services: {db: {healthcheck: {retries: -1}}}",
            unmarshal("line 1: cannot unmarshal !!int `-1` into uint32"),
        ),
        ("companion_containers:\n  db: {}\n", None),
        ("image: [", None),
        ("\tx: 1", None),
        (b"\xff\xfe\x00", None),
        ("[" * 1000, None),
    ],
)
def test_malformed(text: str | bytes, expected: str | None) -> None:
    assert reason(text) == expected or expected is None


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
    assert reason(text) == (
        'service "db": invalid duration for interval: "fast": time: invalid duration "fast"'
    )


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("-0", 0),
        ("+5s", 5_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1.5s", 1_500_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("-1.5s", -1_500_000_000),
        ("3us4\u00b5s5\u03bcs6ns", 12_006),
        ("7ms", 7_000_000),
    ],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert parse_duration(text).ToNanoseconds() == nanoseconds


@pytest.mark.parametrize("text", ["", "-", "s", "1s ", "1e3s", "9223372037s", "."])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="time: "):
        parse_duration(text)


def merged(base: dict[str, Any], override: dict[str, Any]) -> Spec:
    return merge(Spec(**base), Spec(**override))


def test_merge_replaces_lists_and_joins_maps() -> None:
    base: dict[str, Any] = {
        "image": "base",
        "builtin_tools": ["git", "uv"],
        "mounts": [pb.MountSpec(source="/a")],
        "required_services": [SideContainer(name="a", image="i")],
        "labels": {"a": "base", "b": "base"},
        "idle_ttl": Duration(seconds=90, nanos=5),
    }
    override = {
        "builtin_tools": ["apt"],
        "required_services": [SideContainer(name="b", image="i")],
        "labels": {"a": "override", "c": "override"},
    }

    assert merged(base, {}) == Spec(**base)
    spec = merged(base, override)
    assert spec.image == "base"
    assert list(spec.builtin_tools) == ["apt"]
    assert [mount.source for mount in spec.mounts] == ["/a"]
    assert [service.name for service in spec.required_services] == ["b"]
    assert spec.labels == {"a": "override", "b": "base", "c": "override"}
    assert spec.idle_ttl == Duration(seconds=90, nanos=5)
    assert merged(base, {"image": "override"}).image == "override"


@pytest.mark.parametrize("idle_ttl", [Duration(), Duration(nanos=7), Duration(seconds=7)])
def test_idle_ttl_that_is_set_wins_as_a_whole(idle_ttl: Duration) -> None:
    spec = merged({"idle_ttl": Duration(seconds=90, nanos=5)}, {"idle_ttl": idle_ttl})
    assert spec.idle_ttl == idle_ttl


def test_create_from_yaml_alone(raw: Raw) -> None:
    yaml = f"image: {IMAGE}\nlabels: {{a: 1}}\n".encode()
    handle = raw(methods.CREATE_SANDBOX, sandbox_id="box-1", config_yaml=yaml).sandbox
    assert (handle.image, handle.labels) == (IMAGE, {"a": "1"})


@pytest.mark.parametrize(
    ("yaml", "message"),
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
def test_yaml_is_validated_like_a_spec(raw: Raw, yaml: bytes, message: str) -> None:
    refused = raw.refused(methods.CREATE_SANDBOX, sandbox_id="x", config_yaml=yaml)
    assert refused == Refusal("INVALID_ARGUMENT", message)


def test_missing_pyyaml_is_named(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    refused = raw.refused(methods.CREATE_SANDBOX, sandbox_id="box-1", config_yaml=b"image: img")
    assert refused.code == "FAILED_PRECONDITION"
    assert "pip install 'agents-sandbox[testing]'" in refused.message
