"""The forms in which users write the path of a socket; for the client and the fake daemon."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

from ._shown import shown

# As `os.path.expandvars` finds them.
_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})", re.ASCII)
_ABSTRACT = re.compile(r"@|unix:@|unix-abstract:")
# gRPC's names for addresses, and those of others: `tcp://host:1`, `dns:host`, `host:1`.
_NETWORK = re.compile(
    r"(?!unix:)[a-z][a-z0-9+.-]*://|(?:dns|https?|ipv[46]|tcp|vsock|xds):|[^/]*:[0-9]+$",
    re.IGNORECASE,
)


def plain_path(written: str) -> str:
    """Return the path that a user means: without `unix:`, `~` and `$NAME`.

    Args:
        written: A path or a `unix:` URL. In a URL, `%24` is a literal `$`.

    Returns:
        The path, which may be relative.

    Raises:
        ValueError: It names no file. The message says why and lacks only the parameter's name.
    """
    expanded = _VARIABLE.sub(_value, written)
    if _ABSTRACT.match(expanded):
        raise ValueError(
            f"must be a path: the daemon's socket is a file, not an abstract socket such as "
            f"{shown(written)}"
        )
    if _NETWORK.match(expanded):
        raise ValueError(
            f"must be the path of a Unix socket: the daemon does not listen at a network address "
            f"such as {shown(written)}"
        )
    path = os.path.expanduser(re.sub("^unix:(//)?", "", expanded))  # noqa: PTH111 - Path's raises
    if path.startswith("~"):
        raise ValueError(f"begins with the home folder of an unknown user: {shown(written)}")
    if expanded.startswith("unix://") and not path.startswith("/"):
        raise ValueError(
            f"must have an absolute path after unix://, as in unix:///run/agboxd.sock, not "
            f"{shown(written)}"
        )
    return unquote(path) if expanded.startswith("unix:") else path


def _value(variable: re.Match[str]) -> str:
    value = os.environ.get(variable[1] or variable[2])
    if not value:
        raise ValueError(
            f"contains {shown(variable[0])}, but that environment variable is not set: "
            f"{shown(variable.string)}"
        )
    return value
