"""The daemon project's own SDK in the place of this one: said before the first test."""

from __future__ import annotations

import os
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from pytest_agents_sandbox import _other_sdk
from pytest_agents_sandbox._other_sdk import refuse_other_sdk

from .conftest import RunPytest

RESTORE = "pip install --force-reinstall --no-deps agents-sandbox"


def package(folder: Path, *modules: str) -> ModuleSpec:
    """A package with these modules, as Python finds it."""
    folder.mkdir()
    for module in ("__init__.py", *modules):
        (folder / module).touch()
    spec = ModuleSpec("agents_sandbox", None, origin=str(folder / "__init__.py"), is_package=True)
    spec.submodule_search_locations = [str(folder)]
    return spec


def find(monkeypatch: pytest.MonkeyPatch, spec: ModuleSpec | None) -> None:
    monkeypatch.setattr(_other_sdk, "find_spec", lambda _name: spec)


def test_a_package_with_files_of_the_other_sdk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "agents_sandbox"
    find(monkeypatch, package(folder, "client.py"))
    with pytest.raises(pytest.UsageError) as caught:
        refuse_other_sdk()
    assert str(caught.value) == (
        f"{folder} has files of agents-sandbox-sdk, which has the same import name as "
        "agents-sandbox. Remove agents-sandbox-sdk, then restore agents-sandbox: "
        f"pip uninstall agents-sandbox-sdk; {RESTORE}"
    )


def test_a_package_of_this_sdk_alone_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find(monkeypatch, package(tmp_path / "agents_sandbox"))
    refuse_other_sdk()


@pytest.mark.parametrize(
    "spec",
    [
        None,
        ModuleSpec("agents_sandbox", None, origin="/site/agents_sandbox.py"),
        ModuleSpec("agents_sandbox", None, is_package=True),
    ],
    ids=["missing", "fallback", "no __init__"],
)
def test_a_package_that_has_lost_files_is_refused(
    spec: ModuleSpec | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    find(monkeypatch, spec)
    with pytest.raises(pytest.UsageError, match=f"has lost files, .*: {RESTORE}$"):
        refuse_other_sdk()


def test_a_run_ends_before_the_first_test(
    run_pytest_apart: RunPytest, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pytester.mkpydir("agents_sandbox") / "client.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    # Coverage would ask for the files of this folder when it is gone.
    for name in [name for name in os.environ if "COVERAGE" in name]:
        monkeypatch.delenv(name)
    result = run_pytest_apart("def test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: * has files of agents-sandbox-sdk, *"])
