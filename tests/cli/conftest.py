"""What tests of the command line share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
from click.testing import CliRunner, Result

from agents_sandbox import SyncAgentsSandboxClient
from agents_sandbox._cli.program import program
from agents_sandbox.testing import FakeDaemon

Run: TypeAlias = Callable[..., Result]


@pytest.fixture
def release() -> str:
    """The release of the test's daemon."""
    return "0.4.3"


@pytest.fixture
def run(daemon: FakeDaemon) -> Run:
    """Runs the program, in this process and without a terminal, with the test's daemon."""

    def call(*arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(program, ["--socket", daemon.socket_path, *arguments], given)

    return call


@pytest.fixture
def client(daemon: FakeDaemon) -> Iterator[SyncAgentsSandboxClient]:
    """A client of the test's daemon."""
    with SyncAgentsSandboxClient(daemon.socket_path) as opened:
        yield opened


def objects(text: str) -> list[dict[str, Any]]:
    """Read lines of JSON."""
    return [json.loads(line) for line in text.splitlines()]
