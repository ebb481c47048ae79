"""The daemon project's own SDK: the same import name, and modules that programs know from it."""

from __future__ import annotations

import importlib
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import agents_sandbox

PACKAGE = Path(agents_sandbox.__file__).parent
INCOMPLETE = Path(__file__).parents[1] / "src/_incomplete/agents_sandbox.py"
MIXED = "agents-sandbox and agents-sandbox-sdk are both installed"
LOST_FILES = "the package agents_sandbox has lost files"
UNINSTALL = "pip uninstall agents-sandbox-sdk"
RESTORE = "pip install --force-reinstall --no-deps agents-sandbox"

# The shape of the other SDK: what it imports, and the modules that are its own.
OTHER_INIT = """
from .errors import SandboxClientError
from .models import SandboxState
from .types import SandboxHandle
from .client import AgentsSandboxClient
"""
OTHER_MODULES = {
    "errors.py": "class SandboxClientError(RuntimeError): pass",
    "models.py": "class SandboxState: pass",
    "types.py": "class SandboxHandle: pass",
    "client.py": "class AgentsSandboxClient: pass",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with this SDK as a wheel installs it, and nothing else."""
    package = tmp_path / "agents_sandbox"
    package.mkdir()
    for entry in PACKAGE.iterdir():
        if entry.name != "__pycache__":
            (package / entry.name).symlink_to(entry)
    (tmp_path / "agents_sandbox.py").symlink_to(INCOMPLETE)
    return tmp_path


def add_other_sdk(site: Path, *, overwrite: bool) -> None:
    """Install the other SDK into the same folder; without `overwrite`, as if it was there first."""
    for name, text in {**OTHER_MODULES, "__init__.py": OTHER_INIT}.items():
        path = site / "agents_sandbox" / name
        if overwrite:
            path.unlink(missing_ok=True)
        if not path.exists():
            path.write_text(text, "utf-8")


def remove_other_sdk(site: Path) -> None:
    """Uninstall the other SDK: the files that it installed go, whoever wrote them since."""
    for name in ("__init__.py", *OTHER_MODULES):
        (site / "agents_sandbox" / name).unlink()


def run(site: Path, *command: str) -> tuple[int, str]:
    """Run Python with this folder first; return its exit code and the last line of its errors."""
    # Coverage would ask for the files of this folder when it is gone.
    variables = {name: text for name, text in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        [sys.executable, *command],
        env={**variables, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, (done.stderr.splitlines() or [""])[-1]


IMPORTS = [
    ("-c", "import agents_sandbox"),
    ("-c", "from agents_sandbox import SyncAgentsSandboxClient"),
    ("-c", "import agents_sandbox.types"),
    ("-m", "agents_sandbox.testing", "--help"),
]


@pytest.mark.unmeasured
@pytest.mark.once
@pytest.mark.parametrize("command", IMPORTS, ids=lambda command: command[1])
def test_this_sdk_alone_can_be_imported(site: Path, command: tuple[str, ...]) -> None:
    assert run(site, "-W", "error", *command) == (0, "")


@pytest.mark.unmeasured
@pytest.mark.once
@pytest.mark.parametrize("overwrite", [True, False], ids=["last", "first"])
@pytest.mark.parametrize("command", IMPORTS, ids=lambda command: command[1])
def test_the_other_sdk_in_the_same_folder_is_named(
    site: Path, command: tuple[str, ...], overwrite: bool
) -> None:
    add_other_sdk(site, overwrite=overwrite)
    exit_code, error = run(site, *command)
    assert exit_code
    assert f"ImportError: {MIXED}, and both put their files into {site}" in error
    assert f"Remove agents-sandbox-sdk, then restore this SDK: {UNINSTALL}; {RESTORE}" in error


@pytest.mark.unmeasured
@pytest.mark.once
@pytest.mark.parametrize("overwrite", [True, False], ids=["last", "first"])
@pytest.mark.parametrize("command", IMPORTS, ids=lambda command: command[1])
def test_what_an_uninstall_of_the_other_sdk_has_removed_is_said(
    site: Path, command: tuple[str, ...], overwrite: bool
) -> None:
    add_other_sdk(site, overwrite=overwrite)
    remove_other_sdk(site)
    exit_code, error = run(site, *command)
    assert exit_code
    assert f"ImportError: {LOST_FILES}" in error
    assert error.rstrip(")").endswith(RESTORE)


def test_the_check_is_made_whenever_the_module_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    check = str(PACKAGE / "_surroundings" / "other_sdk.py")
    runpy.run_path(check)
    monkeypatch.setattr("os.path.exists", lambda path: path == str(PACKAGE / "client.py"))
    with pytest.raises(ImportError, match=MIXED):
        runpy.run_path(check)


@pytest.mark.parametrize("module", ["agents_sandbox.types", "agents_sandbox.client"])
def test_modules_of_the_other_sdk_have_the_same_names(module: str) -> None:
    alias = importlib.import_module(module)
    assert sorted(alias.__all__) == alias.__all__
    for name in alias.__all__:
        assert getattr(alias, name) is getattr(agents_sandbox, name)


def test_the_alias_of_the_models_has_all_of_them() -> None:
    types = importlib.import_module("agents_sandbox.types")
    models = {
        name
        for name in agents_sandbox.__all__
        if name.endswith(("Spec", "Handle", "Details", "Info", "Result", "Config", "Mapping"))
    }
    assert models <= set(types.__all__)
