"""Which recorded take a command gets, and what a failure says; nothing runs here."""

from __future__ import annotations

import difflib
import json
import posixpath
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from ..._shared.shown import shortened, shown
from .._commands.command import ARGV_LIMIT, Command
from .._commands.on_exec import Plan, StartFailure, Wait, Write
from .._protocol.spec import WORKSPACE
from .cassette import Cassette, RecordedSandbox, Take, exec_name, sandbox_name
from .replacing import matches

_NOT_PLAYED = 0.2
"""How much more a take that was not played is like a command."""


class _Track:
    """One recorded sandbox and what was played of it."""

    def __init__(self, name: str, sandbox: RecordedSandbox) -> None:
        self.name = name
        self.image = sandbox.image
        self.takes = sandbox.takes
        self.played: set[int] = set()
        self.sandbox_id: str | None = None

    def next_take(self, argv: tuple[str, ...], cwd: str) -> Take | None:
        """Use the first take of a command that was not played."""
        for index, take in enumerate(self.takes):
            if index not in self.played and _is_of(take, argv, cwd):
                self.played.add(index)
                return take
        return None

    def unused(self) -> Iterator[str]:
        for index, take in enumerate(self.takes):
            if index not in self.played:
                argv = shown(take.argv, ARGV_LIMIT)
                yield f"{exec_name(index)} of {self.name}, never played: {argv}, cwd {take.cwd!r}"


class Player:
    """Plays a cassette for the commands of one daemon; use it in the daemon's thread only.

    Args:
        cassette: The cassette.
        where: Its path, for messages.
        keep_durations: Whether commands take as long as they did.
    """

    def __init__(self, cassette: Cassette, where: str, *, keep_durations: bool) -> None:
        self._cassette = cassette
        self._where = shown(where, 300)
        self._keep_durations = keep_durations
        self.rewind()

    def rewind(self) -> None:
        """Begin again, with sandboxes that are yet to be created."""
        self._tracks = [
            _Track(sandbox_name(index), sandbox)
            for index, sandbox in enumerate(self._cassette.sandboxes)
            if sandbox.was_ready
        ]

    def claim(self, sandbox_id: str, image: str) -> None:
        """Let a new sandbox be the next recorded one with its image."""
        for track in self._tracks:
            if track.sandbox_id is None and matches(track.image, image):
                track.sandbox_id = sandbox_id
                return

    def plan_for(self, command: Command) -> Plan | None:
        """Use the next take of a command; None: there is none."""
        track = self._track_of(command)
        take = None if track is None else track.next_take(command.argv, _cwd(command))
        return None if take is None else _plan(take, keep_durations=self._keep_durations)

    def _track_of(self, command: Command) -> _Track | None:
        own = (track for track in self._tracks if track.sandbox_id == command.sandbox_id)
        return next(own, None)

    def explain(self, command: Command) -> list[str]:
        """Say what comes closest to a command that has no take, in lines."""
        own = self._track_of(command)
        if own is None:
            image = shown(command.spec.image)
            return [f"{self._where} has no further sandbox with the image {image}"]
        cwd = _cwd(command)
        candidates = [
            (
                _likeness(take, command.argv, cwd) + _NOT_PLAYED * (index not in track.played),
                track is own,
                -index,
                track,
            )
            for track in self._tracks
            for index, take in enumerate(track.takes)
        ]
        if not candidates:
            return [f"{self._where} has no commands"]
        _, _, index, track = max(candidates, key=lambda item: item[:3])
        take = track.takes[-index]
        name = f"{exec_name(-index)} of {track.name} in {self._where}"
        if not _is_of(take, command.argv, cwd):
            return [f"{name}:", *_diff(take, command.argv, cwd)]
        if track is not own:
            return [f"{name}, but this sandbox is {own.name}"]
        count = sum(_is_of(other, command.argv, cwd) for other in track.takes)
        return [f"{name}, but all its takes were played ({count} of {count})"]

    def unused(self) -> list[str]:
        """One line for each take that was never played."""
        return [f"{self._where}: {line}" for track in self._tracks for line in track.unused()]


def _cwd(command: Command) -> str:
    return recorded_cwd(command.cwd)


def recorded_cwd(cwd: str) -> str:
    """Return a working directory as cassettes have it."""
    return posixpath.normpath(cwd or WORKSPACE)


def _is_of(take: Take, argv: Sequence[str], cwd: str) -> bool:
    return (
        len(take.argv) == len(argv)
        and matches(take.cwd, cwd)
        and all(map(matches, take.argv, argv))
    )


def _plan(take: Take, *, keep_durations: bool) -> Plan:
    waits = (Wait(take.seconds),) if keep_durations else ()
    if take.error:
        return Plan(waits, StartFailure(take.error))
    writes = Write("stdout", take.stdout or b""), Write("stderr", take.stderr or b"")
    return Plan((*writes, *waits), take.exit_code)


def _likeness(take: Take, argv: Sequence[str], cwd: str) -> float:
    # An exact one first. Cut, because an argv can be long, and this is quadratic.
    if _is_of(take, argv, cwd):
        return 2.0
    one, other = (" ".join(words)[:ARGV_LIMIT] for words in (take.argv, argv))
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _diff(take: Take, argv: Sequence[str], cwd: str) -> list[str]:
    recorded, played = (_lines(*command) for command in (take.command, (argv, cwd)))
    lines = difflib.ndiff(recorded, played)
    return [shortened(f"  {line}", ARGV_LIMIT) for line in lines if not line.startswith("?")]


def _lines(argv: Sequence[str], cwd: str) -> list[str]:
    # Long words have many lines, and a difference is then found within them.
    words = [line for word in argv for line in word.split("\n")]
    shown_words = [json.dumps(word[:ARGV_LIMIT], ensure_ascii=False) for word in words]
    return [*shown_words[:100], f"cwd {cwd}"]
