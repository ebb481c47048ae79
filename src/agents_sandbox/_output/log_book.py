"""Where the logs of execs are: only the answers to creates tell it."""

from __future__ import annotations

import os
from collections import OrderedDict

from .._arguments.creates import NO_LOGS, LogPaths
from .._shared.facts import ID
from ..errors import OutputUnavailableError
from .log_file import no_log_root

# So many newer execs, and the paths of one are derived from the log root, as those of others are.
_REMEMBERED = 1024


class LogBook:
    """The log paths that one daemon has told a client, and what follows from them.

    Recorded: the logs of an exec are `<root>/<sandbox_id>/<exec_id>.stdout.log` and `.stderr.log`.
    The root follows from one exec that was created; with a template of its own, a daemon has none.
    """

    def __init__(self) -> None:
        self._recent: OrderedDict[str, LogPaths] = OrderedDict()
        self._root: str | None = None
        self._keeps_none = False

    def note(self, sandbox_id: str, exec_id: str, logs: LogPaths) -> LogPaths:
        """Note the answer to a create, and return it."""
        self._keeps_none = logs == NO_LOGS
        self._root = _root(sandbox_id, exec_id, logs)
        self._remember(exec_id, logs)
        return logs

    def note_lost(self, sandbox_id: str, exec_id: str) -> LogPaths:
        """Note an exec whose answer was lost; return its paths if they follow from the root."""
        logs = self._derived(sandbox_id, exec_id)
        if logs != NO_LOGS:
            self._remember(exec_id, logs)
        return logs

    def find(self, sandbox_id: str, exec_id: str) -> LogPaths:
        """Return the paths of an exec: if this client created it, or if its files are there."""
        logs = self._recent.get(exec_id)
        if logs is not None:
            return logs
        logs = self._derived(sandbox_id, exec_id)
        there = logs.stdout is not None and os.path.lexists(logs.stdout)
        return logs if there else NO_LOGS

    def where(self, sandbox_id: str, exec_id: str) -> LogPaths:
        """Return the paths at which the logs of an exec are, or would be if there were any.

        Raises:
            OutputUnavailableError: The daemon keeps none, or they are unknown.
        """
        logs = self._recent.get(exec_id) or self._derived(sandbox_id, exec_id)
        if logs.stdout is not None:
            return logs
        if self._keeps_none:
            raise no_log_root()
        raise OutputUnavailableError(
            message="the path of the log file is unknown: the daemon tells it only to the client "
            "that creates the exec. Once this client has run any command, it can derive it",
            problem="unknown_path",
        )

    def _remember(self, exec_id: str, logs: LogPaths) -> None:
        self._recent[exec_id] = logs
        while len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)

    # The ids may be those that a peer reports, and must not lead out of the root.
    def _derived(self, sandbox_id: str, exec_id: str) -> LogPaths:
        if self._root is None or not (ID.fullmatch(sandbox_id) and ID.fullmatch(exec_id)):
            return NO_LOGS
        return _paths(self._root, sandbox_id, exec_id)


def _paths(root: str, sandbox_id: str, exec_id: str) -> LogPaths:
    stem = f"{root}/{sandbox_id}/{exec_id}"
    return LogPaths(f"{stem}.stdout.log", f"{stem}.stderr.log")


def _root(sandbox_id: str, exec_id: str, logs: LogPaths) -> str | None:
    end = f"/{sandbox_id}/{exec_id}.stdout.log"
    root = (logs.stdout or "").removesuffix(end)
    return root if root.startswith("/") and _paths(root, sandbox_id, exec_id) == logs else None
