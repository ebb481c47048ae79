"""YAML: what is read, what is refused, and that any text is handled."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing._protocol.refusals import StatusError
from agents_sandbox.testing._protocol.spec import SideContainer, Spec

from .config_yaml import parse, reason, unmarshal

ENDLESS = "nested too deeply, or an anchor contains itself"
TOO_MANY = "more than 100000 values, with aliases expanded"


def nested_aliases(opening: str, closing: str) -> str:
    """Write anchors that each contain the previous one ten times: 10**30 values."""
    anchors = ["&a0 {x: y}"]
    for index in range(30):
        tenfold = ", ".join([f"*a{index}"] * 10)
        anchors.append(f"&a{index + 1} {opening}{tenfold}{closing}")
    return f"mounts: [{', '.join(anchors)}]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image: [", "line 1"),
        ("a:\n  b: @x", "line 2"),
        (b"\xff\xfe\x00", "truncated data"),
        (b"a: \xff", "invalid start byte"),
        ("a: \0", "special characters are not allowed"),
        (r'image: "\ud800"', "surrogates not allowed"),
        (r'mounts: "\ud800"', "surrogates not allowed"),
        (r'image: "\UFFFFFFFF"', "yaml: "),  # the rest depends on the Python version
        ("image: *x", "undefined alias 'x'"),
        ("labels: &x {a: *x}", ENDLESS),
        ("labels: &x {<<: *x}", ENDLESS),
        ("- " * 5000, ENDLESS),
        ("{<<: " * 500 + "{}" + "}" * 500, ENDLESS),
        (nested_aliases("[", "]"), TOO_MANY),
        (nested_aliases("{<<: [", "]}"), TOO_MANY),
    ],
)
def test_malformed(text: str | bytes, expected: str) -> None:
    why = reason(text)
    assert why.startswith("yaml: ")
    assert expected in why


TOKENS = [": ", "- ", "? ", "[", "]", "{", "}", ", ", "\n", "\n  ", "\t", "#", "|", "'", '"', "\\"]
WORDS = ["image", "labels", "mounts", "<<", "&a ", "*a", "!!int ", "!!map ", "~", "1", "%"]
SNIPPETS = st.lists(st.sampled_from(TOKENS + WORDS)).map("".join)


@given(st.binary() | SNIPPETS)
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    with suppress(StatusError):
        parse(text, "0.4.3")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mounts: abcdefghij", "!!str `abcdefghij` into []control.YAMLMountSpec"),
        ("mounts: abcdefghijk", "!!str `abcdefg...` into []control.YAMLMountSpec"),
        ("mounts: [{writable: 'yes'}]", "!!str `yes` into bool"),
        ("mounts: [{writable: !!bool [yes]}]", "!!bool into bool"),
        ("5", "!!int `5` into control.YAMLConfig"),
        ("image: !!str [a]", "!!str into string"),
        ("labels: [a]", "!!seq into map[string]string"),
        ("labels: {[a]: b}", "!!seq into string"),
        ("labels: {~: b}", "!!null `~` into string"),
        ("labels: {<<: [{a: b}, c]}", "!!str `c` into map[string]string"),
        ("<<:", "!!null `` into control.YAMLConfig"),
    ],
)
def test_wrong_types(text: str, expected: str) -> None:
    assert reason(text) == unmarshal(f"cannot unmarshal {expected}")


@pytest.mark.parametrize("text", ["labels: {a: b,\n a: c}", "labels: {<<: {a: b},\n <<: {}}"])
def test_repeated_keys(text: str) -> None:
    assert "line 2: mapping key " in reason(text)
    assert reason(text).endswith(" already defined at line 1")


@pytest.mark.parametrize("scalar", ["1.50", "017", "0x1F", "yes", "2001-01-01", "1:30", "'~'"])
def test_any_scalar_is_a_string_as_it_is_written(scalar: str) -> None:
    text = scalar.strip("'")
    assert parse(f"image: {scalar}\nlabels: {{{scalar}: {scalar}}}") == Spec(
        image=text, labels={text: text}
    )


@pytest.mark.parametrize(
    ("word", "writable"),
    [("true", True), ("Yes", True), ("on", True), ("FALSE", False), ("no", False), ("~", False)],
)
def test_booleans(word: str, writable: bool) -> None:
    assert parse(f"mounts: [{{writable: {word}}}]").mounts == [pb.MountSpec(writable=writable)]


def retries(number: str) -> str:
    return f"optional_services: {{db: {{healthcheck: {{retries: {number}}}}}}}"


@pytest.mark.parametrize("number", [0, 5, 4294967295])
def test_whole_numbers(number: int) -> None:
    (service,) = parse(retries(str(number))).optional_services
    assert service.healthcheck == pb.HealthcheckConfig(retries=number)


# Go reads some of these in surprising ways, so the fake daemon refuses them all.
@pytest.mark.parametrize(
    "number",
    ["-1", "4294967296", "9" * 5000, "2.9", "'5'", "true", "017", "0x1f", "1:30", "!!int [5]"],
)
def test_invalid_whole_numbers(number: str) -> None:
    assert reason(retries(number)).endswith(" into uint32")


def test_nulls_are_omitted() -> None:
    text = """
image:
builtin_tools: [git, ~, null, uv]
mounts: [~, {source: /a}]
labels: {a: ~}
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
