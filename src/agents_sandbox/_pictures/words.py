"""A sandbox's life in words: the text alternative of its picture."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from .life import FAILED, Life, Restart, Segment
from .times import duration


def heading(life: Life) -> str:
    """Name the picture."""
    return f"Timeline of sandbox {life.sandbox_id}" if life.events else "Timeline without events"


def overview(life: Life) -> str:
    """Say on one line when it was, how long it was, and what happened."""
    parts = []
    if life.begin is not None:
        zone = "" if life.begin.utcoffset() else " UTC"
        parts = [f"{life.begin.isoformat(' ', 'seconds').removesuffix('+00:00')}{zone}"]
        parts.append(duration(life.length) if life.length else "one moment")
    elif life.events:
        parts = ["times unknown, events at equal distances"]
    parts.append(counted(life.events, "event"))
    if life.outcomes:
        parts.append(f"{counted(life.outcomes.total(), 'exec')}{_failed(life.outcomes)}")
    if life.all_restarts:
        parts.append(counted(life.all_restarts, "restart"))
    return ", ".join(parts)


def totals(life: Life) -> dict[str, float]:
    """Return how long it was in each state."""
    seconds: dict[str, float] = defaultdict(float)
    for segment in life.states:
        seconds[segment.label] += segment.end - segment.begin
    return dict(seconds)


def others(life: Life) -> str:
    """Say how many execs have no bar of their own."""
    return f"{life.others_outcomes.total()} more execs"


def tally(outcomes: Counter[str]) -> str:
    """Count execs by outcome."""
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))


def counted(number: int, thing: str) -> str:
    """Return a number of things."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def lines(life: Life) -> Iterator[str]:
    """Describe the whole picture."""
    yield heading(life)
    yield overview(life)
    timed = life.begin is not None
    for segment in life.states:
        yield _line(segment.label, segment, timed)
    for one in life.execs:
        bar = Segment(one.begin, one.end, f"exec {one.name}: {one.text}", one.note)
        yield _line(bar.label, bar, timed)
    if life.others:
        yield f"{others(life)}: {tally(life.others_outcomes)}"
    for name, segments in life.services:
        for segment in segments:
            yield _line(f"service {name}: {segment.label}", segment, timed)
    if life.other_services:
        yield f"{life.other_services} more services"
    for restart in life.restarts:
        yield f"the daemon restarted{_between(restart) if timed else ''}"


def _line(what: str, part: Segment, timed: bool) -> str:
    when = ""
    if timed:
        length = part.end - part.begin
        how_long = "until the last event" if part.is_open else f"for {duration(length)}"
        when = f", after {duration(part.begin)}, {how_long}"
    return f"{what}{when}" + (f" ({part.note})" if part.note else "")


def _between(restart: Restart) -> str:
    return f", between {duration(restart.begin)} and {duration(restart.end)}"


def _failed(outcomes: Counter[str]) -> str:
    return f", {outcomes[FAILED]} failed" if outcomes[FAILED] else ""
