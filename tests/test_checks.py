"""Invalid arguments are refused before any RPC, with an error that names the parameter."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents_sandbox import InvalidArgumentError, MountSpec, ServiceSpec
from agents_sandbox._arguments import checks
from agents_sandbox._arguments.durations import to_timedelta

SURROGATE = "a\ud800b"
MOUNT = MountSpec("/a", "/b")


class BytesPath:
    """A path that is given as bytes."""

    def __fspath__(self) -> bytes:
        return b"/a"


def integer(name: str, value: object) -> int:
    return checks.integer(name, value, maximum=10)


def from_one(name: str, value: object) -> int:
    return checks.integer(name, value, minimum=1, maximum=10)


def mounts(name: str, values: object) -> tuple[MountSpec, ...]:
    return checks.items(name, values, MountSpec)


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (checks.text, "", ""),
        (checks.text, "h\u00e9\U0001f600\0", "h\u00e9\U0001f600\0"),
        (checks.path, "/a b", "/a b"),
        (checks.path, Path("/a b"), "/a b"),
        (checks.path, PurePosixPath("a"), "a"),
        (checks.mount_path, "/a b", "/a b"),
        (checks.mount_path, Path("/a"), "/a"),
        (checks.mount_path, "~", "~"),
        (checks.mount_path, "~/a", "~/a"),
        (checks.working_folder, "", ""),
        (checks.working_folder, "/a", "/a"),
        (checks.boolean, True, True),
        (checks.boolean, False, False),
        (checks.texts, (), ()),
        (checks.texts, ["a", ""], ("a", "")),
        (checks.texts, (letter for letter in "ab"), ("a", "b")),
        (checks.text_mapping, {}, {}),
        (checks.text_mapping, UserDict({"": "b"}), {"": "b"}),
        (mounts, [MOUNT], (MOUNT,)),
        (mounts, iter([MOUNT, MOUNT]), (MOUNT, MOUNT)),
        (mounts, (), ()),
        (checks.lookup_id, "x", "x"),
        (checks.lookup_id, "any/text \u0665", "any/text \u0665"),
        (checks.new_id, "a__9", "a__9"),
        (checks.new_id, "A-b_" * 49 + "A-b9", "A-b_" * 49 + "A-b9"),
        (integer, 0, 0),
        (integer, 10, 10),
        (from_one, 1, 1),
        (checks.port, 1, 1),
        (checks.port, 65535, 65535),
        (checks.optional_text, None, None),
        (checks.optional_text, "", None),
        (checks.optional_text, "0.5", "0.5"),
    ],
)
def test_accepted(check: Callable[[str, object], object], value: object, expected: object) -> None:
    checked = check("it", value)
    assert checked == expected
    assert isinstance(checked, type(expected)) or not isinstance(expected, (str, tuple, float))


REFUSALS: dict[Callable[[str, Any], object], list[tuple[object, str]]] = {
    checks.text: [
        (None, "must be a str, not NoneType"),
        (b"a", "must be a str, not bytes"),
        (1, "must be a str, not int"),
        (SURROGATE, "not valid Unicode text"),
    ],
    checks.path: [
        (None, "must be a str, not NoneType"),
        (BytesPath(), "must be a str, not bytes"),
        (Path(SURROGATE), "not valid Unicode text"),
        ("/a\0b", "must not contain NUL: '/a\\x00b'"),
        (Path("/a\0b"), "must not contain NUL: '/a\\x00b'"),
    ],
    checks.mount_path: [
        ("", "must be an absolute path, or begin with ~/ (since daemon 0.3.2), not ''"),
        ("a", "must be an absolute path, or begin with ~/ (since daemon 0.3.2), not 'a'"),
        ("./a", "must be an absolute path"),
        ("~user/a", "must be an absolute path"),
        (Path("a"), "must be an absolute path"),
        ("/a\0b", "must not contain NUL"),
        (None, "must be a str, not NoneType"),
    ],
    checks.working_folder: [
        ("a", "must be an absolute path in the sandbox, not 'a'"),
        ("~/a", "must be an absolute path in the sandbox, not '~/a'"),
        (Path(), "must be an absolute path in the sandbox, not '.'"),
        (1, "must be a str, not int"),
    ],
    checks.boolean: [
        (refused, f"must be True or False, not {refused!r}")
        for refused in ("no", "", 0, 1, None, ())
    ],
    checks.texts: [
        ("ls -l", "must be a sequence of str, e.g. ('a', 'b'), not str"),
        (b"ls", "must be a sequence of str, e.g. ('a', 'b'), not bytes"),
        (None, "must be a sequence of str, e.g. ('a', 'b'), not NoneType"),
        ({"a"}, "must be a sequence of str, e.g. ('a', 'b'), not set"),
        (frozenset("a"), "must be a sequence of str, e.g. ('a', 'b'), not frozenset"),
        ({"a": "b"}, "must be a sequence of str, e.g. ('a', 'b'), not dict"),
        ({"a": "b"}.keys(), "must be a sequence of str, e.g. ('a', 'b'), not dict_keys"),
        (["a", 1], "[1] must be a str, not int"),
        (["a", "b", SURROGATE], "[2] is not valid Unicode text"),
    ],
    checks.text_mapping: [
        (None, "must be a mapping of str to str, not NoneType"),
        ([("a", "b")], "must be a mapping of str to str, not list"),
        ({1: "b"}, " key must be a str, not int"),
        ({SURROGATE: "b"}, " key is not valid Unicode text"),
        ({"a": 1}, "['a'] must be a str, not int"),
        ({"a": SURROGATE}, "['a'] is not valid Unicode text"),
    ],
    mounts: [
        (None, "must be a sequence of MountSpec"),
        (MOUNT, "must be a sequence of MountSpec"),
        ([MOUNT, "/a"], "must be a sequence of MountSpec"),
        ("ab", "must be a sequence of MountSpec"),
    ],
    checks.lookup_id: [
        ("", "must not be empty"),
        (None, "must be a str, not NoneType"),
        (SURROGATE, "not valid Unicode text"),
    ],
    checks.new_id: [
        (None, "must be a str, not NoneType"),
        *(
            (refused, "must be 4 to 200 characters")
            for refused in (
                *("", "abc", "a" * 201, "-abc", "abc-", "_abc", "abc_", "ab.cd", "ab cd", "abcd\n"),
                *("abc\u0665", "\u0665abc", "a\u00e9cd", "ab\u212acd", "ab\uff11cd"),
            )
        ),
    ],
    integer: [
        (refused, "must be an int from 0 to 10")
        for refused in (-1, 11, 2**64, True, False, 1.0, "1", None)
    ],
    from_one: [(refused, "must be an int from 1 to 10") for refused in (0, -1, 11, True)],
    checks.port: [
        (refused, "must be an int from 1 to 65535")
        for refused in (0, -1, 65536, True, False, 80.0, "80", None)
    ],
    checks.optional_text: [
        (b"1", "must be a str, not bytes"),
        (0, "must be a str, not int"),
        (False, "must be a str, not bool"),
        (SURROGATE, "not valid Unicode text"),
    ],
}


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [(check, *refusal) for check, refusals in REFUSALS.items() for refusal in refusals],
)
def test_refused(check: Callable[[str, object], object], value: object, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check("the_parameter", value)
    assert str(caught.value).startswith("the_parameter")
    assert message in str(caught.value)


@pytest.mark.slow
@given(st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,198}[a-zA-Z0-9]", fullmatch=True))
def test_every_id_of_the_daemons_pattern_is_accepted(value: str) -> None:
    assert checks.new_id("sandbox_id", value) == value


@given(st.text(max_size=300))
def test_every_other_id_is_refused(value: str) -> None:
    ascii_alphanumeric = value.isascii() and value.replace("-", "").replace("_", "").isalnum()
    acceptable = ascii_alphanumeric and 4 <= len(value) <= 200 and (value[0] + value[-1]).isalnum()
    try:
        assert checks.new_id("sandbox_id", value) == value
        assert acceptable
    except InvalidArgumentError:
        assert not acceptable


def test_a_mapping_is_copied() -> None:
    given_labels = {"team": "core"}
    checked = checks.text_mapping("labels", given_labels)
    given_labels["team"] = "other"
    assert checked == {"team": "core"}


@pytest.mark.parametrize("value", [10**5000, -(10**5000)], ids=["huge", "negative"])
def test_a_number_too_long_for_its_own_repr_is_refused(value: int) -> None:
    message = r"^the_parameter must be an int from 0 to 10, not <int>$"
    with pytest.raises(InvalidArgumentError, match=message):
        integer("the_parameter", value)


def test_an_absurd_number_is_no_flag() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^the_parameter must be "):
        checks.boolean("the_parameter", 10**5000)


@pytest.mark.parametrize(
    ("check", "wrong_type", "wrong_value"),
    [
        (checks.text, 1, SURROGATE),
        (checks.path, b"/a", "/a\0b"),
        (checks.boolean, 1, None),
        (checks.texts, "a", [SURROGATE]),
        (checks.text_mapping, [("a", "b")], {"a": SURROGATE}),
        (mounts, ["/a"], None),
        (checks.lookup_id, 1, ""),
        (checks.new_id, 1, "a"),
        (integer, "1", 11),
        (integer, True, -1),
        (to_timedelta, [1], "1"),
        (lambda _, value: ServiceSpec("db", "img", healthcheck=value), "true", None),
    ],
)
def test_a_wrong_type_is_a_type_error_too(
    check: Callable[[str, Any], object], wrong_type: object, wrong_value: object
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check("name", wrong_type)
    assert isinstance(caught.value, TypeError)
    if wrong_value is not None:
        with pytest.raises(InvalidArgumentError) as caught:
            check("name", wrong_value)
        assert not isinstance(caught.value, TypeError)
