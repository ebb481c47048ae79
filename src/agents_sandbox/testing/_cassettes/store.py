"""Cassettes on disk."""

from __future__ import annotations

import json
from pathlib import Path

from ..._shared.shown import shown
from .cassette import Cassette
from .codec import decode, encode, file_names


def load(path: Path) -> Cassette:
    """Read a cassette.

    Raises:
        OSError: It, or a file beside it, cannot be read.
        ValueError: It is no cassette.
    """
    try:
        return decode(path.read_text("utf-8"), lambda name: path.with_name(name).read_bytes())
    except ValueError as error:
        raise ValueError(f"cassette {shown(str(path), 300)}: {error}") from None


def save(path: Path, cassette: Cassette) -> None:
    """Write a cassette, in place of the one that is there.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = encode(cassette, path.stem)
    outdated = _files_beside(path) - encoded.files.keys()
    for name, data in encoded.files.items():
        path.with_name(name).write_bytes(data)
    # In one step: an interruption leaves the old one or the new one.
    new = path.with_name(f"{path.name}.new")
    new.write_text(encoded.text, "utf-8")
    new.replace(path)
    for name in outdated:
        path.with_name(name).unlink(missing_ok=True)


def _files_beside(path: Path) -> set[str]:
    try:
        names = set(file_names(json.loads(path.read_text("utf-8"))))
    except (OSError, ValueError):  # none, or something else that is replaced
        return set()
    # Only those that `save` has made.
    return {name for name in names if name.startswith(f"{path.stem}.sandbox-") and "/" not in name}
