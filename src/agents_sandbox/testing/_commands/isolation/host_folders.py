"""What an isolated sandbox sees of the host besides its mounts: programs and settings."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

_SYSTEM = ("/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/sbin", "/sys", "/usr")
_BY_LINK = ("/etc/resolv.conf",)
"""Settings that are often a link to what another program writes."""


def host_folders(own: Collection[str]) -> list[Path]:
    """Return what exists of the system, of this Python, and of the folders in PATH.

    Args:
        own: Folders that sandboxes have for themselves; no folder around one is returned.

    Returns:
        Folders and files, none inside another.
    """
    found: list[Path] = []
    for path in sorted({*map(Path, _SYSTEM), *_links(), *_python(), *_programs()}):
        around = any(Path(folder).is_relative_to(path) for folder in own)
        inside = any(path.is_relative_to(outer) for outer in found)
        if path.exists() and not around and not inside:
            found.append(path)
    return found


def _links() -> Iterator[Path]:
    return (Path(os.path.realpath(link)) for link in _BY_LINK)


def _python() -> Iterator[Path]:
    for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix):
        yield from _spellings(prefix)


def _programs() -> Iterator[Path]:
    homes = list(_homes())
    for variable in ("PATH", "LD_LIBRARY_PATH"):
        for text in os.environ.get(variable, "").split(os.pathsep):
            if os.path.isabs(text) and os.path.isdir(text):  # noqa: PTH112, PTH117 - mostly both
                for folder in _spellings(text):
                    # Programs use what lies beside their folder, as in `lib` or `libexec`.
                    at_home = any(home.is_relative_to(folder.parent) for home in homes)
                    yield folder if at_home else folder.parent


def _spellings(path: str) -> set[Path]:
    return {Path(os.path.normpath(path)), Path(os.path.realpath(path))}


def _homes() -> Iterator[Path]:
    yield Path("~").expanduser()
    with suppress(KeyError):  # an id without a name
        yield Path(pwd.getpwuid(os.getuid()).pw_dir)
