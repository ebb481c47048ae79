"""What the copies of a create bring to a container, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A file, a folder or a symlink that a copy brings."""

    path: str
    """Relative to the target."""
    origin: str
    """Its path on the host."""
    mode: int
    """Its type and permissions."""
    link: str = ""
    """The text of a symlink."""


@dataclass(frozen=True)
class PlannedCopy:
    """A copy that the daemon and Docker have accepted."""

    folder: str
    """Where it goes: an absolute path of the container, without symlinks."""
    entries: tuple[Entry, ...]
    """Folders before their contents."""
