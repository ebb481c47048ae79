"""Compares what users see of a published client with what they see of this SDK."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from .clients import ROOT, CrossCheckError, environment
from .table import Row, reason, rows, unused

TIMEOUT = 60.0
"""How long the inspection of a package may take, in seconds."""


def compare(python: Path, release: str) -> list[Row]:
    """Find the differences between a client and this SDK.

    Args:
        python: The Python that has the client.
        release: The client's release.

    Raises:
        CrossCheckError: A difference has no reason.
    """
    table = [*rows(surface(python), surface(Path(sys.executable)))]
    differences = [row for row in table if row.differs]
    print(f"client {release}: {len(table)} facts of its surface, {len(differences)} differ")
    unexplained = [str(row) for row in differences if reason(row) is None]
    if unexplained:
        raise CrossCheckError("\n  ".join(["differences without a reason:", *unexplained]))
    return differences


def check_reasons(differences: list[Row]) -> None:
    """Check that each reason is that of a difference, once all clients were compared.

    Raises:
        CrossCheckError: One is not.
    """
    if idle := unused(differences):
        raise CrossCheckError("\n  ".join(["reasons without a difference:", *idle]))


def show(differences: list[Row]) -> None:
    """Print the differences, each with its reason."""
    for row in dict.fromkeys(differences):
        print(f"{row}\n    {reason(row)}")


def surface(python: Path) -> dict[str, str]:
    """Inspect the package `agents_sandbox` of a Python."""
    done = subprocess.run(
        [python, "-m", "tests.peers.surface"],
        cwd=ROOT,
        # A client needs it for its constructor.
        env=environment(XDG_RUNTIME_DIR="/nowhere"),
        stdout=subprocess.PIPE,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        raise CrossCheckError(f"the package of {python} cannot be inspected")
    facts: Any = json.loads(done.stdout)
    return {str(fact): str(value) for fact, value in facts.items()}
