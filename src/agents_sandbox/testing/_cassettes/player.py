"""Which recorded take a command gets; nothing runs here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import chain

from ..._shared.shown import shown
from .._commands.command import ARGV_LIMIT, Command
from .._commands.on_exec import Plan, StartFailure, Wait, Write
from .._protocol.spec import Spec
from .cassette import Cassette, RecordedSandbox, Take, exec_name, sandbox_name
from .closest import Asked, closest, difference, is_of
from .replacing import env_placeholder, filled, matches


class _Track:
    """One recorded sandbox and what was played of it."""

    def __init__(self, name: str, sandbox: RecordedSandbox, *, in_order: bool) -> None:
        self.name = name
        self._in_order = in_order
        self.image = sandbox.image
        self.takes = sandbox.takes
        self.explained: set[int] = set()
        """The takes that a report has shown in place of another command."""
        self.sandbox_id: str | None = None
        self.played: dict[int, Asked] = {}
        """Which takes commands got, in their order."""

    def take_for(self, command: Asked, played: Collection[int]) -> int | None:
        """Return the next take of a command, rather one that has its very words."""
        free = [index for index in range(len(self.takes)) if index not in played]
        if self._in_order:
            del free[1:]
        exact = (index for index in free if self.takes[index].argv == command.argv)
        fitting = (index for index in chain(exact, free) if is_of(self.takes[index], command))
        return next(fitting, None)

    def played_as(self, other: _Track) -> dict[int, Asked] | None:
        """Return what of another one would have come out the same; None: something would not."""
        equal: dict[int, Asked] = {}
        for index, command in self.played.items():
            at = other.take_for(command, equal)
            if at is None or other.outcome(at) != self.outcome(index):
                return None
            equal[at] = command
        return equal

    def outcome(self, index: int) -> tuple[object, ...]:
        """Return what came out of a take, whatever the id of this sandbox was."""
        take, own = self.takes[index], f"[{self.name}]"
        outputs = (output and output.replace(own.encode(), b"") for output in take.outputs)
        return (*outputs, take.exit_code, take.error.replace(own, ""))

    def unused(self) -> Iterator[str]:
        if self.sandbox_id is None and not self.explained:
            yield f"{self.name}, never created"
            return
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
        in_order: Whether the commands of a sandbox must come in the recorded order.
    """

    def __init__(
        self, cassette: Cassette, where: str, *, keep_durations: bool, in_order: bool
    ) -> None:
        self._cassette = cassette
        self._where = shown(where, 300)
        self._keep_durations = keep_durations
        self._in_order = in_order
        self.rewind()

    def rewind(self) -> None:
        """Begin again, with sandboxes that are yet to be created."""
        self._tracks = [
            _Track(sandbox_name(index), sandbox, in_order=self._in_order)
            for index, sandbox in enumerate(self._cassette.sandboxes)
            if sandbox.was_ready
        ]
        self._variables: dict[str, str] = {}
        """The values of all variables, by what stands for them."""

    def add(self, sandbox_id: str, spec: Spec) -> None:
        """Take a new sandbox for the next recorded one with its image."""
        for envs in (spec.envs, *(container.envs for container in spec.side_containers)):
            self._note(envs)
        for track in self._tracks:
            if track.sandbox_id is None and matches(track.image, spec.image):
                track.sandbox_id = sandbox_id
                return

    def _note(self, variables: Mapping[str, str]) -> None:
        for name, value in variables.items():
            self._variables[env_placeholder(name)] = value

    def plan_for(self, command: Command, stdin: bytes) -> Plan | None:
        """Use the next take of a command; None: there is none."""
        asked = self._asked(command, stdin)
        track = self._track_for(command.sandbox_id, asked)
        if track is None:
            return None
        index = track.take_for(asked, track.played)
        assert index is not None  # noqa: S101 - for type checkers
        track.played[index] = asked
        known = {
            **asked.known,
            **{f"[{other.name}]": other.sandbox_id for other in self._tracks if other.sandbox_id},
            **{f"[{exec_name(at)}]": command.exec_id for at, command in track.played.items()},
        }
        return _plan(track.takes[index], known, keep_durations=self._keep_durations)

    def _asked(self, command: Command, stdin: bytes) -> Asked:
        self._note({**command.spec.envs, **command.env})
        return Asked.of(command, stdin, dict(self._variables))

    def _track_for(self, sandbox_id: str, command: Asked) -> _Track | None:
        """Return the recorded sandbox that has a take of a command; None: there is none."""
        own = self._track_of(sandbox_id)
        if own is None or own.take_for(command, own.played) is not None:
            return own
        # Sandboxes that are made at the same time are ready in any order: commands tell them apart.
        for track in self._tracks:
            if track is own or track.image != own.image:
                continue
            mine, theirs = own.played_as(track), track.played_as(own)
            if mine is None or theirs is None or track.take_for(command, mine) is None:
                continue
            own.sandbox_id, own.played = track.sandbox_id, theirs
            track.sandbox_id, track.played = sandbox_id, mine
            return track
        return None

    def _track_of(self, sandbox_id: str) -> _Track | None:
        return next((track for track in self._tracks if track.sandbox_id == sandbox_id), None)

    def explain(self, command: Command, stdin: bytes) -> list[str]:
        """Say what comes closest to a command that has no take, in lines."""
        asked = self._asked(command, stdin)
        own = self._track_of(command.sandbox_id)
        if own is None:
            image = shown(command.spec.image)
            return [f"{self._where} has no further sandbox with the image {image}"]
        # Those of its own sandbox first, and those that nothing else has been.
        candidates = [
            (track, index)
            for track in sorted(self._tracks, key=lambda track: track is not own)
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
            return [f"{name}, but this sandbox is {own.name}"]
        if index not in own.played:
            first = next(index for index in range(len(own.takes)) if index not in own.played)
            argv = shown(own.takes[first].argv, ARGV_LIMIT)
            return [f"{name}, but {exec_name(first)} comes before it: {argv}"]
        count = sum(is_of(other, asked) for other in track.takes)
        return [f"{name}, but all its takes were played ({count} of {count})"]

    def unused(self) -> list[str]:
        """One line for each take that was never played."""
        return [f"{self._where}: {line}" for track in self._tracks for line in track.unused()]


def _plan(take: Take, known: Mapping[str, str], *, keep_durations: bool) -> Plan:
    waits = (Wait(take.seconds),) if keep_durations else ()
    if take.error:
        return Plan(waits, StartFailure(filled(take.error.encode(), known).decode()))
    stdout, stderr = (filled(output or b"", known) for output in (take.stdout, take.stderr))
    writes = Write("stdout", stdout), Write("stderr", stderr)
    return Plan((*writes, *waits), take.exit_code)
