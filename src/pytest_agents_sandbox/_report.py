"""What pytest's report of a failed test shows of its daemons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from agents_sandbox.testing import ExecRecord, FakeDaemon

SECTION = "agents-sandbox"
"""The title of the section."""
_LAST = 20
"""How many calls to show, and how many execs."""
_LONGEST = 300
"""How much of an argv, an error and stderr to show, in characters."""


class Watched:
    """A daemon of a test, as its report describes it."""

    def __init__(self, daemon: FakeDaemon) -> None:
        self._daemon = daemon
        self._final: tuple[str, str] | None = None

    def describe(self, error: str) -> str:
        """Describe what the daemon did, without what the error of the test says."""
        done, unscripted = self._final or _described(self._daemon)
        return done if unscripted in error else f"{done}\n{unscripted}"

    def freeze(self) -> None:
        """Keep the description: the daemon is about to forget."""
        self._final = self._final or _described(self._daemon)


_WATCHED = pytest.StashKey[list[Watched]]()


def watch(item: pytest.Item, daemon: FakeDaemon) -> Watched:
    """Describe a daemon if the test fails."""
    watched = Watched(daemon)
    item.stash.setdefault(_WATCHED, []).append(watched)
    return watched


def descriptions(item: pytest.Item, error: str) -> Iterator[str]:
    """Describe the daemons of a test, without what its error says."""
    return (watched.describe(error) for watched in item.stash.get(_WATCHED, []))


def _described(daemon: FakeDaemon) -> tuple[str, str]:
    """Describe what a daemon did, and its unscripted commands."""
    calls = [call for call in daemon.calls if call.method != "Ping"]
    shown = calls[-_LAST:]
    which = f"last {_LAST} of {len(calls)} calls" if len(calls) > _LAST else f"{len(calls)} calls"
    lines = [f"fake daemon {daemon.version}: {which}, without pings"]
    lines += [f"  {call}" for call in shown]
    lines += [_described_exec(item) for item in daemon.execs[-_LAST:]]
    return "\n".join(lines), _unscripted(daemon)


def _unscripted(daemon: FakeDaemon) -> str:
    try:
        daemon.assert_all_scripted()
    except AssertionError as error:
        return str(error)
    return ""


def _described_exec(item: ExecRecord) -> str:
    code = "" if item.exit_code is None else f", exit code {item.exit_code}"
    # The list of unscripted commands has the other lines of theirs.
    error, more, _ = (item.error or "").partition("\n")
    why = f", {error:.{_LONGEST}}{more and ' ...'}" if error and not item.exit_code else ""
    line = f"  exec {item.exec_id}: {item.argv!r:.{_LONGEST}}: {item.state.name}{code}{why}"
    stderr = item.stderr.strip()
    return f"{line}\n    stderr: {stderr[-_LONGEST:]}" if stderr else line
