"""The published clients, each in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

RELEASES = ("0.2.1", "0.4.3")
DISTRIBUTION = "agents-sandbox-sdk"
ROOT = Path(__file__).resolve().parents[2]


class CrossCheckError(Exception):
    """The client could not be installed, or a program misbehaved."""


def install(release: str, folder: Path) -> Path:
    """Install a published client in its own environment; return its Python."""
    create = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)]
    subprocess.run(create, check=True)
    python = folder / "bin" / "python"
    pip(python, "install", f"{DISTRIBUTION}=={release}")
    return python


def pip(python: Path, command: str, *arguments: str) -> None:
    """Run our own pip for another environment.

    Raises:
        CrossCheckError: It failed.
    """
    options = ("--quiet", "--disable-pip-version-check", "--python", str(python))
    run = [sys.executable, "-m", "pip", *options, command, *arguments]
    if subprocess.run(run, check=False).returncode:
        raise CrossCheckError(f"pip {command} {' '.join(arguments)} failed")


def environment(**variables: str) -> Mapping[str, str]:
    """The environment variables for the Python of a client."""
    ours = {**os.environ, **variables}
    # A checkout on the path would replace the client, under the same name.
    ours.pop("PYTHONPATH", None)
    return ours
