"""What stands in a cassette for secrets and ids: `[redacted-1]`, `[sandbox-1]`; pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from .._checks import checked_set

_PLACEHOLDER = re.compile(r"\[(?:redacted|sandbox|exec)-[0-9]+\]")
_SHORTEST_ID = 16
"""Characters. Shorter ids were chosen by a person, and may be words of any text."""


def redactions(secrets: Collection[str]) -> dict[str, str]:
    """Number the secrets in their order.

    Raises:
        TypeError: They are not a collection of strings.
        ValueError: One is empty.
    """
    if "" in checked_set("redact", secrets, str, "a string"):
        raise ValueError("redact must not contain an empty string")
    return {secret: f"[redacted-{index}]" for index, secret in enumerate(dict.fromkeys(secrets), 1)}


def id_placeholders(names: Mapping[str, str]) -> dict[str, str]:
    """Map ids to what stands for them, by their names; short ids stay."""
    return {key: f"[{name}]" for key, name in names.items() if len(key) >= _SHORTEST_ID}


class Replacer:
    """Replaces texts wherever they are, longer ones first."""

    def __init__(self, replacements: Mapping[str, str]) -> None:
        self._replacements = dict(replacements)
        self._bytes = {key.encode(): value.encode() for key, value in replacements.items()}
        longest_first = sorted(self._replacements, key=len, reverse=True)
        # Without any, a pattern that never matches.
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")
        self._bytes_pattern = re.compile(self._pattern.pattern.encode())

    def text(self, text: str) -> str:
        """Replace in a text."""
        return self._pattern.sub(lambda found: self._replacements[found[0]], text)

    def data(self, data: bytes) -> bytes:
        """Replace in bytes."""
        return self._bytes_pattern.sub(lambda found: self._bytes[found[0]], data)

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
def _pattern(word: str) -> re.Pattern[str] | None:
    parts = _PLACEHOLDER.split(word)
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL) if len(parts) > 1 else None


def matches(recorded: str, text: str) -> bool:
    """Return whether a text is a recorded one; anything may be in place of a placeholder."""
    if recorded == text:
        return True
    pattern = _pattern(recorded)
    return pattern is not None and pattern.fullmatch(text) is not None
