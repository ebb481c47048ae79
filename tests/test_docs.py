"""The Python blocks and the programs of the documentation run as printed, in both flavours."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import gc
import inspect
import logging
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from _ext.snippets import ANY_FENCE, snippets

import agents_sandbox
from agents_sandbox import AgentsSandboxClient, InvalidArgumentError, SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon, Faults
from agents_sandbox.testing._protocol.profile import PROFILES

from .interrupting import join_readers
from .plugin.conftest import ARGUMENTS as PYTEST_ARGUMENTS
from .releases import NEWEST, each_dialect

pytestmark = [pytest.mark.once, pytest.mark.unmeasured]

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
}
TEXT = "\n".join(PAGES.values())
BLOCKS = {
    f"{page}:{snippet.line}": snippet for page, text in PAGES.items() for snippet in snippets(text)
}

AS_PRINTED = [name for name, block in BLOCKS.items() if block.kind in ("", "async", "sync")]
OF_NEWEST = [name for name, block in BLOCKS.items() if block.kind == "newest"]
TEST_FILES = [name for name, block in BLOCKS.items() if block.kind == "pytest"]
# The test files of the tutorial test the agent that it shows.
OF_TUTORIAL = [name for name in TEST_FILES if "from agent import" in BLOCKS[name].code]
TYPES = [name for name, block in BLOCKS.items() if block.kind == "types"]
EXAMPLES = [name for name, block in BLOCKS.items() if block.kind == "example"]
TRANSLATED = [name for name in AS_PRINTED if BLOCKS[name].is_translated]
TRANSLATED_OF_NEWEST = [name for name in OF_NEWEST if BLOCKS[name].is_translated]

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
SAYS = re.compile(r"# -> (.*)")
# A whole program makes its own client or daemon, and imports all that it uses.
PROGRAM = re.compile(r"(?ms)^from agents_sandbox.*\b(?:(?:Sync)?AgentsSandboxClient|FakeDaemon)\(")
# What the user's own documentation prints depends on the sandbox.
VARYING = ("print(result.stdout_log_path)", "print(event.event_type.name, event.sequence)")


@pytest.mark.parametrize("page", PAGES)
def test_each_python_block_is_one_that_a_test_runs(page: str) -> None:
    found = [name for name in BLOCKS if name.startswith(f"{page}:")]
    assert len(found) == len(ANY_FENCE.findall(PAGES[page]))
    run = {*AS_PRINTED, *OF_NEWEST, *TEST_FILES, *TYPES, *EXAMPLES}
    assert [f"{name}: {BLOCKS[name].kind}" for name in found if name not in run] == []


# It is about a framework of asyncio.
WITHOUT_TWIN = {"docs/guides/async-service.md"}


@pytest.mark.parametrize("page", sorted(PAGES.keys() - WITHOUT_TWIN))
def test_each_block_without_a_translation_has_its_twin(page: str) -> None:
    kinds = [snippet.kind for snippet in snippets(PAGES[page])]
    after = [kinds[place + 1 : place + 2] for place, kind in enumerate(kinds) if kind == "async"]
    assert after == [["sync"]] * len(after)


def test_the_documentation_has_blocks_of_each_kind() -> None:
    assert all((AS_PRINTED, TRANSLATED, TRANSLATED_OF_NEWEST, TEST_FILES, OF_TUTORIAL))
    assert all((TYPES, EXAMPLES))


@pytest.mark.parametrize("name", [*AS_PRINTED, *OF_NEWEST])
def test_a_block_that_prints_says_what(name: str) -> None:
    code = BLOCKS[name].code
    if name.startswith("docs/") and not any(line in code for line in VARYING):
        prints = any(
            isinstance(node, ast.Name) and node.id == "print" for node in ast.walk(ast.parse(code))
        )
        assert prints == bool(SAYS.search(code))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.startswith(("docs/guides/", "docs/tutorial"))]
)
def test_a_guide_begins_with_a_block_that_prints_or_tests(page: str) -> None:
    first = next(snippets(PAGES[page]), None)
    if first is None:
        pytest.skip("it has none: it is about another program")
    assert first.kind in ("pytest", "example") or SAYS.search(first.code)


@pytest.fixture
def daemon(release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    """A daemon at the default socket that runs commands and has the documented paths."""
    (tmp_path / "agbox").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with FakeDaemon(
        version=release,
        socket_path=tmp_path / "agbox" / "agboxd.sock",
        exec_mode="passthrough",
        host_paths=["/path/to/workspace", "/path/to/template"],
    ) as running:
        yield running
        gc.collect()  # a stream that a block has left ends now, not in the next block
        running.wait_for_streams(0)
        logging.getLogger("agents_sandbox.calls").setLevel(logging.NOTSET)  # a block has set it
        join_readers()  # they log the end of their streams


def agent_code(*, blocking: bool) -> str:
    """Return the agent of the tutorial."""
    (block,) = [BLOCKS[name] for name in TRANSLATED if "def solve" in BLOCKS[name].code]
    return block.translation if blocking else block.code


def agent_module(*, blocking: bool) -> ModuleType:
    module = ModuleType("agent")
    exec(agent_code(blocking=blocking), vars(module))
    return module


class Runner:
    """Runs blocks beside a daemon, and checks what they print and leave behind."""

    def __init__(
        self,
        daemon: FakeDaemon,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self._daemon = daemon
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self._printed: list[str] = []

    def run(self, name: str) -> None:
        """Run a block as it is printed."""
        block = BLOCKS[name]
        self._run(name, block.code, blocking=block.kind == "sync")

    def run_translated(self, name: str) -> None:
        """Run the translation of a block."""
        self._run(name, BLOCKS[name].translation, blocking=True)

    def _run(self, name: str, code: str, *, blocking: bool) -> None:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        compiled = compile(code, name, "exec", flags=flags, dont_inherit=True)
        awaits = bool(compiled.co_flags & inspect.CO_COROUTINE)
        assert not (awaits and blocking)
        names: dict[str, Any] = {"__name__": "__main__"}
        if "from agent import" in code:
            self._monkeypatch.setitem(sys.modules, "agent", agent_module(blocking=blocking))
        if PROGRAM.search(code):
            asyncio.run(eval(compiled, names)) if awaits else exec(compiled, names)
        elif blocking:
            self._beside_blocking_client(compiled, names)
        else:
            asyncio.run(self._beside_async_client(compiled, names))
        printed = self._capsys.readouterr().out.splitlines()
        self._check(code, names, printed)

    async def _beside_async_client(self, compiled: Any, names: dict[str, Any]) -> None:
        async with AgentsSandboxClient() as client, client.sandbox(image=IMAGE) as sandbox:
            self._add(names, client, sandbox)
            if (awaitable := eval(compiled, names)) is not None:
                await awaitable

    def _beside_blocking_client(self, compiled: Any, names: dict[str, Any]) -> None:
        with SyncAgentsSandboxClient() as client, client.sandbox(image=IMAGE) as sandbox:
            self._add(names, client, sandbox)
            exec(compiled, names)

    def _add(self, names: dict[str, Any], client: Any, sandbox: Any) -> None:
        """Add the names that a block may expect if it is no whole program."""
        names.update((name, getattr(agents_sandbox, name)) for name in agents_sandbox.__all__)
        names.update(client=client, sandbox=sandbox, sandbox_id=sandbox.id, IMAGE=IMAGE)
        names.update(print=self._print)

    def _print(self, *values: object, **options: Any) -> None:
        """Print; the third event makes the daemon end the stream, as a purge does.

        The documented event stream would stay open.
        """
        print(*values, **options)  # noqa: T201 - in place of theirs
        self._printed.append(" ".join(map(str, values)))
        if len(self._printed) == 3 and self._printed[0].startswith("SANDBOX_"):
            threading.Thread(target=self._end_stream).start()

    def _end_stream(self) -> None:
        self._daemon.faults.fail_next(
            "SubscribeSandboxEvents", code="NOT_FOUND", reason="SANDBOX_NOT_FOUND"
        )
        self._daemon.faults.end_streams()

    def _check(self, code: str, names: dict[str, Any], printed: list[str]) -> None:
        if said := SAYS.findall(code):
            assert printed == said
        if "print(event.event_type.name, event.sequence)" in code:
            assert printed == ["SANDBOX_ACCEPTED 1", "SANDBOX_PREPARING 2", "SANDBOX_READY 3"]
        if "print(result.stdout_log_path)" in code:
            assert printed == [names["result"].stdout_log_path]
            assert Path(printed[0]).read_text() == "hello\n"
        if 'sandbox_id="demo-sandbox"' in code:
            assert names["sandbox"].sandbox_id == "demo-sandbox"


@pytest.fixture
def runner(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Runner:
    # For the example that changes what happens at the end of a program.
    monkeypatch.setattr("atexit.register", lambda *_: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return Runner(daemon, capsys, monkeypatch)


@each_dialect
@pytest.mark.parametrize("name", AS_PRINTED)
def test_blocks_run_as_printed(runner: Runner, name: str) -> None:
    runner.run(name)


@each_dialect
@pytest.mark.parametrize("name", TRANSLATED)
def test_async_blocks_run_when_translated(runner: Runner, name: str) -> None:
    runner.run_translated(name)


@pytest.mark.releases(NEWEST)
@pytest.mark.parametrize("name", OF_NEWEST)
def test_blocks_for_the_newest_daemon_run_as_printed(runner: Runner, name: str) -> None:
    runner.run(name)


@pytest.mark.releases(NEWEST)
@pytest.mark.parametrize("name", TRANSLATED_OF_NEWEST)
def test_blocks_for_the_newest_daemon_run_when_translated(runner: Runner, name: str) -> None:
    runner.run_translated(name)


@pytest.mark.releases("0.2.1")
@pytest.mark.parametrize("name", OF_NEWEST)
def test_blocks_for_the_newest_daemon_are_refused_by_an_old_one(runner: Runner, name: str) -> None:
    with pytest.raises(InvalidArgumentError):  # the daemon itself refuses a config_yaml
        runner.run(name)


CASSETTE = re.compile(r"`(cassettes/test_agent/test_\w+\.json)`.*?```json\n(.*?)```", re.DOTALL)


def write_cassette(folder: Path, module: str = "test_agent") -> Path:
    """Write the cassette that a guide shows, for a test in a module, and return its path."""
    found = CASSETTE.search(PAGES["docs/guides/cassettes.md"])
    assert found
    path = folder / found[1].replace("test_agent", module)
    path.parent.mkdir(parents=True)
    path.write_text(found[2], "utf-8")
    return path


def test_the_cassette_of_the_guide_is_what_the_fake_daemon_records(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    (test,) = [BLOCKS[name].code for name in TEST_FILES if "cassette=True" in BLOCKS[name].code]
    pytester.makepyfile(test_agent=test)
    cassette = write_cassette(pytester.path)
    shown = cassette.read_text("utf-8")
    with FakeDaemon(exec_mode="passthrough") as live:
        result = pytester.runpytest_subprocess(
            *PYTEST_ARGUMENTS,
            f"--agents-sandbox-record={live.socket_path}",
            "--agents-sandbox-record-mode=rewrite",
        )
    result.assert_outcomes(passed=1)
    texts = [re.sub(r'"seconds": .*', "", text) for text in (shown, cassette.read_text("utf-8"))]
    assert texts[0] == texts[1]


def test_whole_test_files_run(pytester: pytest.Pytester) -> None:
    alone = [BLOCKS[name].code for name in TEST_FILES if name not in OF_TUTORIAL]
    files = {f"test_{place}": code for place, code in enumerate(alone)}
    (replays,) = [name for name, code in files.items() if "cassette=True" in code]
    write_cassette(pytester.path, replays)
    pytester.makepyfile(**files)
    result = pytester.runpytest_subprocess(*PYTEST_ARGUMENTS)
    assert result.parseoutcomes().keys() == {"passed"}
    for file, code in files.items():
        for test in re.findall(r"def (test_\w+)", code):
            result.stdout.fnmatch_lines_random([f"PASSED {file}.py::{test}*"])


@pytest.mark.parametrize("name", OF_TUTORIAL)
def test_the_agent_of_the_tutorial_is_tested(name: str, pytester: pytest.Pytester) -> None:
    test = BLOCKS[name].code
    pytester.makepyfile(agent=agent_code(blocking="await" not in test))
    pytester.makepyfile(test_agent=test)
    pytester.runpytest_subprocess(*PYTEST_ARGUMENTS).assert_outcomes(passed=1)


@pytest.mark.parametrize("name", TYPES)
def test_the_documented_types_are_the_real_ones(name: str) -> None:
    for node in ast.parse(BLOCKS[name].code).body:
        assert isinstance(node, ast.ClassDef)
        real = dataclasses.fields(getattr(agents_sandbox, node.name))
        documented = [
            (field.target.id, ast.unparse(field.annotation))
            for field in node.body
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        ]
        shown = [(field.name, show(field.type)) for field in real]
        assert shown[: len(documented)] == documented


@pytest.mark.parametrize("name", EXAMPLES)
def test_shown_examples_are_those_that_other_tests_run(name: str) -> None:
    programs = (path.read_text("utf-8") for path in (ROOT / "examples").rglob("*.py"))
    assert BLOCKS[name].code in programs


def show(annotation: object) -> str:
    """Format a type as the documentation does, without its modules."""
    text = (
        annotation.__name__
        if isinstance(annotation, type) and "[" not in str(annotation)
        else str(annotation)
    )
    return re.sub(r"\b[a-zA-Z_]+\.", "", text)


@pytest.mark.parametrize(
    "command", re.findall(r"^python -m agents_sandbox\.testing (?:\\\n|.)*", TEXT, re.MULTILINE)
)
def test_the_documented_program_starts(command: str, tmp_path: Path) -> None:
    here = command.replace("/tmp/agboxd.sock", str(tmp_path / "s")).replace("\\\n", "")
    _, *arguments = shlex.split(here)
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith(f" listening on {tmp_path / 's'}\n")
        process.terminate()
        assert process.wait(60) == 0


def test_the_pages_name_every_release_argument_and_fault() -> None:
    faults = [name for name in vars(Faults) if not name.startswith("_")]
    arguments = inspect.signature(FakeDaemon).parameters.keys() - {"socket_path", "exec_log_root"}
    for name in (*PROFILES, *faults, *arguments):
        assert re.search(rf"\b{re.escape(name)}\b", TEXT), name


def test_the_pages_know_how_many_transcripts_there_are() -> None:
    recorded = list((ROOT / "tests" / "contract" / "transcripts").glob("*/*.json"))
    assert f"All {len(recorded)} recorded transcripts" in TEXT


def test_the_table_of_errors_is_complete() -> None:
    rows = "\n".join(re.findall(r"^\| `[A-Z].*", TEXT, re.MULTILINE))
    for name in agents_sandbox.__all__:
        if name.endswith(("Error", "Warning")):
            assert f"`{name}`" in rows, name


@pytest.mark.parametrize(
    "page", [*(name for name in PAGES if "/" not in name), "examples/README.md"]
)
def test_links_of_pages_outside_of_the_site_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text("utf-8")):
        assert "://" in target or (path.parent / target).exists(), target


def test_the_readme_names_every_guide() -> None:
    text = PAGES["README.md"]
    for guide in (ROOT / "docs" / "guides").glob("*.md"):
        assert f"(docs/guides/{guide.name})" in text, guide.name


@pytest.mark.parametrize("program", ["quickstart.py", "quickstart_sync.py"])
def test_the_quickstart_runs_without_a_daemon(program: str, tmp_path: Path) -> None:
    assert "the fake daemon stands in" in quickstart(program, tmp_path)


@each_dialect
@pytest.mark.parametrize("program", ["quickstart.py", "quickstart_sync.py"])
@pytest.mark.usefixtures("daemon")
def test_the_quickstart_runs_with_any_daemon(program: str, tmp_path: Path) -> None:
    assert "the fake daemon stands in" not in quickstart(program, tmp_path)


def quickstart(program: str, runtime: Path) -> str:
    """Run a quickstart, which looks for a daemon in the given folder, and return its output."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / program)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    # Before 1.80, gRPC logs a harmless error if two event loops of a process use it at the same
    # time (its issue 25364).
    assert done.stderr == "" or "PollerCompletionQueue._handle_events" in done.stderr
    assert f"exit code 0: hello from {os.uname().sysname}\n" in done.stdout
    assert "EXEC_FINISHED\n" in done.stdout
    assert done.stdout.endswith("was deleted\n")
    return done.stdout
