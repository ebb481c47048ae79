"""Finds the daemon project's own SDK, whose import name is that of this one."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest


def refuse_other_sdk() -> None:
    """Fail before the first test if `agents_sandbox` is not, or not only, this SDK's.

    It looks for the package without importing it.
    """
    spec = find_spec("agents_sandbox")
    folders = spec.submodule_search_locations if spec is not None else None
    if spec is None or spec.origin is None or folders is None:
        raise pytest.UsageError(
            "the package agents_sandbox has lost files, as it does when agents-sandbox-sdk, which "
            "has the same import name, is removed. Restore it: "
            "pip install --force-reinstall --no-deps agents-sandbox"
        )
    for folder in folders:
        # A module of the other SDK alone: in this one, `client` is a package.
        if Path(folder, "client.py").exists():
            raise pytest.UsageError(
                f"{folder} has files of agents-sandbox-sdk, which has the same import name as "
                "agents-sandbox. Remove agents-sandbox-sdk, then restore agents-sandbox: "
                "pip uninstall agents-sandbox-sdk; "
                "pip install --force-reinstall --no-deps agents-sandbox"
            )
