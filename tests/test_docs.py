"""The documentation's examples and programs run as printed, the examples in both flavours."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import inspect
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
import unasync

import agents_sandbox
from agents_sandbox import (
    AgentsSandboxClient,
    SyncAgentsSandboxClient,
    UnsupportedByDaemonError,
)
from agents_sandbox.testing import FakeDaemon, Faults
from agents_sandbox.testing._protocol.profile import PROFILES

from .plugin.conftest import ARGUMENTS as PYTEST_ARGUMENTS
from .releases import NEWEST, each_dialect

pytestmark = [pytest.mark.once, pytest.mark.unmeasured]

ROOT = Path(__file__).parents[1]
SNIPPET = re.compile(r"^```python ?(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = (ROOT / "docs" / "fake-daemon.md").read_text("utf-8")
USAGE = SNIPPET.findall((ROOT / "docs" / "usage.md").read_text("utf-8"))
ASYNC = [code for kind, code in USAGE if kind == ""]
ASYNC_NEWEST = [code for kind, code in USAGE if kind == "newest"]
TESTING = [
    found
    for page in ("README.md", "docs/fake-daemon.md", "docs/guides/testing.md")
    for found in SNIPPET.findall((ROOT / page).read_text("utf-8"))
]
PROGRAMS = [code for kind, code in TESTING if kind == ""]
TEST_FILES = [code for kind, code in TESTING if kind == "pytest"]
TYPES = [code for kind, code in USAGE if kind == "types"]


def test_the_documentation_has_its_examples() -> None:
    kinds = (ASYNC, ASYNC_NEWEST, TYPES, PROGRAMS, TEST_FILES)
    assert all(kinds)
    assert len(TESTING) == len(PROGRAMS) + len(TEST_FILES)


@pytest.fixture
def daemon(release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    """A daemon at the default socket that runs commands and has the documented paths."""
    (tmp_path / "agbox").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    socket_path = tmp_path / "agbox" / "agboxd.sock"
    with FakeDaemon(
        version=release,
        socket_path=socket_path,
        exec_mode="passthrough",
        host_paths=["/path/to/workspace"],
    ) as running:
        yield running
        running.wait_for_streams(0)


@pytest.fixture
def names(daemon: FakeDaemon) -> dict[str, Any]:
    """The names that the examples expect, and a `print` that records its lines.

    The example's event stream would stay open, so the third printed line makes the daemon end it,
    as a purge of the sandbox does.
    """
    printed: list[str] = []

    def end_stream() -> None:
        daemon.faults.fail_next(
            "SubscribeSandboxEvents", code="NOT_FOUND", reason="SANDBOX_NOT_FOUND"
        )
        daemon.faults.end_streams()

    def remember(*values: object, end: str = "") -> None:
        printed.append(" ".join(map(str, values)))
        if len(printed) == 3 and printed[0].startswith("SANDBOX_"):
            threading.Thread(target=end_stream).start()

    with SyncAgentsSandboxClient() as client:
        sandbox = client.create_sandbox(image="a:1")
    exported = {name: getattr(agents_sandbox, name) for name in agents_sandbox.__all__}
    return {
        **exported,
        "sandbox_id": sandbox.sandbox_id,
        "print": remember,
        "printed": printed,
    }


def check(code: str, names: dict[str, Any]) -> None:
    """Check what an example leaves behind."""
    if "subscribe_sandbox_events" in code:
        assert names["printed"] == ["SANDBOX_ACCEPTED 1", "SANDBOX_PREPARING 2", "SANDBOX_READY 3"]
    if "stdout_log_path" in code:
        assert names["printed"] == [names["result"].stdout_log_path]
        assert Path(names["result"].stdout_log_path).read_text() == "hello\n"
    if "demo-sandbox" in code:
        assert names["sandbox"].sandbox_id == "demo-sandbox"


@each_dialect
@pytest.mark.parametrize("code", ASYNC)
async def test_async_examples_run_as_printed(names: dict[str, Any], code: str) -> None:
    compiled = compile(code, "usage.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    async with AgentsSandboxClient() as client:
        await eval(compiled, names | {"client": client}, names)
    check(code, names)


@each_dialect
@pytest.mark.parametrize("code", ASYNC)
def test_async_examples_run_when_translated(
    names: dict[str, Any], tmp_path: Path, code: str
) -> None:
    compiled = compile(translate(code, tmp_path), "usage.md", "exec")
    with SyncAgentsSandboxClient() as client:
        exec(compiled, names | {"client": client}, names)
    check(code, names)


@pytest.mark.releases(NEWEST)
@pytest.mark.parametrize("code", ASYNC_NEWEST)
async def test_examples_of_the_newest_daemon_run_as_printed(
    names: dict[str, Any], code: str
) -> None:
    await test_async_examples_run_as_printed(names, code)


@pytest.mark.releases(NEWEST)
@pytest.mark.parametrize("code", ASYNC_NEWEST)
def test_examples_of_the_newest_daemon_run_when_translated(
    names: dict[str, Any], tmp_path: Path, code: str
) -> None:
    test_async_examples_run_when_translated(names, tmp_path, code)


@pytest.mark.releases("0.2.1")
@pytest.mark.parametrize("code", ASYNC_NEWEST)
async def test_examples_of_the_newest_daemon_are_refused_by_an_old_one(
    names: dict[str, Any], code: str
) -> None:
    with pytest.raises(UnsupportedByDaemonError):
        await test_async_examples_run_as_printed(names, code)


def translate(code: str, folder: Path) -> str:
    """Translate an example as the build translates the client."""
    origin, twin = folder / "origin", folder / "twin"
    origin.mkdir()
    # A whole program starts with the function itself.
    code = re.sub(r"\basyncio\.run\((\w+\(.*\))\)", r"\1", code)
    (origin / "example.py").write_text(code, "utf-8")
    rule = unasync.Rule(f"{origin}/", f"{twin}/", load_build_sync().RENAMES)
    unasync.unasync_files([str(origin / "example.py")], [rule])
    return (twin / "example.py").read_text("utf-8")


def load_build_sync() -> ModuleType:
    """Import the build script from the root of the project."""
    spec = importlib.util.spec_from_file_location("build_sync", ROOT / "build_sync.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@each_dialect
@pytest.mark.parametrize("code", PROGRAMS)
def test_whole_programs_run(daemon: FakeDaemon, code: str) -> None:
    exec(compile(code, "example", "exec"), {})


def test_whole_test_files_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(**{f"test_{place}": code for place, code in enumerate(TEST_FILES)})
    result = pytester.runpytest_subprocess(*PYTEST_ARGUMENTS)
    assert result.parseoutcomes().keys() == {"passed"}
    for place, code in enumerate(TEST_FILES):
        for name in re.findall(r"def (test_\w+)", code):
            result.stdout.fnmatch_lines_random([f"PASSED test_{place}.py::{name}*"])


def test_the_documented_program_starts(tmp_path: Path) -> None:
    (command,) = re.findall(r"^python -m agents_sandbox\.testing (?:\\\n|.)*", PAGE, re.MULTILINE)
    here = command.replace("/tmp/agboxd.sock", str(tmp_path / "s")).replace("\\\n", "")
    _, *arguments = shlex.split(here)
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith(f" listening on {tmp_path / 's'}\n")
        process.terminate()
        assert process.wait(60) == 0


def test_the_page_names_every_release_argument_and_fault() -> None:
    faults = [name for name in vars(Faults) if not name.startswith("_")]
    arguments = inspect.signature(FakeDaemon).parameters.keys() - {"socket_path", "exec_log_root"}
    for name in (*PROFILES, *faults, *arguments):
        assert re.search(rf"\b{re.escape(name)}\b", PAGE), name


def test_the_page_knows_how_many_transcripts_there_are() -> None:
    recorded = list((ROOT / "tests" / "contract" / "transcripts").glob("*/*.json"))
    assert f"All {len(recorded)} recorded transcripts" in PAGE


def test_the_documented_types_are_the_real_ones() -> None:
    for code in TYPES:
        for node in ast.parse(code).body:
            assert isinstance(node, ast.ClassDef)
            real = dataclasses.fields(getattr(agents_sandbox, node.name))
            documented = [
                (field.target.id, ast.unparse(field.annotation))
                for field in node.body
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            ]
            shown = [(field.name, show(field.type)) for field in real]
            assert shown[: len(documented)] == documented


def show(annotation: object) -> str:
    """Format a type as the documentation does, without its modules."""
    text = (
        annotation.__name__
        if isinstance(annotation, type) and "[" not in str(annotation)
        else str(annotation)
    )
    return re.sub(r"\b[a-zA-Z_]+\.", "", text)


def test_the_table_of_errors_is_complete() -> None:
    text = (ROOT / "docs" / "guides" / "errors.md").read_text("utf-8")
    for name in agents_sandbox.__all__:
        if name.endswith(("Error", "Warning")):
            assert f"`{name}`" in text, name


def test_the_readme_names_every_guide() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for name in re.findall(r"`(docs/[\w/.-]+)`", text):
        assert (ROOT / name).exists(), name
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
