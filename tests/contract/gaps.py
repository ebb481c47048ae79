"""The only table of what the suite cannot replay, and why.

A row that is no longer needed fails the suite. What a recorder only looked at needs no row if it
cannot be seen here: it is listed, and the replay goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .transcripts import Transcript


@dataclass(frozen=True)
class Gap:
    """A step that cannot be replayed, or a transcript that cannot pass.

    Attributes:
        transcript: The name of a transcript, or a pattern for names, as for files.
        step: The number of the step, or the text of a host step or a pattern for such texts.
            None: the whole transcript.
        reason: Why, in a sentence that will still be true next year.
    """

    transcript: str
    step: int | str | None
    reason: str

    def covers(self, transcript: Transcript, index: int) -> bool:
        """Whether it covers that step."""
        if not fnmatchcase(transcript.name, self.transcript):
            return False
        if isinstance(self.step, str):
            return fnmatchcase(transcript.steps[index].get("host", ""), self.step)
        return self.step == index


KNOWN_GAPS: tuple[Gap, ...] = ()


def gap_at(transcript: Transcript, index: int, gaps: Sequence[Gap] = KNOWN_GAPS) -> Gap | None:
    """The row for a step, if there is one."""
    return next((gap for gap in gaps if gap.covers(transcript, index)), None)


def gap_of(transcript: Transcript, gaps: Sequence[Gap] = KNOWN_GAPS) -> Gap | None:
    """The row for a whole transcript, if there is one."""
    rows = (gap for gap in gaps if gap.step is None)
    return next((gap for gap in rows if fnmatchcase(transcript.name, gap.transcript)), None)


def orphans(transcripts: Sequence[Transcript], gaps: Sequence[Gap] = KNOWN_GAPS) -> list[Gap]:
    """The rows that match nothing in these transcripts."""
    return [gap for gap in gaps if not any(_concerns(gap, item) for item in transcripts)]


def _concerns(gap: Gap, transcript: Transcript) -> bool:
    if gap.step is None:
        return fnmatchcase(transcript.name, gap.transcript)
    return any(gap.covers(transcript, index) for index in range(len(transcript.steps)))
