"""The examples of docs/guides/pictures.md run in both flavours, and print what they say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents_sandbox import AgentsSandboxClient, SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

from .pictures import FOLDER, PICTURES
from .releases import any_release
from .test_docs import SNIPPET, translate
from .test_docs_sandboxes import IMAGE, SAYS, names, printed

pytestmark = [pytest.mark.once, pytest.mark.unmeasured, any_release]

PAGE = (Path(__file__).parents[1] / "docs" / "guides" / "pictures.md").read_text("utf-8")
EXAMPLES = [code for _, code in SNIPPET.findall(PAGE)]


@pytest.fixture
def daemon(release: str) -> Iterator[FakeDaemon]:
    with FakeDaemon(version=release, exec_mode="passthrough") as running:
        yield running
        running.wait_for_streams(0)


@pytest.mark.parametrize("code", EXAMPLES)
async def test_async_examples(
    daemon: FakeDaemon, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled = compile(code, "pictures.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    async with (
        AgentsSandboxClient(daemon.socket_path) as client,
        client.sandbox(image=IMAGE) as sandbox,
    ):
        await eval(compiled, names(client, sandbox))
    assert printed(capsys) == SAYS.findall(code) != []


@pytest.mark.parametrize("code", EXAMPLES)
def test_blocking_examples(
    daemon: FakeDaemon, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        SyncAgentsSandboxClient(daemon.socket_path) as client,
        client.sandbox(image=IMAGE) as sandbox,
    ):
        exec(compile(translate(code, tmp_path), "pictures.md", "exec"), names(client, sandbox))
    assert printed(capsys) == SAYS.findall(code)


def test_the_page_shows_every_picture() -> None:
    shown = re.findall(r"\(\.\./_static/(.*)\)", PAGE)
    assert {*shown} == {path.name for path in FOLDER.glob("timeline-*.svg")} == {*PICTURES}
