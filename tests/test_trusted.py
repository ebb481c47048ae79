"""Models made of what the daemon sent, past the checks of their constructors."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from agents_sandbox import ExecResult, SandboxFileInfo, SandboxState
from agents_sandbox._frozen import FrozenMapping
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire.trusted import Members, frozen, trusted

from .test_models import MODELS, kind

# A result has its output besides its fields. An entry of a folder has a field named `kind`.
SLOTTED = [
    *(model for model in MODELS if type(model) is not ExecResult),
    SandboxFileInfo("a", "file", 1),
]


@pytest.mark.parametrize("model", SLOTTED, ids=kind)
def test_a_trusted_constructor_needs_every_field(model: Any) -> None:
    values = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}
    make: Any = trusted(type(model))
    assert make(**values) == model
    for name in values:
        others = {other: value for other, value in values.items() if other != name}
        with pytest.raises(TypeError, match=f"'{name}'"):
            make(**others)


@pytest.mark.parametrize("labels", [{}, {"b": "2", "a": "1"}])
def test_a_map_of_a_message_is_copied(labels: dict[str, str]) -> None:
    message = pb.SandboxHandle(labels=labels)
    copied = frozen(message.labels)
    message.labels["c"] = "3"
    assert copied == labels
    assert type(copied) is FrozenMapping


def test_unknown_members_are_not_kept() -> None:
    members = Members(SandboxState)
    assert [members[number] for number in (0, 6)] == [
        SandboxState.UNSPECIFIED,
        SandboxState.DELETED,
    ]
    assert members[7].name == "UNKNOWN_7"
    assert members == {state.value: state for state in SandboxState}
