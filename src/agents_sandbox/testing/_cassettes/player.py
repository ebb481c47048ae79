"""Which recorded take a command gets; nothing runs here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..._shared.shown import shown
from .._commands.command import ARGV_LIMIT, Command
from .._commands.on_exec import Plan, StartFailure, Wait, Write
from .cassette import Cassette, RecordedSandbox, Take, exec_name, sandbox_name
from .closest import Asked, closest, difference, is_of
from .replacing import matches


class _Track:
    """One recorded sandbox and what was played of it."""

    def __init__(self, name: str, sandbox: RecordedSandbox) -> None:
        self.name = name
        self.image = sandbox.image
        self.takes = sandbox.takes
        self.is_expected = False
        """Whether a new sandbox is probably this one."""
        self.explained: set[int] = set()
        """The takes that a report has shown in place of another command."""
        self.hold(None, [])

    def hold(self, sandbox_id: str | None, asked: Sequence[Asked]) -> None:
        """Be a sandbox that has asked for these commands, or be free."""
        self.sandbox_id = sandbox_id
        self.asked = list(asked)
        self.played = self.fit(asked) or []

    def fit(self, commands: Sequence[Asked]) -> list[int] | None:
        """Return the takes that commands get, one after the other; None: there are too few."""
        played: list[int] = []
        for command in commands:
            index = self.next_take(command, played)
            if index is None:
                return None
            played.append(index)
        return played

    def next_take(self, command: Asked, played: Sequence[int]) -> int | None:
        """Return the first take of a command that was not played."""
        indices = (
            index
            for index, take in enumerate(self.takes)
            if is_of(take, command) and index not in played
        )
        return next(indices, None)

    def unused(self) -> Iterator[str]:
        if not self.takes and not self.is_expected:
            yield f"{self.name}, never created"
        for index, take in enumerate(self.takes):
            if index not in self.played and index not in self.explained:
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
        self._expected: dict[str, _Track] = {}
        """What each sandbox is unless its commands are those of another."""

    def add(self, sandbox_id: str, image: str) -> None:
        """Expect a new sandbox to be the next recorded one with its image."""
        for track in self._tracks:
            if not track.is_expected and matches(track.image, image):
                track.is_expected = True
                self._expected[sandbox_id] = track
                return

    def plan_for(self, command: Command, stdin: bytes) -> Plan | None:
        """Use the next take of a command; None: there is none."""
        take = self._next_take(command.sandbox_id, Asked.of(command, stdin))
        return None if take is None else _plan(take, keep_durations=self._keep_durations)

    def _next_take(self, sandbox_id: str, command: Asked) -> Take | None:
        own = self._track_of(sandbox_id)
        if own is not None and (index := own.next_take(command, own.played)) is not None:
            own.asked.append(command)
            own.played.append(index)
            return own.takes[index]
        # Sandboxes that are made at the same time are ready in any order: commands tell them apart.
        asked = [*(own.asked if own else ()), command]
        for track in self._others(sandbox_id):
            if track.next_take(command, ()) is None or track.fit(asked) is None:
                continue
            if track.sandbox_id is None or (own and own.fit(track.asked) is not None):
                if own is not None:
                    own.hold(track.sandbox_id, track.asked)
                track.hold(sandbox_id, asked)
                return track.takes[track.played[-1]]
        return None

    def _track_of(self, sandbox_id: str) -> _Track | None:
        return next((track for track in self._tracks if track.sandbox_id == sandbox_id), None)

    def _others(self, sandbox_id: str) -> Iterator[_Track]:
        """Yield what a sandbox can be besides what it is now, the most probable first."""
        expected = self._expected.get(sandbox_id)
        if expected is not None:
            alike = (track for track in self._tracks if track.image == expected.image)
            for track in (expected, *alike):
                if track.sandbox_id != sandbox_id:
                    yield track

    def explain(self, command: Command, stdin: bytes) -> list[str]:
        """Say what comes closest to a command that has no take, in lines."""
        asked = Asked.of(command, stdin)
        own = self._track_of(command.sandbox_id)
        expected = own or self._expected.get(command.sandbox_id)
        if expected is None:
            image = shown(command.spec.image)
            return [f"{self._where} has no further sandbox with the image {image}"]
        # Those of its own sandbox first, and those that nothing else has been.
        candidates = [
            (track, index)
            for track in sorted(self._tracks, key=lambda track: track is not expected)
            for index in range(len(track.takes))
        ]
        candidates.sort(key=lambda item: item[1] in (*item[0].played, *item[0].explained))
        found = closest([track.takes[index] for track, index in candidates], asked)
        if found is None:
            return [f"{self._where} has no commands"]
        track, index = candidates[found]
        take = track.takes[index]
        name = f"{exec_name(index)} of {track.name} in {self._where}"
        if not is_of(take, asked):
            track.explained.add(index)
            return [f"{name}:", *difference(take, asked)]
        if track is not own:
            also = f"this sandbox is {own.name}" if own else "another sandbox has replayed it"
            return [f"{name}, but {also}"]
        count = sum(is_of(other, asked) for other in track.takes)
        return [f"{name}, but all its takes were played ({count} of {count})"]

    def unused(self) -> list[str]:
        """One line for each take that was never played."""
        return [f"{self._where}: {line}" for track in self._tracks for line in track.unused()]


def _plan(take: Take, *, keep_durations: bool) -> Plan:
    waits = (Wait(take.seconds),) if keep_durations else ()
    if take.error:
        return Plan(waits, StartFailure(take.error))
    writes = Write("stdout", take.stdout or b""), Write("stderr", take.stderr or b"")
    return Plan((*writes, *waits), take.exit_code)
