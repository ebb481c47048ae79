"""Helpers for tests of `config_yaml`."""

from __future__ import annotations

import pytest

from agents_sandbox.testing._protocol.profile import profile_for
from agents_sandbox.testing._protocol.refusals import StatusError
from agents_sandbox.testing._protocol.spec import Spec
from agents_sandbox.testing._validation.config_yaml import parse_config_yaml


def parse(text: str | bytes, version: str = "0.2.1") -> Spec:
    """Read a `config_yaml` as a daemon does."""
    return parse_config_yaml(text.encode() if isinstance(text, str) else text, profile_for(version))


def reason(text: str | bytes, version: str = "0.2.1") -> str:
    """Return why a daemon refuses a `config_yaml`."""
    with pytest.raises(StatusError) as caught:
        parse(text, version)
    assert caught.value.details is None
    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert caught.value.message.startswith("invalid config_yaml: ")
    return caught.value.message.removeprefix("invalid config_yaml: ")


def unmarshal(error: str, line: int = 1) -> str:
    """Make the message about a value of the wrong type."""
    return f"yaml: unmarshal errors:\n  line {line}: {error}"
