"""Values that differ between runs: generated ids, paths, hashes of containers, times in texts."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping

from .transcripts import Json, Transcript

_HEX = "[0-9a-f]"
_UUID = f"{_HEX}{{8}}-{_HEX}{{4}}-4{_HEX}{{3}}-[89ab]{_HEX}{{3}}-{_HEX}{{12}}"
_HASH = f"{_HEX}{{64}}"
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
_PLACEHOLDER = "<[A-Z][A-Z_]*>"
_FORMS = (_UUID, _HASH, _TIME)
_LONGEST_ID = 200
_LABELS = ("labels", "label_selector")


class UnboundError(LookupError):
    """A request needs a value that no answer has contained so far."""


class Bindings:
    """Which value of this run corresponds to which value of the recording.

    A value is bound at its first occurrence; after that it must be the same.

    Args:
        known: Values that are known in advance, by their name in the recording.
        renamed: The ids and label values that get a suffix, so that a scenario can be replayed
            more than once on one daemon.
        suffix: The suffix.
    """

    def __init__(
        self,
        known: Mapping[str, str],
        *,
        renamed: Collection[str] = (),
        labels: Collection[tuple[str, str]] = (),
        suffix: str = "",
    ) -> None:
        self._suffix = suffix
        self._labels = frozenset(labels)
        self._values = {**{item: self._with_suffix(item) for item in renamed}, **known}
        longest_first = sorted(renamed, key=len, reverse=True)
        ids = (rf"(?<![^\W_]){re.escape(item)}(?![^\W_])" for item in longest_first)
        self._unknown = re.compile("|".join((_PLACEHOLDER, *_FORMS, *ids)))

    def _with_suffix(self, item: str) -> str:
        return item[: _LONGEST_ID - len(self._suffix)] + self._suffix

    def owns(self, sandbox_id: str) -> bool:
        """Whether a sandbox of this run has that id."""
        return sandbox_id in self._values.values()

    def apply(self, recorded: Json) -> Json:
        """Replace recorded values in JSON by those of this run.

        Raises:
            UnboundError: A value is not known yet.
        """
        if isinstance(recorded, Mapping):
            return {self.apply(key): self._apply(key, item) for key, item in recorded.items()}
        if isinstance(recorded, list):
            return [self.apply(item) for item in recorded]
        return self._unknown.sub(self._value, recorded) if isinstance(recorded, str) else recorded

    def _apply(self, key: str, item: Json) -> Json:
        if key == "config_yaml":
            content = base64.b64decode(item).decode("latin-1")  # it need not be text
            return base64.b64encode(self.apply(content).encode("latin-1")).decode()
        if key in _LABELS:
            return self.relabelled(item)
        return self.apply(item)

    def relabelled(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Labels with the suffix, if a selector uses them."""
        return {
            key: value + self._suffix if (key, value) in self._labels else value
            for key, value in labels.items()
        }

    def _value(self, match: re.Match[str]) -> str:
        if match[0] not in self._values:
            raise UnboundError(f"no answer contained the value of {match[0]}")
        return self._values[match[0]]

    def match(self, recorded: str, actual: str, *, prefix: bool = False) -> bool:
        """Compare a text with a recorded one, and bind values that occur for the first time.

        Args:
            recorded: The recorded text, or its beginning.
            actual: The text of this run.
            prefix: Whether `recorded` is only a beginning.
        """
        pattern, groups = self._pattern(recorded)
        match = re.fullmatch(pattern + ("(?s:.*)" if prefix else ""), actual)
        if match is None:
            return False
        found = {name: match[group] for name, group in groups.items()}
        if any(value in self._values.values() for value in found.values()):
            return False  # it is bound to another value
        self._values.update(found)
        return True

    def _pattern(self, recorded: str) -> tuple[str, dict[str, str]]:
        parts: list[str] = []
        groups: dict[str, str] = {}
        end = 0
        for found in self._unknown.finditer(recorded):
            parts.append(re.escape(recorded[end : found.start()]))
            end = found.end()
            name = found[0]
            if name in self._values:
                parts.append(re.escape(self._values[name]))
            elif name in groups:
                parts.append(f"(?P={groups[name]})")
            else:
                groups[name] = f"unknown{len(groups)}"
                parts.append(f"(?P<{groups[name]}>{_form(name)})")
        return "".join((*parts, re.escape(recorded[end:]))), groups


def _form(name: str) -> str:
    """The pattern that a value must match, given the recorded one."""
    return next((form for form in _FORMS if re.fullmatch(form, name)), ".+?")


_ID_FIELDS = {"CreateSandbox": "sandbox_id", "CreateExec": "exec_id"}


def created_ids(transcript: Transcript) -> set[str]:
    """The ids that the client chose and the daemon accepted."""
    return {
        step["request"][_ID_FIELDS[step["rpc"]]]
        for step in transcript.steps
        if step.get("rpc") in _ID_FIELDS and "response" in step
        if _ID_FIELDS[step["rpc"]] in step["request"]
    }


def selected_labels(transcript: Transcript) -> set[tuple[str, str]]:
    """The labels that a selector of the scenario uses."""
    return {
        label
        for step in transcript.steps
        for label in step.get("request", {}).get("label_selector", {}).items()
    }
