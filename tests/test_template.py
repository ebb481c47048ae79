"""The template project in `examples/`: its tests run, with every release of its matrix."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import pytest

from agents_sandbox.testing import RELEASES

pytestmark = [pytest.mark.once, pytest.mark.unmeasured]

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "examples" / "tested_agent"
TOX = (TEMPLATE / "tox.ini").read_text("utf-8")


def tox() -> configparser.ConfigParser:
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(TOX)
    return config


def test_its_tests_pass_with_every_release_of_its_matrix(tmp_path: Path) -> None:
    releases = re.findall(r"DAEMON = (\S+)", TOX)
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-m", "pytest", "-p", "pytest_agents_sandbox"),
            *(f"--agents-sandbox-versions={','.join(releases)}", "-p", "no:cacheprovider"),
            f"--basetemp={tmp_path}",
        ],
        cwd=TEMPLATE,
        env={**os.environ, "PYTHONPATH": str(TEMPLATE / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "agents-sandbox: fake daemon 0.2.1, 0.3.2, 0.4.3\n" in done.stdout
    # One test has its own releases, five have those of the matrix.
    assert re.search(rf"\b{len(RELEASES) + 5 * len(releases)} passed\b", done.stdout)


def test_its_matrix_has_every_python_and_known_releases() -> None:
    config = tox()
    found = re.fullmatch(r"py3\{([\d,]+)\}-daemon\{([\d,]+)\}", config["tox"]["env_list"])
    assert found is not None
    classifiers = metadata("agents-sandbox").get_all("Classifier") or []
    pythons = [one.rpartition(":: 3.")[2] for one in classifiers if ":: 3." in one]
    assert found[1].split(",") == pythons
    settings = re.findall(r"daemon(\d+): DAEMON = (\S+)", config["testenv"]["set_env"])
    assert [factor for factor, _ in settings] == found[2].split(",")
    for factor, release in settings:
        assert release.replace(".", "") == factor
        assert release in RELEASES


def test_the_page_shows_its_matrix() -> None:
    page = (ROOT / "docs" / "guides" / "testing.md").read_text("utf-8")
    assert f"```ini\n{TOX}```\n" in page
