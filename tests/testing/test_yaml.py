"""YAML as Go's decoder reads it into types, and its words for what it cannot read."""

from __future__ import annotations

import pytest
import yaml

from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing._protocol.spec import SideContainer, Spec
from agents_sandbox.testing._validation import yaml_graph

from .config_yaml import parse, reason, unmarshal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image: [", "line 1: did not find expected node content"),
        ("image: ]", "did not find expected node content"),
        ("\tx: 1", "found character that cannot start any token"),
        ("a:\n  b: @x", "line 2: found character that cannot start any token"),
        ("a: b: c", "mapping values are not allowed in this context"),
        ("a: b\n c: d", "line 2: mapping values are not allowed in this context"),
        ("- a\nb: c", "line 1: did not find expected '-' indicator"),
        ("\na: 'x\n\n", "line 2: found unexpected end of stream"),
        (b"\xff\xfe\x00", "incomplete UTF-16 character"),
        (b"a: \xff", "invalid leading UTF-8 octet"),
        ("a: \0", "control characters are not allowed"),
        ("image: *x", "unknown anchor 'x' referenced"),
        ("labels: &x {a: *x}", "anchor 'x' value contains itself"),
        ("image: !!int x", "cannot decode !!str `x` as a !!int"),
        (
            "<<: 1",
            "map merge requires map or sequence of maps as the value",
        ),
        (
            "labels: {<<: [{a: b}, c]}",
            "map merge requires map or sequence of maps as the value",
        ),
        ("[" * 1000, "line 1: did not find expected node content"),
    ],
)
def test_malformed(text: str | bytes, expected: str) -> None:
    assert reason(text) == f"yaml: {expected}"


# Go's limit is 10,000, for which PyYAML in Python takes long.
def test_nesting_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_graph, "_MAX_DEPTH", 1100)
    assert reason("[" * 1101) == "yaml: exceeded max depth of 1100"


def test_malformed_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(yaml, "CSafeLoader")
    assert reason("image: [").startswith("yaml: expected the node content, but found")
    assert parse("image: img").image == "img"


def test_deep_nesting_is_no_trouble() -> None:
    depth = 1100
    assert reason("image: " + "[" * depth + "]" * depth) == unmarshal(
        "line 1: cannot unmarshal !!seq into string"
    )
    assert reason("{<<: " * depth + "{imagee: x}" + "}" * depth) == unmarshal(
        "line 1: field imagee not found in type control.YAMLConfig"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mounts: abcdefghij", "!!str `abcdefghij` into []control.YAMLMountSpec"),
        ("mounts: abcdefghijk", "!!str `abcdefg...` into []control.YAMLMountSpec"),
        ("mounts: '3'", "!!str `3` into []control.YAMLMountSpec"),
        ("mounts: ! 3", "!!int `3` into []control.YAMLMountSpec"),
        ("mounts: !!str 3", "!!str `3` into []control.YAMLMountSpec"),
        ("mounts: !!float 3", "!!float `3` into []control.YAMLMountSpec"),
        ("mounts: !own 3", "!own `3` into []control.YAMLMountSpec"),
        ("mounts: !own {}", "!own into []control.YAMLMountSpec"),
        ("mounts: true", "!!bool `true` into []control.YAMLMountSpec"),
        ("mounts: yes", "!!str `yes` into []control.YAMLMountSpec"),
        ("mounts: 0x1F", "!!int `0x1F` into []control.YAMLMountSpec"),
        ("mounts: 1:30", "!!str `1:30` into []control.YAMLMountSpec"),
        ("mounts: 1e3", "!!float `1e3` into []control.YAMLMountSpec"),
        ("5", "!!int `5` into control.YAMLConfig"),
        ("mounts: [{writable: maybe}]", "!!str `maybe` into bool"),
        ("mounts: [{writable: 1}]", "!!int `1` into bool"),
        ("labels: [a]", "!!seq into map[string]string"),
        ("labels: {[a]: b}", "!!seq into string"),
        ("image: !!seq [a]", "!!seq into string"),
    ],
)
def test_wrong_types(text: str, expected: str) -> None:
    assert reason(text) == unmarshal(f"line 1: cannot unmarshal {expected}")


def test_a_key_twice_hides_what_else_is_wrong_there() -> None:
    assert reason("x: 1\nlabels: {a: 1, a: 2, b: 3,\n  a: 4}\nimage: {}\n") == unmarshal(
        "line 1: field x not found in type control.YAMLConfig",
        'line 2: mapping key "a" already defined at line 2',
        'line 3: mapping key "a" already defined at line 2',
        "line 4: cannot unmarshal !!map into string",
    )


@pytest.mark.parametrize(
    ("word", "writable"),
    [
        *((word, True) for word in ("true", "True", "TRUE", "y", "Yes", "'on'")),
        *((word, False) for word in ("false", "n", "No", "OFF", "null", "~", "")),
    ],
)
def test_truth(word: str, writable: bool) -> None:
    assert parse(f"mounts: [{{writable: {word}}}]").mounts == [pb.MountSpec(writable=writable)]


@pytest.mark.parametrize(
    ("number", "value"),
    [
        ("0", 0),
        ("5", 5),
        ("+5", 5),
        ("-0", 0),
        ("4294967295", 4294967295),
        ("017", 15),
        ("0o17", 15),
        ("08", 8),
        ("0x1f", 31),
        ("0b101", 5),
        ("1_000", 1000),
        ("2.9", 2),
        ("-0.5", 0),
        ("1e3", 1000),
        ("!!int '7'", 7),
        ("!!float 7", 7),
    ],
)
def test_whole_numbers(number: str, value: int) -> None:
    text = f"optional_services: {{db: {{healthcheck: {{retries: {number}}}}}}}"
    (service,) = parse(text).optional_services
    assert service.healthcheck == pb.HealthcheckConfig(retries=value)


@pytest.mark.parametrize(
    "number",
    ["-1", "4294967296", "-1.0", "99999999999999999999", "'5'", "true", "_5", "0x", "1:30", "abc"],
)
def test_no_whole_numbers(number: str) -> None:
    text = f"optional_services: {{db: {{healthcheck: {{retries: {number}}}}}}}"
    assert reason(text).endswith(" into uint32")


def test_nulls_are_left_out() -> None:
    text = """
image:
builtin_tools: [git, ~, null, uv]
mounts: [~, {source: /a}]
labels: {a: ~, ~: b}
idle_ttl: ~
optional_services: {db: {healthcheck: ~}, cache: }
"""
    assert parse(text) == Spec(
        builtin_tools=["git", "uv"],
        mounts=[pb.MountSpec(source="/a")],
        labels={"a": ""},
        optional_services=[SideContainer("cache", ""), SideContainer("db", "")],
    )


def test_aliases_and_merges() -> None:
    text = """
envs: &envs {A: base, B: base}
labels: {<<: [{A: first}, *envs, {C: last, B: last}], D: own}
optional_services:
  db: &db {image: redis:7, envs: *envs}
  db2: {<<: *db, envs: {}}
"""
    spec = parse(text)
    assert spec.labels == {"A": "first", "B": "base", "C": "last", "D": "own"}
    assert spec.optional_services == [
        SideContainer("db", "redis:7", {"A": "base", "B": "base"}),
        SideContainer("db2", "redis:7"),
    ]


def test_the_last_anchor_of_a_name_counts() -> None:
    assert parse("image: &x a\nlabels: {a: &x b, c: *x}").labels == {"a": "b", "c": "b"}
