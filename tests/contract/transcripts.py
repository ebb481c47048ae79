"""Transcripts: the requests to a real daemon and its answers, step by step."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).with_name("transcripts")

Json = Any
"""The content of a JSON document; `transcripts/README.md` describes its structure."""
LOG_FILES = "exec log files"
"""The host step that looks at logs."""
Step = Mapping[str, Json]
Event = Mapping[str, Json]


@dataclass(frozen=True)
class Transcript:
    """One scenario with one daemon."""

    daemon: str
    """The tag of the daemon's release, such as `v0.4.3`."""
    scenario: str
    about: str
    """What its recorder said about it, with settings of the daemon that are not the defaults."""
    steps: Sequence[Step]
    events: Mapping[str, Sequence[Event]]
    """The history of each sandbox at the end of the scenario; empty if it has no record."""

    @property
    def name(self) -> str:
        """Its name, such as `v0.4.3/exec_ok`."""
        return f"{self.daemon}/{self.scenario}"

    @property
    def version(self) -> str:
        """The daemon's version, as `Ping` of a release reports it."""
        return self.daemon.removeprefix("v")


def load(path: Path) -> Transcript:
    """Read one transcript."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return Transcript(
        content["daemon"],
        content["scenario"],
        content["about"],
        tuple(content["steps"]),
        content["events"],
    )


def load_all(folder: Path) -> list[Transcript]:
    """Read the transcripts of a folder and of the folders in it.

    Raises:
        FileNotFoundError: There are none.
    """
    paths = sorted((*folder.glob("*.json"), *folder.glob("*/*.json")))
    if not paths:
        raise FileNotFoundError(f"no transcripts (*.json, */*.json) in {folder}")
    return [load(path) for path in paths]


def request_of(step: Step) -> Json:
    """The request of an RPC, with placeholders for paths."""
    request, text = step["request"], step.get("config_yaml_text", "")
    if not re.search("<[A-Z_]+>", text):
        return request
    # Only the readable copy contains the placeholders.
    return {**request, "config_yaml": base64.b64encode(text.encode()).decode()}


def requests_of(transcript: Transcript) -> str:
    """All that was requested, as text."""
    keys = ("request", "config_yaml_text")
    return json.dumps([[step.get(key) for key in keys] for step in transcript.steps])


def describe(step: Step) -> str:
    """Describe a step in a few words, so that it can be found in its transcript."""
    if "rpc" in step:
        note = f" ({step['note']})" if "note" in step else ""
        return f"{step['rpc']}{note}"
    if "host" in step:
        return str(step["host"])
    return "wait"
