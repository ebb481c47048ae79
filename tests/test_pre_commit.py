"""The hooks of pre-commit are the static checks of tox, with the same tools."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.once, pytest.mark.unmeasured]

yaml = pytest.importorskip("yaml", reason="the fake daemon alone needs it")

ROOT = Path(__file__).parents[1]
HOOKS: list[dict[str, Any]] = [
    hook
    for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    for hook in repo["hooks"]
]


def at(stage: str) -> list[dict[str, Any]]:
    return [hook for hook in HOOKS if hook["stages"] == [stage]]


def section(name: str) -> dict[str, str]:
    """Return a section of tox.ini, in which only the path of the project is substituted."""
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", "utf-8")
    return {key: value.replace("{tox_root}/", "").strip() for key, value in tox[name].items()}


def group(name: str) -> list[str]:
    """Return the requirements of a dependency group, without the groups that it includes."""
    (found,) = re.findall(
        rf"^{name} = \[(.*?)\]$",
        (ROOT / "pyproject.toml").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    return re.findall(r'"([^"]+)"', found)


def test_a_commit_runs_what_lint_runs() -> None:
    lint = section("testenv:lint")
    (variable, _, value) = lint["set_env"].splitlines()[-1].partition(" = ")
    entries = [hook["entry"].replace(f"env {variable}={value} ", "") for hook in at("pre-commit")]
    assert entries == lint["commands"].splitlines()


def test_a_commit_uses_the_tools_of_lint() -> None:
    tools = [set(hook["additional_dependencies"]) for hook in at("pre-commit")]
    assert set.union(*tools) == set(group("lint"))


def test_a_push_runs_all_static_checks() -> None:
    (hook,) = at("pre-push")
    assert hook["entry"] == "tox -m static"
    assert "static = " in section("tox")["labels"]
    (tox,) = hook["additional_dependencies"]
    assert tox in group("dev")


def test_hooks_look_at_the_whole_project_and_fetch_only_packages() -> None:
    for hook in HOOKS:
        assert (hook["language"], hook["always_run"], hook["pass_filenames"]) == (
            *("python", True, False),
        )
