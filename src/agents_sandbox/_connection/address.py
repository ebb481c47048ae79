"""Where the daemon listens, and a diagnosis if it does not answer."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import sys
from typing import TYPE_CHECKING, NamedTuple

from .._arguments import checks
from .._arguments.environment import SOCKET, variable
from .._shared.shown import shortened, shown
from .._shared.socket_path import plain_path
from ..errors import DaemonUnavailableError, InvalidArgumentError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..errors import _Facts

# Source: sun_path of struct sockaddr_un, less its closing NUL: 108 bytes on
# Linux, 104 on macOS. Longer paths fail in gRPC with an obscure message.
MAX_PATH_BYTES = 103 if sys.platform == "darwin" else 107


class Trouble(NamedTuple):
    """Why nobody can connect to a socket."""

    what: str
    advice: str = ""
    may_change: bool = False
    """Whether it may be over in a moment, without a change by people."""

    def __str__(self) -> str:
        return f"{self.what}. {self.advice}" if self.advice else self.what


class DaemonAddress:
    """The daemon's socket: the caller's path or the platform's default.

    Args:
        socket_path: Path of the socket, in any form that `plain_path` knows; None: that of the
            environment variable, or else the default.

    Raises:
        InvalidArgumentError: It is not text, names no file, or is too long for a socket.
    """

    def __init__(self, socket_path: str | os.PathLike[str] | None) -> None:
        self._given: str | None = None
        self._opened: tuple[str, str] | None = None
        name, self._origin = "socket_path", "socket_path="
        if socket_path is None:
            socket_path, name, self._origin = variable(SOCKET), SOCKET, SOCKET
        if socket_path is not None:
            self._given = _absolute(name, _checked(name, socket_path))
            if len(os.fsencode(self._given)) > MAX_PATH_BYTES:
                raise InvalidArgumentError(
                    f"{name} has {len(os.fsencode(self._given))} bytes, over the limit of "
                    f"{MAX_PATH_BYTES} for a socket: {shown(self._given)}. Use a shorter path"
                )

    def resolve(self) -> tuple[str, str]:
        """Return the path and where it comes from, for messages.

        Raises:
            DaemonUnavailableError: No default can be derived from the
                environment, or it is too long for a socket.
        """
        if self._given is not None:
            return self._given, self._origin
        path, origin = _default_path()
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise _unavailable(
                path, f"the path from {origin} is over {MAX_PATH_BYTES} bytes. Pass socket_path="
            )
        return path, origin

    @property
    def known_path(self) -> str | None:
        """The path as far as it is known without a look at the environment."""
        return self._given if self._opened is None else self._opened[0]

    def target(self) -> str:
        """The address in gRPC's syntax, which percent-decodes what follows the scheme."""
        self._opened = self.resolve()
        # Without the two slashes, gRPC would take the first part of a path that begins with `//`
        # for a host.
        return "unix://" + _percent_encoded(os.fsencode(self._opened[0]))

    def socket_identity(self) -> tuple[int, ...] | None:
        """The identity of the socket file, which changes with the daemon; None without a file."""
        try:
            found = os.stat((self._opened or self.resolve())[0])
        except OSError:
            return None
        # Inode numbers are reused, so the time counts too: that of the content, which a chmod
        # leaves alone.
        return found.st_dev, found.st_ino, found.st_mtime_ns

    def unavailable(self, detail: str, **facts: Unpack[_Facts]) -> DaemonUnavailableError:
        """Inspect the socket now and make the error that says why no daemon answers.

        Args:
            detail: gRPC's message; shown if the socket does not explain the failure.
            facts: Further facts of the error.
        """
        # The path that was opened, even if the environment has changed since.
        path, origin = self._opened or self.resolve()
        trouble = _diagnose(path)
        quoted = "" if trouble else f" ({shortened(detail)})"
        what, advice, may_change = trouble or _ACCEPTS
        text = f"{Trouble(f'{what}{quoted}', advice)} (path from {origin})"
        error = _unavailable(path, text, may_change, **facts)
        error._trouble = what  # noqa: SLF001 - ours
        return error

    def trouble(self) -> Trouble | None:
        """Inspect the socket now; None if it accepts connections.

        Raises:
            DaemonUnavailableError: As in `resolve`.
        """
        return _diagnose((self._opened or self.resolve())[0])

    def accepts_connections(self) -> bool:
        """Whether the socket accepts connections now."""
        try:
            return _try_to_connect((self._opened or self.resolve())[0]) is None
        except DaemonUnavailableError:
            return False


