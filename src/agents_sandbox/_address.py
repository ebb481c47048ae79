"""Where the daemon listens, and what is wrong when it does not answer."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from pathlib import Path
from urllib.parse import quote

from . import _checks
from .errors import DaemonUnavailableError, InvalidArgumentError

# Source: sun_path of struct sockaddr_un, less its closing NUL: 108 bytes on
# Linux, 104 on macOS. Longer paths fail in gRPC with an obscure message.
MAX_PATH_BYTES = 103 if sys.platform == "darwin" else 107


class DaemonAddress:
    """The daemon's socket: given by the caller, else the platform's default.

    Args:
        socket_path: Path of the socket, or None for the default.

    Raises:
        InvalidArgumentError: The path is not text or too long for a socket.
    """

    def __init__(self, socket_path: str | os.PathLike[str] | None) -> None:
        self._given: str | None = None
        self._opened: tuple[str, str] | None = None
        if socket_path is not None:
            given = _checks.lookup_id("socket_path", _checks.path("socket_path", socket_path))
            self._given = _absolute(given)
            if len(os.fsencode(self._given)) > MAX_PATH_BYTES:
                raise InvalidArgumentError(
                    f"socket_path is {len(os.fsencode(self._given))} bytes long, a socket's path "
                    f"may have {MAX_PATH_BYTES}: {self._given}"
                )

    def resolve(self) -> tuple[str, str]:
        """Return the path and where it comes from, in words.

        Raises:
            DaemonUnavailableError: No default can be derived from the
                environment, or it is too long for a socket.
        """
        if self._given is not None:
            return self._given, "socket_path="
        path, origin = _default_path()
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise _unavailable(
                path, f"the path from {origin} is over {MAX_PATH_BYTES} bytes: pass socket_path="
            )
        return path, origin

    def target(self) -> str:
        """The address in gRPC's syntax, which percent-decodes what follows the scheme."""
        self._opened = self.resolve()
        # With both slashes: else gRPC takes the first part of a path that
        # begins with `//` for a host.
        return "unix://" + quote(os.fsencode(self._opened[0]))

    def socket_identity(self) -> tuple[int, ...] | None:
        """What changes when another daemon listens: that of the file; None without a file."""
        try:
            found = Path((self._opened or self.resolve())[0]).stat()
        except OSError:
            return None
        # The number of a file may be given again, and a chmod makes no other daemon.
        return found.st_dev, found.st_ino, found.st_mtime_ns

    def unavailable(self, detail: str) -> DaemonUnavailableError:
        """Describe why no daemon answers, by looking at the socket now.

        Args:
            detail: What gRPC said, kept for what the look does not explain.
        """
        # The path that was tried, whatever the environment says by now.
        path, origin = self._opened or self.resolve()
        what, may_change = _diagnose(path, detail)
        error = _unavailable(path, f"{what} (path from {origin})")
        error.retryable = may_change
        return error

    def somebody_listens(self) -> bool:
        """Whether the socket takes connections now."""
        try:
            return _knock((self._opened or self.resolve())[0]) is None
        except DaemonUnavailableError:
            return False


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)  # noqa: PTH100 - resolve() follows links
    except FileNotFoundError as error:
        raise InvalidArgumentError(
            f"socket_path is relative, and the current folder is gone: {path}"
        ) from error


def _unavailable(path: str | None, message: str) -> DaemonUnavailableError:
    error = DaemonUnavailableError(
        f"no agents-sandbox daemon at {path}: {message}" if path else message, code="UNAVAILABLE"
    )
    error.socket_path = path
    return error


# Source: the daemon's socket rules. Linux knows no fallback; on macOS releases
# differ, and the first path that exists is taken.
def _default_path() -> tuple[str, str]:
    runtime_dir = os.environ.get("XDG_RUNTIME_DIR")
    candidates: list[tuple[str, str]] = []
    if runtime_dir:
        candidates.append((f"{runtime_dir}/agbox/agboxd.sock", "XDG_RUNTIME_DIR"))
    if sys.platform == "darwin":
        for name in ("agboxd.sock", "run/agboxd.sock"):
            path = f"~/Library/Application Support/agbox/{name}"
            candidates.append((os.path.expanduser(path), "the default of macOS"))  # noqa: PTH111 - Path's raises
    if not candidates:
        raise _unavailable(
            None,
            "the daemon's socket cannot be located: XDG_RUNTIME_DIR is not set. "
            "Set it as for the daemon, or pass socket_path=",
        )
    # Unlike Path.exists(), this does not raise where a folder may not be read.
    path, origin = next((c for c in candidates if os.path.lexists(c[0])), candidates[0])
    return _absolute(path), origin


def _diagnose(path: str, detail: str) -> tuple[str, bool]:
    """Say what is wrong, and whether it may be another thing in a moment."""
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        folder = Path(path).parent
        missing = "the socket does not exist" if folder.is_dir() else f"folder {folder} is missing"
        return f"{missing}. Is the daemon running? Start agboxd", True
    except PermissionError:
        return "permission denied on the way to it. Run as the daemon's user", False
    except OSError as error:
        return f"{error.strerror}", False
    if not stat.S_ISSOCK(mode):
        return "it is not a socket. Pass the path of the daemon's socket", False
    unclear = (
        f"somebody listens there, but the connection failed ({detail}). "
        "It may be going down, or be no daemon at all"
    )
    return _knock(path) or (unclear, True)


def _knock(path: str) -> tuple[str, bool] | None:
    """Try to connect, without waiting; say what is wrong, or None if somebody listens."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            probe.connect(path)
    except PermissionError:
        return "permission denied. Run as the daemon's user", False
    except BlockingIOError:
        return None  # somebody listens, with many waiting already
    except ConnectionRefusedError:
        return "nobody listens there, the socket is stale. Start agboxd", True
    except OSError as error:
        return f"{error.strerror}", error.errno in (errno.EMFILE, errno.ENFILE)
    return None
