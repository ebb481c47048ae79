"""YAML: what is read, what is refused, and that any text is handled."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing._protocol.refusals import StatusError
from agents_sandbox.testing._protocol.spec import SideContainer, Spec
from agents_sandbox.testing._validation.yaml_nodes import read_document

from .config_yaml import parse, reason, unmarshal

ENDLESS = "nested too deeply, or an anchor contains itself"
EXCESSIVE = "document contains excessive aliasing"


def nested_aliases(opening: str, closing: str) -> str:
    """Write anchors that each contain the previous one ten times: 10**30 values."""
    anchors = ["&a0 {x: y}"]
    for index in range(30):
        tenfold = ", ".join([f"*a{index}"] * 10)
        anchors.append(f"&a{index + 1} {opening}{tenfold}{closing}")
    return f"mounts: [{', '.join(anchors)}]"


@pytest.fixture(params=["libyaml", "PyYAML alone"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read with either of the parsers."""
    assert yaml.__with_libyaml__
    monkeypatch.setattr(yaml, "__with_libyaml__", request.param == "libyaml")


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # What follows depends on the parser, or on the Python version.
        ("image: [", "line "),
        ("a:\n  b: @x", "line 2"),
        (b"\xff\xfe\x00", ""),
        (b"a: \xff", "invalid "),
        ("a: \0", "characters are not allowed"),
        (r'image: "\ud800"', ""),
        (r'mounts: "\ud800"', ""),
        (r'image: "\UFFFFFFFF"', ""),
        ("image: *x", "undefined alias 'x'"),
        ("labels: &x {a: *x}", ENDLESS),
        ("labels: &x {<<: *x}", ENDLESS),
        ("- " * 5000, ENDLESS),
        ("{<<: " * 500 + "{}" + "}" * 500, ENDLESS),
        (nested_aliases("[", "]"), EXCESSIVE),
        (nested_aliases("{<<: [", "]}"), EXCESSIVE),
    ],
)
def test_malformed(text: str | bytes, expected: str) -> None:
    why = reason(text)
    assert why.startswith("yaml: ")
    assert expected in why


@pytest.mark.unmeasured
def test_large_documents() -> None:
    text = "builtin_tools:\n" + "- a\n" * 100_000 + "- &x b\n- *x\n"
    assert parse(text).builtin_tools == ["a"] * 100_000 + ["b", "b"]


TOKENS = [": ", "- ", "? ", "[", "]", "{", "}", ", ", "\n", "\n  ", "\t", "#", "|", "'", '"', "\\"]
WORDS = ["image", "labels", "mounts", "<<", "&a ", "*a", "!!int ", "!!map ", "~", "1", "%"]
# libyaml is more lenient about tabs and comments, and stricter about directives at the end.
BETWEEN_PARSERS = re.compile(r"\t|[|>]\S*#|%")
SNIPPETS = st.lists(st.sampled_from(TOKENS + WORDS)).map("".join)


@given(st.binary() | SNIPPETS)
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    with suppress(StatusError):
        parse(text, "0.4.3")


def outcome(text: str, loader: Any) -> object:
    """Read with a loader; return what was read, or None if it was refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml, "__with_libyaml__", loader)
        try:
            return parse(text, "0.4.3")
        except StatusError:
            return None


@given(SNIPPETS)
def test_parsers_agree(text: str) -> None:
    assume(not BETWEEN_PARSERS.search(text))
    assert outcome(text, True) == outcome(text, False)


@given(st.dictionaries(st.text(), st.text()), st.sampled_from([None, '"', "'", "|", ">"]))
def test_parsers_agree_about_text(labels: dict[str, str], style: Any) -> None:
    text = yaml.safe_dump({"labels": labels}, default_style=style, allow_unicode=True)
    assert outcome(text, True) == outcome(text, False)


def test_tabs_are_accepted_where_go_does() -> None:
    assert parse("image: a:1\t# comment\n") == Spec(image="a:1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mounts: abcdefghij", "!!str `abcdefghij` into []control.YAMLMountSpec"),
        ("mounts: abcdefghijk", "!!str `abcdefg...` into []control.YAMLMountSpec"),
        ("mounts: [{writable: 'true'}]", "!!str `true` into bool"),
        ("mounts: [{writable: yEs}]", "!!str `yEs` into bool"),
        ("mounts: [{writable: !!bool tRUE}]", "!!bool `tRUE` into bool"),
        ("mounts: [{writable: 1}]", "!!int `1` into bool"),
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
    [
        *((word, True) for word in ("true", "Yes", "on", "y", "Y", "'y'", '"yes"', "'ON'")),
        *((word, False) for word in ("FALSE", "no", "Off", "n", "N", '"n"', "'off'", "~")),
    ],
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


@pytest.mark.parametrize(
    "malformed",
    [
        "envs:\n  TOKEN: s3cret: x\n",
        "envs: {TOKEN: 's3cret\n",
        "envs:\n\t TOKEN: s3cret\n",
        "image: a\x01b s3cret\n",
    ],
)
@pytest.mark.parametrize("libyaml", [True, False])
def test_what_is_wrong_is_said_in_one_line_without_the_document(
    malformed: str, libyaml: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml, "__with_libyaml__", libyaml and yaml.__with_libyaml__)
    with pytest.raises(ValueError, match=r"^yaml: [^\n]+$") as caught:
        read_document(malformed.encode())
    assert "s3cret" not in str(caught.value)
