"""What stands in a cassette for secrets and ids: `[redacted-1]`, `[sandbox-1]`; pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

from .._checks import checked_set
from .._protocol.spec import WORKSPACE

_NAME = r"(?:(?:redacted|sandbox|exec)-[0-9]+|env-[0-9A-Za-z_]*)\]"
PLACEHOLDER = re.compile(rf"\[{_NAME}")
_PLACEHOLDER_DATA = re.compile(rf"\[(=*)({_NAME})".encode())
# What would be mistaken for a placeholder has one "=" more in a pattern.
_LOOKALIKE = re.compile(rf"\[(?==*{_NAME})")
_LOOKALIKE_DATA = re.compile(_LOOKALIKE.pattern.encode())
_ESCAPED = re.compile(rf"\[=(?==*{_NAME})")
_SHORTEST_ID = 16
"""Characters. Shorter ids were chosen by a person, and may be words of any text."""
_SHORTEST_VALUE = 8
"""Characters. Shorter values of variables may be words of any text, too."""
_NO_NAME = re.compile(r"[^0-9A-Za-z_]")


def redactions(secrets: Collection[str]) -> dict[str, str]:
    """Number the secrets in their order.

    Raises:
        TypeError: They are not a collection of strings.
        ValueError: One is empty, or no text.
    """
    for secret in checked_set("redact", secrets, str, "a string"):
        if not secret:
            raise ValueError("redact must not contain an empty string")
        try:
            secret.encode()
        except UnicodeEncodeError:  # not shown: it is a secret
            raise ValueError("redact must not contain what UTF-8 cannot encode") from None
    return {secret: f"[redacted-{index}]" for index, secret in enumerate(dict.fromkeys(secrets), 1)}


def id_placeholders(names: Mapping[str, str]) -> dict[str, str]:
    """Map ids to what stands for them, by their names; short ids stay."""
    return {key: f"[{name}]" for key, name in names.items() if len(key) >= _SHORTEST_ID}


def env_placeholders(variables: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Map values of variables to what stands for them, by their names; short values stay."""
    return {
        value: env_placeholder(name)
        for name, value in sorted(variables, reverse=True)  # the first of several names remains
        if len(value) >= _SHORTEST_VALUE and value != WORKSPACE
    }


def env_placeholder(name: str) -> str:
    """Return what stands for the value of a variable."""
    return f"[env-{_NO_NAME.sub('_', name)}]"


class Replacer:
    """Replaces texts wherever they are, longer ones first."""

    def __init__(self, replacements: Mapping[str, str]) -> None:
        self._replacements = dict(replacements)
        self._bytes = {key.encode(): value.encode() for key, value in replacements.items()}
        longest_first = sorted(self._replacements, key=len, reverse=True)
        # Without any, a pattern that never matches.
        self._pattern = re.compile(f"({'|'.join(map(re.escape, longest_first)) or '(?!)'})")
        self._bytes_pattern = re.compile(self._pattern.pattern.encode())

    def text(self, text: str) -> str:
        """Replace in a text."""
        return self._pattern.sub(lambda found: self._replacements[found[0]], text)

    def pattern(self, text: str) -> str:
        """Replace in a text for `matches()`: what looks like a placeholder is none."""
        literals = self._pattern.split(text)  # and what is replaced between them
        literals[1::2] = [self._replacements[found] for found in literals[1::2]]
        literals[::2] = [_LOOKALIKE.sub("[=", literal) for literal in literals[::2]]
        return "".join(literals)

    def data_pattern(self, data: bytes) -> bytes:
        """Replace in bytes as `pattern()` does in texts, for `matches()` and `filled()`."""
        literals = self._bytes_pattern.split(data)
        literals[1::2] = [self._bytes[found] for found in literals[1::2]]
        literals[::2] = [_LOOKALIKE_DATA.sub(b"[=", literal) for literal in literals[::2]]
        return b"".join(literals)

    def tree(self, tree: Any) -> Any:
        """Replace in all texts of a JSON value, and sort its keys."""
        if isinstance(tree, str):
            return self.text(tree)
        if isinstance(tree, list):
            return [self.tree(item) for item in tree]
        if isinstance(tree, dict):
            return {self.text(key): self.tree(tree[key]) for key in sorted(tree)}
        return tree


@lru_cache(maxsize=1000)
def _parts(recorded: str) -> list[str]:
    """Return what stands around placeholders, as it was before `Replacer.pattern()`."""
    parts = PLACEHOLDER.split(recorded)
    return [_ESCAPED.sub("[", part) for part in parts]


def narrowed(recorded: str, known: Mapping[str, str]) -> str:
    """Put what is known in the place of placeholders, in a pattern for `matches()`."""

    def literal(found: re.Match[str]) -> str:
        value = known.get(found[0])
        return found[0] if value is None else _LOOKALIKE.sub("[=", value)

    return PLACEHOLDER.sub(literal, recorded) if "[" in recorded else recorded


def filled(recorded: bytes, known: Mapping[str, str]) -> bytes:
    """Put what is known in the place of placeholders, in an output; the others stay."""

    def literal(found: re.Match[bytes]) -> bytes:
        if found[1]:  # it only looks like one
            return b"[" + found[1][1:] + found[2]
        return known.get(found[0].decode(), found[0].decode()).encode()

    return _PLACEHOLDER_DATA.sub(literal, recorded)


def matches(recorded: str, text: str) -> bool:
    """Return whether a text is a recorded one; anything may be in place of a placeholder."""
    if "[" not in recorded:
        return recorded == text
    first, *others = _parts(recorded)
    if not others:
        return first == text
    *middle, last = others
    if not text.startswith(first):
        return False
    # The first place of each is as good as any other, so nothing is tried twice.
    end = len(first)
    for part in middle:
        at = text.find(part, end)
        if at < 0:
            return False
        end = at + len(part)
    return text.endswith(last) and len(text) - len(last) >= end
