"""The examples of the tutorial and the guides run in both flavours, and print what they say."""

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

from .plugin.conftest import ARGUMENTS as PYTEST_ARGUMENTS
from .releases import any_release
from .test_docs import SNIPPET, translate

pytestmark = [pytest.mark.once, pytest.mark.unmeasured, any_release]

DOCS = Path(__file__).parents[1] / "docs"
TUTORIAL = DOCS / "tutorial.md"
PAGES = [TUTORIAL, *sorted((DOCS / "guides").glob("*.md"))]
EXAMPLES = [
    (page.stem, kind, code)
    for page in PAGES
    for kind, code in SNIPPET.findall(page.read_text("utf-8"))
]

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
SAYS = re.compile(r"# -> (.*)")


def examples(*kinds: str, programs: bool = False) -> pytest.MarkDecorator:
    """Run a test with each example of these kinds: with whole programs, or with all others."""
    chosen = [
        pytest.param(code, id=f"{page}{place}")
        for place, (page, kind, code) in enumerate(EXAMPLES)
        if kind in kinds and ("asyncio.run(" in code) == programs
    ]
    return pytest.mark.parametrize("code", chosen)


@pytest.fixture
def daemon(release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    """A daemon at the default socket that runs commands and has the documented paths."""
    (tmp_path / "agbox").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    # For the examples that change what happens at the end of a program.
    monkeypatch.setattr("atexit.register", lambda *_: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with FakeDaemon(
        version=release,
        socket_path=tmp_path / "agbox" / "agboxd.sock",
        exec_mode="passthrough",
        host_paths=["/path/to/workspace", "/path/to/template"],
    ) as running:
        yield running
        running.wait_for_streams(0)


def names(client: object, sandbox: object) -> dict[str, Any]:
    """The names that the examples expect."""
    exported = {name: getattr(agents_sandbox, name) for name in agents_sandbox.__all__}
    return {**exported, "client": client, "sandbox": sandbox, "IMAGE": IMAGE}


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that an example has printed."""
    return [line for line in capsys.readouterr().out.splitlines() if line]


@examples("", "async", "newest")
@pytest.mark.usefixtures("daemon")
async def test_async_examples(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    compiled = compile(code, "guide", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    async with AgentsSandboxClient() as client, client.sandbox(image=IMAGE) as sandbox:
        running = eval(compiled, names(client, sandbox))
        if running is not None:  # it awaits something
            await running
    assert printed(capsys) == SAYS.findall(code)


@examples("sync")
@pytest.mark.usefixtures("daemon")
def test_blocking_examples(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    with SyncAgentsSandboxClient() as client, client.sandbox(image=IMAGE) as sandbox:
        exec(compile(code, "guide", "exec"), names(client, sandbox))
    assert printed(capsys) == SAYS.findall(code)


@examples("", "newest")
@pytest.mark.usefixtures("daemon")
def test_async_examples_when_translated(
    code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test_blocking_examples(translate(code, tmp_path), capsys)


@examples("", programs=True)
def test_whole_programs(code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for program in (code, translate(code, tmp_path)):
        exec(compile(program, "program", "exec"), {"__name__": "__main__"})
        assert printed(capsys) == SAYS.findall(code)


@pytest.mark.parametrize("flavour", ["async", "blocking"])
def test_the_agent_of_the_tutorial_is_tested(
    flavour: str, pytester: pytest.Pytester, tmp_path: Path
) -> None:
    (agent,) = [code for _, _, code in EXAMPLES if "async def solve" in code]
    tests = [code for page, kind, code in EXAMPLES if (page, kind) == ("tutorial", "pytest")]
    (test,) = [code for code in tests if ("await" in code) == (flavour == "async")]
    agent = agent if flavour == "async" else translate(agent, tmp_path)
    pytester.makepyfile(agent=agent, test_agent=test)
    pytester.runpytest_subprocess(*PYTEST_ARGUMENTS).assert_outcomes(passed=1)


def test_every_page_begins_with_an_example_that_prints_or_tests() -> None:
    for page in PAGES:
        _, kind, code = next(example for example in EXAMPLES if example[0] == page.stem)
        assert kind == "pytest" or SAYS.search(code), page
