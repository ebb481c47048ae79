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
        self._final: str | None = None

    def describe(self) -> str:
        """Describe what the daemon did."""
        return _described(self._daemon) if self._final is None else self._final

    def freeze(self) -> None:
        """Keep the description: the daemon is about to forget."""
        self._final = self.describe()


_WATCHED = pytest.StashKey[list[Watched]]()


def watch(item: pytest.Item, daemon: FakeDaemon) -> Watched:
    """Describe a daemon if the test fails."""
    watched = Watched(daemon)
    item.stash.setdefault(_WATCHED, []).append(watched)
    return watched


def descriptions(item: pytest.Item) -> Iterator[str]:
    """Describe the daemons of a test."""
    return (watched.describe() for watched in item.stash.get(_WATCHED, []))


def _described(daemon: FakeDaemon) -> str:
    calls = [call for call in daemon.calls if call.method != "Ping"]
    shown = calls[-_LAST:]
    which = f"last {_LAST} of {len(calls)} calls" if len(calls) > _LAST else f"{len(calls)} calls"
    lines = [f"fake daemon {daemon.version}: {which}, without pings"]
    lines += [f"  {call}" for call in shown]
    lines += [_described_exec(item) for item in daemon.execs[-_LAST:]]
    try:
        daemon.assert_all_scripted()
    except AssertionError as error:
        lines.append(str(error))
    return "\n".join(lines)


def _described_exec(item: ExecRecord) -> str:
    code = "" if item.exit_code is None else f", exit code {item.exit_code}"
    why = f", {item.error:.{_LONGEST}}" if item.error and not item.exit_code else ""
    line = f"  exec {item.exec_id}: {item.argv!r:.{_LONGEST}}: {item.state.name}{code}{why}"
    stderr = item.stderr.strip()
    return f"{line}\n    stderr: {stderr[-_LONGEST:]}" if stderr else line
