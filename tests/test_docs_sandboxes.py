"""The examples of docs/sandboxes.md run as printed in both flavours, and print what they say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import agents_sandbox
from agents_sandbox import AgentsSandboxClient, SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

from .releases import any_release
from .test_docs import SNIPPET, translate

pytestmark = [pytest.mark.once, any_release]

PAGE = Path(__file__).parents[1] / "docs" / "sandboxes.md"
EXAMPLES = SNIPPET.findall(PAGE.read_text("utf-8"))
ASYNC = [code for kind, code in EXAMPLES if kind in ("", "async")]
TRANSLATED = [code for kind, code in EXAMPLES if kind == ""]
BLOCKING = [code for kind, code in EXAMPLES if kind == "sync"]

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
SAYS = re.compile(r"# -> (.*)")


@pytest.fixture
def daemon(release: str) -> Iterator[FakeDaemon]:
    with FakeDaemon(version=release, exec_mode="passthrough") as running:
        yield running
        running.wait_for_streams(0)


def names(client: object, sandbox: object) -> dict[str, Any]:
    """The names that the examples expect."""
    exported = {name: getattr(agents_sandbox, name) for name in agents_sandbox.__all__}
    return {**exported, "client": client, "sandbox": sandbox, "IMAGE": IMAGE}


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that an example has printed."""
    return [line for line in capsys.readouterr().out.splitlines() if line]


@pytest.mark.parametrize("code", ASYNC)
async def test_async_examples(
    daemon: FakeDaemon, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled = compile(code, "sandboxes.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    async with (
        AgentsSandboxClient(daemon.socket_path) as client,
        client.sandbox(image=IMAGE) as sandbox,
    ):
        await eval(compiled, names(client, sandbox))
    assert printed(capsys) == SAYS.findall(code)


@pytest.mark.parametrize("code", BLOCKING)
def test_blocking_examples(
    daemon: FakeDaemon, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        SyncAgentsSandboxClient(daemon.socket_path) as client,
        client.sandbox(image=IMAGE) as sandbox,
    ):
        exec(compile(code, "sandboxes.md", "exec"), names(client, sandbox))
    assert printed(capsys) == SAYS.findall(code)


@pytest.mark.parametrize("code", TRANSLATED)
def test_each_example_has_its_twin(code: str, tmp_path: Path) -> None:
    """The blocking example is the other one translated, but for its layout."""
    twins = [ast.dump(ast.parse(blocking)) for blocking in BLOCKING]
    assert ast.dump(ast.parse(translate(code, tmp_path))) in twins


def test_every_example_says_what_it_prints() -> None:
    assert all(SAYS.search(code) for _, code in EXAMPLES)
    assert {kind for kind, _ in EXAMPLES} == {"", "async", "sync"}
