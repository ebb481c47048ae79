"""Go's `path.Match`: the patterns that say what a copy leaves out."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agents_sandbox.testing._commands.path_match import path_match

pytestmark = pytest.mark.once

# The rows of Go's documentation: each term, ranges, escapes, characters of several bytes.
MATCHES = [
    "abc abc",
    "* abc",
    "*c abc",
    "a* a",
    "a* abc",
    "a*/b abc/b",
    "a*b*c*d*e*/f axbxcxdxe/f",
    "a*b*c*d*e*/f axbxcxdxexxx/f",
    "a*b?c*x abxbbxdbxebxczzx",
    "ab[c] abc",
    "ab[b-d] abc",
    "ab[^e-g] abc",
    "a\\*b a*b",
    "a?b a\u263ab",
    "a[^a]b a\u263ab",
    "[a-\u03b6]* \u03b1",
    "*[a-\u03b6] A\u03b1",
    "[\\]a] ]",
    "[\\-] -",
    "[x\\-] x",
    "[x\\-] -",
    "[\\-x] x",
    "[\\-x] -",
    "[\\-x] -",
    "*x xxx",
    "**/*.py sub/b.py",
    "[!a]* a.txt",
    "[!a]* !",
    "[^a]b /b",
    "a[^x]c a/c",
]
DIFFERENCES = [
    "a* ab/c",
    "a*/b a/c/b",
    "a*b*c*d*e*/f axbxcxdxe/xxx/f",
    "a*b*c*d*e*/f axbxcxdxexxx/fff",
    "a*b?c*x abxbbxdbxebxczzy",
    "ab[e-g] abc",
    "ab[^c] abc",
    "ab[^b-d] abc",
    "a\\*b ab",
    "a???b a\u263ab",
    "a[^a][^a][^a]b a\u263ab",
    "*[a-\u03b6] \u03b1A",
    "a?b a/b",
    "a*b a/b",
    "[x\\-] z",
    "[\\-x] a",
    "*x xxx/",
    "sub/ sub",
    "sub*c* sub/c.txt",
    "*.py sub/b.py",
    "abc abcd",
    "?? a",
    "[a] \u00e4",
]
MALFORMED = [
    *("[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "[]", "[^]", "[a", "[a-"),
    *("\\", "a\\", "[\\", "[a\\", "[a-\\", "*\\", "[*", "a*[", "[a]b*[", "[z-]"),
]
TEXT = st.text(st.sampled_from("ab/*?[]^-\\\u00e9\u263a"), max_size=8)
NAME = st.text(st.sampled_from("ab/]^-\u00e9\u263a"), max_size=8)


def pairs(rows: list[str]) -> list[tuple[str, str]]:
    return [(pattern, name) for pattern, name in (row.split(" ") for row in rows)]


@pytest.mark.parametrize(("pattern", "name"), pairs(MATCHES))
def test_matches(pattern: str, name: str) -> None:
    assert path_match(pattern, name)


@pytest.mark.parametrize(("pattern", "name"), pairs(DIFFERENCES))
def test_differences(pattern: str, name: str) -> None:
    assert not path_match(pattern, name)


def test_an_empty_pattern_matches_no_name() -> None:
    assert not path_match("", "a")
    assert path_match("", "")


@pytest.mark.parametrize("pattern", MALFORMED)
def test_a_malformed_pattern_matches_nothing(pattern: str) -> None:
    for name in ("a", "ab", "x", "-", "]", "[", "\\", "", "b", pattern):
        assert not path_match(pattern, name)


@given(NAME)
def test_an_escaped_name_matches_itself_only(name: str) -> None:
    pattern = "".join(f"\\{character}" for character in name)
    assert path_match(pattern, name)
    assert not path_match(pattern, name + "a")
    assert not path_match(pattern, "a" + name)


@given(NAME, NAME)
def test_a_star_matches_all_but_a_slash(before: str, after: str) -> None:
    name = before + after
    start = "".join(f"\\{character}" for character in before)
    assert path_match(f"{start}*", name) == ("/" not in after)
    assert path_match(f"{start}**", name) == ("/" not in after)


LITERAL = st.sampled_from(list("ab/\u00e9\u263a"))
TERM = st.one_of(
    LITERAL.map(lambda character: (character, re.escape(character))),
    st.just(("?", "[^/]")),
    st.just(("*", "[^/]*")),
    st.just(("[ab-\u00e9]", "[ab-\u00e9]")),
)


@given(st.lists(TERM, max_size=8), st.text(st.sampled_from("ab/c"), max_size=10))
def test_matches_what_a_regular_expression_matches(terms: list[tuple[str, str]], name: str) -> None:
    # Not with classes that a slash is in: there, Go does not look for the `*` before it again.
    pattern = "".join(term for term, _ in terms)
    expected = re.fullmatch("".join(regex for _, regex in terms), name)
    assert path_match(pattern, name) == (expected is not None)


def test_after_a_star_go_looks_once() -> None:
    assert re.fullmatch("[^/]*[^x][^/]*c", "ab/c")
    assert not path_match("*[^x]*c", "ab/c")


@given(TEXT, NAME)
def test_it_is_total(pattern: str, name: str) -> None:
    assume("[" not in pattern or "/" not in name)
    if path_match(pattern, name):
        # It ends where the name ends.
        assert path_match(f"{pattern}?", f"{name}a")


def test_bytes_that_are_no_text_are_characters_of_their_own() -> None:
    broken = os.fsdecode(b"a\xff\xe2\x98")
    assert path_match("a???", broken)
    assert path_match("a*", broken)
    assert path_match("*[\ufffd]", broken)
    assert not path_match("a??", broken)
    # A `*` may end inside of a character, as in Go.
    assert path_match("*[^\u00e9]", "\u00e9")
