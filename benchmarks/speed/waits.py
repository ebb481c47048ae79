"""Many creates at once, each waiting until its sandbox is READY."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .facts import COUNT, HOLD, KEEP_GARBAGE, MAKE_READY
from .programs import OURS, Burst, Lab, Program
from .rounds import Figure, Goal, Spread, alternate, at_most, cost, noise

ROUNDS = 5

_LOOK_SECONDS = 0.02
_PATIENCE_SECONDS = 30.0
"""How long to wait for one more wait: if calls fail, not all of them ever wait."""


@dataclass(frozen=True)
class Wait:
    """What many waits cost."""

    size: int
    burst: Burst
    waiting_kib: int
    """The memory of the process while all were waiting, less what it had before."""


@dataclass(frozen=True)
class Waits:
    """Concurrent waits of the async client, against a raw create, subscription and get.

    No sandbox becomes READY before all of them are waiting. Each round has a fresh process, so
    that its memory is that of its waits.

    Attributes:
        work: Its name.
        sizes: How many at once.
        cost: How many times the CPU time of the raw client they may take.
        growth: How many times that of one among the fewest one among the most may take.
        options: Options of the clients.
    """

    work: str
    sizes: tuple[int, ...]
    cost: Goal | None = None
    growth: Goal | None = None
    options: tuple[str, ...] = ()

    def measure(self, lab: Lab) -> Iterator[Figure]:
        """Measure all sizes."""
        cpu: dict[int, dict[str, list[float]]] = {}
        for size in (size // 10 for size in self.sizes) if lab.quick else self.sizes:
            with lab.server() as server:

                def measure(name: str, server: Program = server, size: int = size) -> Wait:
                    with lab.client(name, "async", *self.options) as client:
                        _wait(server, client, 1)  # to warm up
                        return _wait(server, client, size)

                waits = alternate(measure, lab.names(), lab.rounds or ROUNDS)
            cpu[size] = _each(waits, "cpu")
            yield from self._figures(size, waits)
        yield self._growth(cpu)

    def _figures(self, size: int, waits: Mapping[str, Sequence[Wait]]) -> Iterator[Figure]:
        case = f"{size:,} at once"
        for what, field, goal in (("CPU", "cpu", self.cost), ("clock", "wall", None)):
            samples = _each(waits, field)
            yield Figure(
                self.work,
                case,
                size,
                f"{what}, ours / raw",
                cost(samples),
                goal,
                noise(samples),
                samples,
                "us",
            )
        memory = {
            name: [wait.waiting_kib * 1.024 / size for wait in each] for name, each in waits.items()
        }
        yield Figure(
            self.work,
            case,
            size,
            "KB a wait",
            Spread.of(memory[OURS]),
            at_most(40),
            None,
            memory,
            "KB",
        )
        for what, limit in (("threads", 4), ("failures", 0)):
            counts = {
                name: [float(getattr(wait.burst, what)) for wait in each]
                for name, each in waits.items()
            }
            most = max(counts[OURS])
            yield Figure(
                self.work, case, size, what, Spread(most, most, most), at_most(limit), None, counts
            )

    def _growth(self, cpu: Mapping[int, Mapping[str, Sequence[float]]]) -> Figure:
        few, many = min(cpu), max(cpu)
        ratios = {
            name: [
                late / early for early, late in zip(cpu[few][name], cpu[many][name], strict=True)
            ]
            for name in cpu[few]
        }
        return Figure(
            self.work,
            f"{many:,} against {few:,}",
            0,
            "CPU of one wait",
            Spread.of(ratios[OURS]),
            self.growth,
            noise(ratios),
            ratios,
        )


def _wait(server: Program, client: Program, size: int) -> Wait:
    before = client.resident_kib()
    server.tell(HOLD)
    client.begin_burst("create_sandbox", size, size)
    waiting, since = 0, time.monotonic()
    while waiting < size and time.monotonic() - since < _PATIENCE_SECONDS:
        time.sleep(_LOOK_SECONDS)
        now = server.tell(COUNT)["waiting"]
        if now > waiting:
            waiting, since = now, time.monotonic()
    resident = client.resident_kib()
    server.tell(MAKE_READY)
    return Wait(size, client.end_burst(), resident - before)


def _each(waits: Mapping[str, Sequence[Wait]], what: str) -> dict[str, list[float]]:
    """What one wait took, in microseconds."""
    return {
        name: [getattr(wait.burst, what) / wait.size * 1e6 for wait in each]
        for name, each in waits.items()
    }


WAITS = (
    Waits("create_sandbox(wait=True)", (1_000, 5_000, 10_000), at_most(1.3), at_most(1.1)),
    # What else grows? Without goals: programs leave the collector on.
    Waits("the same, garbage collector off", (1_000, 10_000), options=(KEEP_GARBAGE,)),
)
