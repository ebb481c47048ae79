"""Installs and removes both SDKs in one environment, in every order: what do imports say?"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from .clients import DISTRIBUTION, CrossCheckError, environment, pip

TIMEOUT = 60.0
"""How long one import may take, in seconds."""

OURS = "agents-sandbox"
THEIRS = DISTRIBUTION

# What Python says about the import, and pytest about the plugin: the last line must contain it.
OURS_WORKS = ("agents_sandbox True", "no tests ran")
BOTH = ("agents-sandbox-sdk are both installed", "has files of agents-sandbox-sdk")
LOST_FILES = ("has lost files", "has lost files")
THEIRS_WORKS = ("agents_sandbox.client False", "no tests ran")
# This SDK is gone, and has no say.
GONE = ("has no attribute", "no tests ran")

ORDERS = (
    (("+", OURS, OURS_WORKS), ("+", THEIRS, BOTH), ("-", THEIRS, LOST_FILES)),
    (("+", OURS, OURS_WORKS), ("-", OURS, None)),
    (("+", THEIRS, THEIRS_WORKS), ("+", OURS, BOTH), ("-", THEIRS, LOST_FILES)),
    (("+", OURS, OURS_WORKS), ("+", THEIRS, BOTH), ("-", OURS, GONE)),
    (("+", THEIRS, THEIRS_WORKS), ("+", OURS, BOTH), ("-", OURS, GONE)),
    (("+", THEIRS, THEIRS_WORKS), ("-", THEIRS, None)),
)
"""Each continues where the one before it ended: the next install repairs what is left."""

IMPORT = """
import agents_sandbox
client = agents_sandbox.AgentsSandboxClient
print(client.__module__, hasattr(agents_sandbox, "SyncAgentsSandboxClient"))
"""


def try_all_orders(python: Path, release: str, wheel: Path, folder: Path) -> None:
    """Try every order of installs in the environment of a client, which is then without one.

    Args:
        python: The Python that has the client.
        release: The client's release.
        wheel: This SDK.
        folder: An empty folder to work in.

    Raises:
        CrossCheckError: An import, or the pytest plugin, says something else.
    """
    pip(python, "install", "pytest")
    pip(python, "download", "--no-deps", "--dest", str(folder), f"{DISTRIBUTION}=={release}")
    (theirs,) = folder.glob("*.whl")
    wheels = {OURS: wheel, THEIRS: theirs}
    pip(python, "uninstall", "--yes", THEIRS)
    tests = folder / "tests"
    tests.mkdir()
    for order in ORDERS:
        done = []
        for action, name, expected in order:
            done.append(action + name)
            if action == "+":
                options = ("--no-index", "--no-deps", "--force-reinstall", "--no-compile")
                pip(python, "install", *options, str(wheels[name]))
            else:
                pip(python, "uninstall", "--yes", name)
            if expected is not None:
                check(" ".join(done), python, tests, expected)
    print(f"client {release}: {len(ORDERS)} orders of installs beside this SDK, as expected")


def check(done: str, python: Path, tests: Path, expected: tuple[str, str]) -> None:
    """Import the package, and run pytest."""
    by_import, by_plugin = expected
    for command, text in (
        (["-c", IMPORT], by_import),
        (["-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)], by_plugin),
    ):
        said = last_line([str(python), *command], tests)
        if text not in said:
            raise CrossCheckError(f"after {done}, {command[:2]} says {said!r}, not {text!r}")


def last_line(command: list[str], folder: Path) -> str:
    """Run a program and return the last line that it prints."""
    run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run
    done = run(
        command,
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )
    return done.stdout.strip().rpartition("\n")[2]
