"""Go's `path.Match`: the patterns that say what a copy leaves out."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

_NO_CHARACTER = 0xFFFD
"""What Go reads where the bytes are no UTF-8."""


class _BadPatternError(ValueError):
    """A class is empty or not closed, or nothing follows a backslash."""


def path_match(pattern: str, name: str) -> bool:
    r"""Return whether a pattern matches a whole name.

    `*` matches any characters but `/`, `?` one of them. `[a-z]` matches one character of a class,
    `[^a-z]` one that is not in it, even a `/`. A backslash takes away the meaning of the next
    character. As in Go, what comes after a `*` is looked for once, from left to right.

    Args:
        pattern: The pattern; a malformed one matches nothing.
        name: The name; bytes that are not UTF-8 are surrogates, as `os.fsdecode()` makes them.
    """
    try:
        chunks = _parse(pattern)
    except _BadPatternError:
        return False
    rest = os.fsencode(name)
    for number, chunk in enumerate(chunks, 1):
        end = chunk.find(rest, to_the_end=number == len(chunks))
        if end is None:
            return False
        rest = rest[end:]
    return not rest


@dataclass(frozen=True)
class _Class:
    """One character of some ranges, or one of none of them."""

    ranges: tuple[tuple[int, int], ...]
    negated: bool

    def allows(self, character: int) -> bool:
        return any(low <= character <= high for low, high in self.ranges) != self.negated


_ANY = _Class(ranges=((ord("/"), ord("/")),), negated=True)
_Unit: TypeAlias = "bytes | _Class"


@dataclass(frozen=True)
class _Chunk:
    """A part of a pattern without a `*`, or with one as its first character."""

    star: bool
    units: tuple[_Unit, ...]

    def find(self, name: bytes, *, to_the_end: bool) -> int | None:
        """Find it at the beginning or, with a `*`, behind some characters; return its end."""
        if not self.units:  # a `*` at the end of the pattern
            return None if b"/" in name else len(name)
        skippable = len(name.partition(b"/")[0]) if self.star else 0
        ends = (self._end(name, start) for start in range(skippable + 1))
        found = (end for end in ends if end is not None)
        return next((end for end in found if end == len(name) or not to_the_end), None)

    def _end(self, name: bytes, at: int) -> int | None:
        for unit in self.units:
            if isinstance(unit, bytes):
                if not name.startswith(unit, at):
                    return None
                at += len(unit)
            else:
                if at == len(name):
                    return None
                character, size = _character(name, at)
                if not unit.allows(character):
                    return None
                at += size
        return at


def _character(name: bytes, at: int) -> tuple[int, int]:
    """Return the character that begins there, and how many bytes it has."""
    for size in range(1, 5):
        with suppress(UnicodeDecodeError):
            return ord(name[at : at + size].decode()), size
    return _NO_CHARACTER, 1


@lru_cache(maxsize=256)
def _parse(pattern: str) -> tuple[_Chunk, ...]:
    chunks: list[_Chunk] = []
    while pattern:
        after = pattern.lstrip("*")
        units: list[_Unit] = []
        star, pattern = after != pattern, after
        while pattern and pattern[0] != "*":
            unit, pattern = _parse_unit(pattern)
            units.append(unit)
        chunks.append(_Chunk(star, tuple(units)))
    return tuple(chunks)


def _parse_unit(text: str) -> tuple[_Unit, str]:
    if text[0] == "[":
        return _parse_class(text[1:])
    if text[0] == "?":
        return _ANY, text[1:]
    if text[0] == "\\":
        text = text[1:]
        if not text:
            raise _BadPatternError
    return text[0].encode(), text[1:]


def _parse_class(text: str) -> tuple[_Class, str]:
    negated = text.startswith("^")
    text = text[negated:]
    ranges: list[tuple[int, int]] = []
    while not (ranges and text.startswith("]")):
        low, text = _parse_bound(text)
        high = low
        if text.startswith("-"):
            high, text = _parse_bound(text[1:])
        ranges.append((low, high))
    return _Class(tuple(ranges), negated), text[1:]


def _parse_bound(text: str) -> tuple[int, str]:
    if text.startswith(("-", "]")):
        raise _BadPatternError
    text = text.removeprefix("\\")
    if len(text) < 2:  # at least the closing bracket must follow
        raise _BadPatternError
    return ord(text[0]), text[1:]
