"""The forms in which users write the path of a socket; for the client and the fake daemon."""

from __future__ import annotations

import os
import re

from .shown import shown

# Patterns are text, which `re` compiles on first use: most paths are absolute and need none.

# At the beginning, as in `$XDG_RUNTIME_DIR/agbox/agboxd.sock`. Elsewhere a `$` stands for itself:
# every absolute path means what it says.
_VARIABLE = r"(?a)\$(?:(\w+)|\{([^}]*)\})"
_URL = r"(?i)unix:(//)?"
_ABSTRACT = r"(?i)@|unix:@|unix-abstract:"
# gRPC's names for addresses, and those of others: `tcp://host:1`, `dns:host`, `host:1`.
_NETWORK = r"(?i)[a-z][a-z0-9+.-]*://|(?:dns|https?|ipv[46]|tcp|vsock|xds):|[^/]*:[0-9]+$"


def plain_path(written: str) -> str:
    """Return the path that a user means: without `unix:`, a leading `~` and a leading `$NAME`.

    Args:
        written: A path or a `unix:` URL, in which `%20` is a space.

    Returns:
        The path, which may be relative.

    Raises:
        ValueError: It names no file. The message says why and lacks only the parameter's name.
    """
    if written.startswith("/"):
        return written
    url = re.match(_URL, written)
    path = _expanded(_unquoted(written[url.end() :]) if url else written)
    if re.match(_ABSTRACT, written) or path.startswith("@"):
        raise ValueError(
            f"must be a path: the daemon's socket is a file, not an abstract socket such as "
            f"{shown(written)}"
        )
    if re.match(_NETWORK, path):
        raise ValueError(
            f"must be the path of a Unix socket: the daemon does not listen at a network address "
            f"such as {shown(written)}"
        )
    if not path or (url and url[1] and not path.startswith("/")):
        raise ValueError(
            f"must have an absolute path after unix://, as in unix:///run/agboxd.sock, not "
            f"{shown(written)}"
        )
    return path


def _unquoted(written: str) -> str:
    from urllib.parse import unquote  # noqa: PLC0415 - is slow to load, and URLs are rare

    return unquote(written)


def _expanded(written: str) -> str:
    path = written
    if variable := re.match(_VARIABLE, written):
        value = os.environ.get(variable[1] or variable[2])
        if not value:
            raise ValueError(
                f"begins with {shown(variable[0])}, but that environment variable is not set: "
                f"{shown(written)}"
            )
        path = value + written[variable.end() :]
    path = os.path.expanduser(path)  # noqa: PTH111 - Path's raises
    if path.startswith("~"):
        raise ValueError(f"begins with the home folder of an unknown user: {shown(written)}")
    return path
