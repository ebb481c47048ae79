"""Folders that only this user can enter."""

from __future__ import annotations

from pathlib import Path


def make_folders(path: Path) -> None:
    """Make a folder and all that are missing above it; those that exist stay as they are."""
    if not path.parent.exists():
        # Not `parents=True`: its mode is that of the last folder alone.
        make_folders(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
