"""Which take comes closest to a command that has none, and how they differ; pure."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher, unified_diff
from itertools import groupby, zip_longest
from types import MappingProxyType
from typing import NamedTuple

from .._commands.command import Command
from .._protocol.spec import WORKSPACE
from .cassette import Take
from .replacing import matches, narrowed

# What is shown must be found while the daemon's other calls wait: a few milliseconds each.
_COMPARED_TAKES = 1000
_COMPARED_CLOSELY = 3
_COMPARED_LINES = 200
_COMPARED_CHARACTERS = 200
_SHOWN_LINES = 30
_SHOWN_RUN = 5
"""How many removed or added lines in a row: both kinds must be seen."""
_CONTEXT = 2
_WIDTH = 100
"""Characters; a longer line is several ones, so that a difference is found within it."""


class Asked(NamedTuple):
    """A command, as cassettes have it."""

    argv: tuple[str, ...]
    cwd: str
    input: bytes
    known: Mapping[str, str] = MappingProxyType({})
    """What stands here for placeholders of variables."""
    exec_id: str = ""

    @classmethod
    def of(cls, command: Command, stdin: bytes, known: Mapping[str, str]) -> Asked:
        """Make it of a command of the daemon."""
        return cls(command.argv, recorded_cwd(command.cwd), stdin, known, command.exec_id)

    def matches(self, recorded: str, text: str) -> bool:
        """Return whether a text of this command is a recorded one."""
        return matches(narrowed(recorded, self.known), text)

    def has_input_of(self, take: Take) -> bool:
        """Return whether its input is the recorded one."""
        if take.input is None:
            return True
        known = {key: _as_text(value.encode()) for key, value in self.known.items()}
        return matches(narrowed(_as_text(take.input), known), _as_text(self.input))


def recorded_cwd(cwd: str) -> str:
    """Return a working directory as cassettes have it."""
    return posixpath.normpath(cwd or WORKSPACE)


def is_of(take: Take, command: Asked) -> bool:
    """Return whether a take is one of a command."""
    return (
        len(take.argv) == len(command.argv)
        and command.matches(take.cwd, command.cwd)
        and all(map(command.matches, take.argv, command.argv))
        and command.has_input_of(take)
    )


def _as_text(data: bytes) -> str:
    return data.decode("latin-1")  # as it is: there is a character for each byte


def closest(takes: Sequence[Take], command: Asked) -> int | None:
    """Return the index of the take that is most like a command; of equal ones, the first."""
    exact = (index for index, take in enumerate(takes) if is_of(take, command))
    if (found := next(exact, None)) is not None:
        return found
    matcher = SequenceMatcher(None, autojunk=False)
    matcher.set_seq2(_compared(command.argv, command.input))

    def upper_bound(index: int) -> float:
        matcher.set_seq1(_compared(takes[index].argv, takes[index].input))
        return matcher.quick_ratio()

    def likeness(index: int) -> float:
        matcher.set_seq1(_compared(takes[index].argv, takes[index].input))
        return matcher.ratio()

    indices = range(min(len(takes), _COMPARED_TAKES))
    best = sorted(indices, key=upper_bound, reverse=True)[:_COMPARED_CLOSELY]
    return max(sorted(best), key=likeness, default=None)


def _compared(argv: Sequence[str], stdin: bytes | None) -> str:
    # Cut, because both can be long, and the comparison is quadratic.
    text = _as_text((stdin or b"")[:_COMPARED_CHARACTERS])
    return f"{' '.join(argv)[:_COMPARED_CHARACTERS]}\n{text}"


def difference(take: Take, command: Asked) -> list[str]:
    """Show how a command differs from a take: the first changes, and what stands around them."""
    # What stands in place of a placeholder is no difference, and may be a secret.
    pairs = zip_longest(take.argv[: len(command.argv)], command.argv)
    argv = [
        text if text is not None and command.matches(text, word) else word for text, word in pairs
    ]
    cwd = take.cwd if command.matches(take.cwd, command.cwd) else command.cwd
    stdin = take.input if command.has_input_of(take) else command.input
    recorded = list(_lines(take.argv, take.cwd, take.input))
    played = list(_lines(argv, cwd, stdin))
    begin = _common(recorded, played)
    start = max(begin - _CONTEXT, 0)
    lines = unified_diff(
        recorded[start : start + _COMPARED_LINES],
        played[start : start + _COMPARED_LINES],
        n=_CONTEXT,
        lineterm="",
    )
    # Without the names of files and the numbers of lines.
    changes = (line for line in list(lines)[2:] if not line.startswith("@@"))
    runs = groupby(changes, key=lambda line: line[0])
    shown = [line for sign, run in runs for line in _shown_run(sign, list(run))]
    return shown if len(shown) <= _SHOWN_LINES else [*shown[:_SHOWN_LINES], "  ..."]


def _shown_run(sign: str, lines: Sequence[str]) -> list[str]:
    shown = [f"  {sign} {line[1:]}" for line in lines[:_SHOWN_RUN]]
    more = len(lines) - _SHOWN_RUN
    return [*shown, f"  {sign} ... {more} more"] if more > 0 else shown


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    differing = (index for index, (left, right) in pairs if left != right)
    return next(differing, min(len(one), len(other)))


def _lines(argv: Sequence[str], cwd: str, stdin: bytes | None) -> Iterator[str]:
    for word in argv:
        yield from _pieces(word)
    yield f"cwd {cwd}"
    if stdin:
        yield "input"
        yield from _pieces(stdin.decode(errors="replace"))


def _pieces(word: str) -> Iterator[str]:
    """Yield the lines of a word; those after the first are indented."""
    indent = ""
    for line in word.splitlines(keepends=True) or [""]:
        for at in range(0, len(line) or 1, _WIDTH):
            yield indent + json.dumps(line[at : at + _WIDTH], ensure_ascii=False)
            indent = "  "