def _checked(name: str, socket_path: str | os.PathLike[str]) -> str:
    written = checks.lookup_id(name, checks.path(name, socket_path))
    try:
        path = plain_path(written)
    except ValueError as error:
        raise InvalidArgumentError(f"{name} {error}") from None
    return checks.path(name, path)  # a URL can contain anything


def _absolute(name: str, path: str) -> str:
    try:
        return os.path.abspath(path)
    except FileNotFoundError as error:
        raise InvalidArgumentError(
            f"{name} is relative, but the current folder no longer exists: "
            f"{shown(path)}. Pass an absolute path"
        ) from error


def _percent_encoded(path: bytes) -> str:
    return re.sub(rb"[^\w.~/-]", lambda byte: b"%%%02X" % ord(byte[0]), path).decode("ascii")


def _unavailable(
    path: str | None, message: str, retryable: bool = True, **facts: Unpack[_Facts]
) -> DaemonUnavailableError:
    facts.setdefault("code", "UNAVAILABLE")
    return DaemonUnavailableError(
        f"no agents-sandbox daemon at {shortened(path)}: {message}" if path else message,
        socket_path=path,
        retryable=retryable,
        **facts,
    )


# Source: the daemon's socket rules. Linux has no fallback. On macOS the releases use different
# paths; the first one that exists applies.
def _default_path() -> tuple[str, str]:
    runtime_dir = os.environ.get("XDG_RUNTIME_DIR")
    candidates: list[tuple[str, str]] = []
    if runtime_dir:
        candidates.append((f"{runtime_dir}/agbox/agboxd.sock", "XDG_RUNTIME_DIR"))
    if sys.platform == "darwin":
        for name in ("agboxd.sock", "run/agboxd.sock"):
            path = f"~/Library/Application Support/agbox/{name}"
            candidates.append((os.path.expanduser(path), "the default of macOS"))
    if not candidates:
        raise _unavailable(
            None,
            "the daemon's socket cannot be located: XDG_RUNTIME_DIR is not set. "
            "Set it to the daemon's value or pass socket_path=",
        )
    # Unlike Path.exists(), this does not raise if a folder cannot be read.
    path, origin = next((c for c in candidates if os.path.lexists(c[0])), candidates[0])
    return _absolute("socket_path", path), origin


_ACCEPTS = Trouble(
    "the socket accepts connections, but the call failed",
    "The daemon may be shutting down, or the peer is not a daemon",
    True,
)
_START = "Is the daemon running? Start agboxd"


def _diagnose(path: str) -> Trouble | None:
    """Return what is wrong, or None if the socket accepts connections."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return _missing(path)
    except PermissionError:
        return Trouble("permission denied for one of its folders", "Run as the daemon's user")
    except OSError as error:
        return Trouble(f"{error.strerror}")
    if not stat.S_ISSOCK(mode):
        return Trouble("it is not a socket", "Pass the path of the daemon's socket")
    return _try_to_connect(path)


def _missing(path: str) -> Trouble:
    folder = os.path.dirname(path)
    found = os.path.isdir(folder)
    what = "the socket does not exist" if found else f"folder {folder} is missing"
    return Trouble(what, _START, True)


def _try_to_connect(path: str) -> Trouble | None:
    """Try to connect without waiting; return what is wrong, or None if the socket accepts."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            probe.connect(path)
    except PermissionError:
        return Trouble("permission denied", "Run as the daemon's user")
    except BlockingIOError:
        return None  # its queue of new connections is full
    except FileNotFoundError:  # since a moment ago: the daemon is shutting down
        return _missing(path)
    except ConnectionRefusedError:
        return Trouble("nothing listens there: the socket is stale", "Start agboxd", True)
    except OSError as error:
        may_change = error.errno in (errno.EMFILE, errno.ENFILE)
        return Trouble(f"{error.strerror}", may_change=may_change)
    except Exception as error:  # noqa: BLE001 - of a plugin that forbids sockets in tests
        why = f"{type(error).__name__}: {error}"
        return Trouble(f"the socket cannot be checked ({why})", _START, True)
    return None
