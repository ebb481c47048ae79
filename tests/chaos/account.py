"""A summary of all runs of a flavour, printed at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from .records import CallRecord, Followed, compare
from .truth import Truth


@dataclass
class Account:
    """The results of the runs of one flavour."""

    runs: int = 0
    calls: int = 0
    errors: int = 0
    """Calls that raised an error, which is allowed."""
    events: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    wrong_outcomes: int = 0
    leaked_streams: int = 0
    wrong_runs: list[int] = field(default_factory=list)
    """Their seeds; a run that is in progress counts as wrong."""

    def begin(self, seed: int) -> None:
        """Begin a run."""
        self.runs += 1
        self.wrong_runs.append(seed)

    def passed(self) -> None:
        """End the current run without complaints."""
        self.wrong_runs.pop()

    def add(self, calls: list[CallRecord], truth: Truth, wrong: list[str]) -> list[str]:
        """Add the events of a run; return everything that is wrong with it."""
        self.calls += len(calls)
        self.errors += sum(call.error is not None for call in calls)
        for kinds in truth.hits.values():
            self.faults.update(kinds)
        self.wrong_outcomes += len(wrong)
        self.leaked_streams += truth.leaked_streams
        wrong = [*wrong, *(line for item in truth.followed for line in self._follow(item, truth))]
        if truth.leaked_streams:
            wrong.append(f"{truth.leaked_streams} event streams are left open")
        return wrong

    def _follow(self, followed: Followed, truth: Truth) -> Iterator[str]:
        seen = compare(followed, truth.histories[followed.sandbox_id].events)
        self.events.update(vars(seen))
        if seen.wrong:
            yield f"{followed.manner} follower of {followed.sandbox_id}: {seen}"
        if followed.error is not None:
            self.wrong_outcomes += 1
            yield f"{followed.manner} follower of {followed.sandbox_id}: {followed.error!r}"

    def lines(self, flavour: str) -> Iterator[str]:
        """Format the summary."""
        seen = self.events
        yield (
            f"{flavour}: {self.runs} runs, {self.calls} calls, {self.errors} of them raised; "
            f"{seen['delivered']} events delivered, {seen['lost']} lost, {seen['doubled']} "
            f"doubled, {seen['misordered']} misordered, {seen['altered']} altered; "
            f"{self.wrong_outcomes} wrong outcomes, {self.leaked_streams} leaked streams"
        )
        hits = sorted((kind, count) for kind, count in self.faults.items() if count)
        yield f"  faults injected: {', '.join(f'{kind} {count}' for kind, count in hits) or 'none'}"
        if self.wrong_runs:
            yield f"  wrong runs, by seed: {', '.join(map(str, self.wrong_runs))}"
