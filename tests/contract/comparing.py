"""Compares recorded JSON with that of this run, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from . import times
from .bindings import Bindings
from .transcripts import Json

CLIENT_SIDE_CODES = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
"""Raised by the client's own gRPC library, with texts that change with its version."""


@dataclass(frozen=True)
class Wording:
    """Texts that are not the daemon's own: only the prefix is compared."""

    prefix: str
    reason: str


WORDINGS = (
    Wording("invalid config_yaml: yaml: ", "the rest is the Go YAML parser's"),
    Wording(
        'Error response from daemon: Get "https://agbox.invalid/v2/": dial tcp: ',
        "the rest is the resolver's of the daemon's host",
    ),
)
DOCKER = Wording("Error response from daemon: ", "the rest is Docker's and changes with it")
"""For a live daemon only: the fake has the texts of the recorded Docker."""


@dataclass(frozen=True)
class Comparer:
    """Compares the two sides of one replay."""

    bindings: Bindings
    wordings: tuple[Wording, ...] = WORDINGS

    def differences(self, recorded: Json, actual: Json, path: str = "") -> Iterator[str]:
        """Yield a line for each difference."""
        if isinstance(recorded, Mapping) and isinstance(actual, Mapping):
            yield from self._in_objects(recorded, actual, path)
        elif isinstance(recorded, list) and isinstance(actual, list):
            yield from self._in_lists(recorded, actual, path)
        elif isinstance(recorded, str) and isinstance(actual, str):
            if not self._same_text(recorded, actual):
                yield _difference(path, recorded, actual)
        elif recorded != actual:
            yield _difference(path, recorded, actual)

    def _in_objects(
        self, recorded: Mapping[str, Json], actual: Mapping[str, Json], path: str
    ) -> Iterator[str]:
        for key in sorted(recorded.keys() | actual.keys()):
            where = f"{path}.{key}" if path else key
            if key not in actual or key not in recorded:
                yield _difference(where, recorded.get(key), actual.get(key))
            elif key == "labels":
                expected = self.bindings.relabelled(recorded[key])
                yield from self.differences({"": expected}, {"": actual[key]}, where)
            elif key not in times.FIELDS:
                yield from self.differences(recorded[key], actual[key], where)

    def _in_lists(self, recorded: list[Json], actual: list[Json], path: str) -> Iterator[str]:
        if len(recorded) != len(actual):
            yield _difference(f"{path} length", len(recorded), len(actual))
        for index, (expected, got) in enumerate(zip(recorded, actual, strict=False)):
            yield from self.differences(expected, got, f"{path}[{index}]")

    def _same_text(self, recorded: str, actual: str) -> bool:
        return self.bindings.match(recorded, actual) or any(
            recorded.startswith(wording.prefix)
            and self.bindings.match(wording.prefix, actual, prefix=True)
            for wording in self.wordings
        )

    def error_differences(self, recorded: Json, actual: Json) -> Iterator[str]:
        """Yield the differences of two errors, except for texts of the client's library."""
        if recorded is not None and recorded["code"] in CLIENT_SIDE_CODES:
            actual_code = None if actual is None else actual["code"]
            yield from self.differences(recorded["code"], actual_code, "error.code")
        else:
            yield from self.differences(recorded, actual, "error")


def _difference(path: str, recorded: Json, actual: Json) -> str:
    return f"{path or 'all'}: recorded {recorded!r}, got {actual!r}"
