"""The daemon's private folder: its socket, logs and sandboxes, unless they have other places."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from ..._connection.address import MAX_PATH_BYTES
from ..._shared.trees import remove_tree
from .._commands.strays import kill_strays
from .._host.folders import opened_folder
from .._host.locks import is_at

_PREFIX = "agboxd-"
# Locked as long as its process lives. Only folders of fake daemons have a file of that name.
_LOCK = "fake-agboxd.lock"


class PrivateFolder:
    """A folder with a short path that only this user can enter.

    The first one of a process removes those that killed processes have left.
    """

    def __init__(self) -> None:
        roomy = len(os.fsencode(tempfile.gettempdir())) <= MAX_PATH_BYTES // 2
        base = tempfile.gettempdir() if roomy else "/tmp"  # noqa: S108 - what is made is private
        remove_abandoned(base)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        self.sandboxes = _sandboxes(self.path)
        self._owner = os.getpid()
        self._lock = _lock_new(self.path)

    def remove(self) -> None:
        """Remove the folder; in a forked child, leave it to the parent."""
        if os.getpid() == self._owner:
            remove_tree(self.path)
        os.close(self._lock)


def _sandboxes(folder: Path) -> Path:
    return folder / "sandboxes"


def _host() -> bytes:
    return os.fsencode(os.uname().nodename)


def _lock_new(folder: Path) -> int:
    new = folder / f"{_LOCK}.new"
    lock = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.write(lock, _host())
    with suppress(OSError):  # where there are no locks, an abandoned folder stays
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Not before: an unlocked one of that name belongs to a process that has ended.
        new.rename(folder / _LOCK)
    return lock


@cache
def remove_abandoned(base: str) -> None:
    """Remove the private folders of this user whose processes have ended without doing it.

    Also kill the commands of their sandboxes that are still running.
    """
    with suppress(OSError), os.scandir(base) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX):
                with suppress(OSError):  # not a folder, not ours, or in use
                    _remove_if_abandoned(Path(entry.path))


def _remove_if_abandoned(folder: Path) -> None:
    with opened_folder(folder) as descriptor:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
            return
        lock = os.open(_LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # On a file system that hosts share, a lock may be known to one of them only.
            if os.read(lock, 1000) == _host() and is_at(folder / _LOCK, os.fstat(lock)):
                kill_strays(_sandboxes(folder))
                remove_tree(folder)
        finally:
            os.close(lock)
