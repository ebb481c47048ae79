"""Calls, one after the other or several at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from .programs import AGAIN, OURS, PEER, RAW, Burst, Lab
from .rounds import Figure, Goal, alternate, noise, speed

_LIVES = 5
_WHAT = {"cpu": "CPU", "wall": "clock"}


@dataclass(frozen=True)
class Calls:
    """One kind of call.

    Attributes:
        work: Its name in the report.
        flavour: `async`, `blocking` or `codec`.
        call: The call.
        calls: How many in a round.
        at_once: By how many tasks or threads; 0: in the main thread.
        cpu: What the ratio of the CPU times should be, by `at_once`.
        wall: What the ratio of the times by the clock should be.
        each: How many items one call brings; the cost of one of them is shown.
        arguments: What the call is given.
        server: Options of the server.
        peer: Whether the published peer takes part.
        rounds: How many.
    """

    work: str
    flavour: str
    call: str
    calls: int
    at_once: tuple[int, ...]
    cpu: Mapping[int, Goal] = field(default_factory=dict)
    wall: Mapping[int, Goal] = field(default_factory=dict)
    each: int = 1
    arguments: Mapping[str, Any] = field(default_factory=dict)
    server: Mapping[str, int] = field(default_factory=dict)
    peer: bool = False
    rounds: int = 40

    def measure(self, lab: Lab) -> Iterator[Figure]:
        """Measure it with all clients."""
        bursts: dict[int, dict[str, list[Burst]]] = {at_once: {} for at_once in self.at_once}
        with lab.server(**self.server):
            for rounds in _lives(lab.rounds or self.rounds):
                for at_once, more in self._live(lab, rounds):
                    for name, each in more.items():
                        bursts[at_once].setdefault(name, []).extend(each)
        for at_once in self.at_once:
            yield from self._figures(at_once, self._count(lab, at_once), bursts[at_once])

    def _live(self, lab: Lab, rounds: int) -> Iterator[tuple[int, dict[str, list[Burst]]]]:
        """Measure all cases in fresh processes."""
        names = lab.names(peer=self.peer)
        with ExitStack() as stack:
            clients = {name: stack.enter_context(lab.client(name, self.flavour)) for name in names}
            for at_once in self.at_once:
                count = self._count(lab, at_once)

                def measure(name: str, count: int = count, at_once: int = at_once) -> Burst:
                    return clients[name].burst(self.call, count, at_once, **self.arguments)

                for name in names:  # to warm up
                    measure(name)
                yield at_once, alternate(measure, names, rounds)

    def _count(self, lab: Lab, at_once: int) -> int:
        """How many calls in a round: as many for each task or thread."""
        calls = self.calls // (4 if lab.quick else 1)
        workers = max(at_once, 1)
        return max(calls // workers, 1) * workers

    def _figures(
        self, at_once: int, calls: int, bursts: Mapping[str, list[Burst]]
    ) -> Iterator[Figure]:
        items = calls * self.each
        for what, goals in (("cpu", self.cpu), ("wall", self.wall)):
            samples = {
                name: [getattr(burst, what) / items * 1e6 for burst in each]
                for name, each in bursts.items()
            }
            for name in (OURS, PEER):
                if name in samples:
                    yield Figure(
                        self.work,
                        self._case(at_once),
                        at_once,
                        f"{_WHAT[what]}, raw / {name}",
                        speed(samples, name),
                        goals.get(at_once) if name == OURS else None,
                        noise(samples),
                        {each: samples[each] for each in (RAW, AGAIN, name)},
                        "us",
                    )

    def _case(self, at_once: int) -> str:
        if self.flavour == "async":
            return f"{at_once} at once" if self.at_once != (1,) else ""
        if self.flavour == "codec" or self.at_once == (0,):
            return ""
        return {0: "main thread", 1: "worker thread"}.get(at_once, f"{at_once} threads")


def _lives(rounds: int) -> list[int]:
    """Divide the rounds among fresh processes, so that no unlucky one decides alone."""
    return [len(range(life, rounds, _LIVES)) for life in range(min(_LIVES, rounds))]
