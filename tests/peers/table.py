"""Compares what users see of a published client with what they see of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .reasons import REASONS

MISSING = "missing"


@dataclass(frozen=True)
class Row:
    """One fact of both surfaces."""

    fact: str
    theirs: str
    ours: str

    @property
    def differs(self) -> bool:
        """Whether a program could notice."""
        return self.theirs != self.ours

    def __str__(self) -> str:
        return f"{self.fact}: {self.theirs} -> {self.ours}"


def rows(theirs: Mapping[str, str], ours: Mapping[str, str]) -> Iterator[Row]:
    """Yield a row for each fact of theirs, and for each of ours that their programs can notice."""
    classes = {fact.rpartition(" ")[2] for fact in theirs if fact.startswith("from ")}
    for fact, value in sorted(theirs.items()):
        yield Row(fact, value, ours.get(fact, MISSING))
    for fact, value in sorted(ours.items()):
        if fact in theirs or re.split(r"\W", fact)[0] not in classes:
            continue
        kind, is_a, base = fact.partition(" is a ")
        if is_a and {kind, base} <= classes:  # `except` clauses depend on it
            yield Row(fact, "no", value)
        elif value == "required" and fact.partition("(")[0] in {*theirs, *classes}:
            yield Row(fact, MISSING, value)


def reason(row: Row) -> str | None:
    """The reason of a difference, or None if it has none."""
    return next((why for why, pattern in _patterns() if pattern.fullmatch(str(row))), None)


def unused(differences: list[Row]) -> list[str]:
    """The patterns that no difference needs."""
    seen = [str(row) for row in differences]
    used = [pattern for _, pattern in _patterns() if any(map(pattern.fullmatch, seen))]
    return [pattern.pattern for _, pattern in _patterns() if pattern not in used]


def _patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for why, texts in REASONS.items():
        for text in texts:
            yield why, re.compile(".*".join(map(re.escape, text.split("*"))))
