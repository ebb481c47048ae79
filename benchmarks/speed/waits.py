"""Many creates at once, each waiting until its sandbox is READY."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .programs import AGAIN, OURS, RAW, Burst, Lab
from .rounds import Figure, Spread, alternate, at_most, cost, noise

ROUNDS = 3
WORK = "create_sandbox(wait=True)"


@dataclass(frozen=True)
class Waits:
    """Concurrent waits of the async client, against a raw create, subscription and get.

    No sandbox becomes READY before all of them are waiting. Each round has a fresh process, so
    that the peak of its memory is that of its waits.

    Attributes:
        sizes: How many at once.
    """

    sizes: tuple[int, ...] = (1_000, 5_000, 10_000)

    def measure(self, lab: Lab) -> Iterator[Figure]:
        """Measure all sizes."""
        samples: dict[int, dict[str, list[float]]] = {}
        for size in self._sizes(lab):
            bursts = self._bursts(lab, size)
            samples[size] = _cpu(bursts, size)
            yield from _figures(size, bursts, samples[size])
        yield from _growth(samples)

    def _sizes(self, lab: Lab) -> tuple[int, ...]:
        return tuple(size // 10 for size in self.sizes) if lab.quick else self.sizes

    def _bursts(self, lab: Lab, size: int) -> dict[str, list[Burst]]:
        with lab.server():

            def measure(name: str) -> Burst:
                with lab.client(name, "async") as client:
                    client.burst("create_sandbox", 1, 1, together=1)  # to warm up
                    return client.burst("create_sandbox", size, size, may_fail=True, together=size)

            return alternate(measure, lab.names(), lab.rounds or ROUNDS)


def _cpu(bursts: dict[str, list[Burst]], size: int) -> dict[str, list[float]]:
    return {name: [burst.cpu / size * 1e6 for burst in each] for name, each in bursts.items()}


def _figures(
    size: int, bursts: dict[str, list[Burst]], cpu: dict[str, list[float]]
) -> Iterator[Figure]:
    case = f"{size:,} at once"
    yield Figure(
        WORK, case, size, "CPU, ours / raw", cost(cpu), at_most(1.3), noise(cpu), cpu, "us"
    )
    wall = {name: [burst.wall / size * 1e6 for burst in each] for name, each in bursts.items()}
    yield Figure(WORK, case, size, "clock, ours / raw", cost(wall), None, noise(wall), wall, "us")
    memory = {name: [burst.grown_kib / size for burst in each] for name, each in bursts.items()}
    yield Figure(
        WORK, case, size, "KiB a wait", Spread.of(memory[OURS]), at_most(40), None, memory, "KiB"
    )
    for what, limit in (("threads", 4), ("failures", 0)):
        counts = {
            name: [float(getattr(burst, what)) for burst in each] for name, each in bursts.items()
        }
        most = max(counts[OURS])
        yield Figure(WORK, case, size, what, Spread(most, most, most), at_most(limit), None, counts)


def _growth(samples: dict[int, dict[str, list[float]]]) -> Iterator[Figure]:
    few, many = min(samples), max(samples)
    ratios = {
        name: [
            late / early
            for early, late in zip(samples[few][name], samples[many][name], strict=True)
        ]
        for name in (RAW, AGAIN, OURS)
    }
    yield Figure(
        WORK,
        f"{many:,} against {few:,}",
        0,
        "CPU of one wait",
        Spread.of(ratios[OURS]),
        at_most(1.1),
        max(noise(samples[few]), noise(samples[many])),
        ratios,
    )
