"""Memory over very many calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .programs import OURS, Lab
from .rounds import Figure, Spread, at_most

STEPS = 10
WARM_UP = 2
"""Steps that do not count: they fill the pools of the allocator."""


@dataclass(frozen=True)
class Memory:
    """The memory of a client's process while it calls `get_sandbox` again and again.

    Attributes:
        flavour: `async` or `blocking`.
        at_once: As in `Calls`.
        calls: How many count.
    """

    flavour: str
    at_once: int
    calls: int = 100_000

    def measure(self, lab: Lab) -> Iterator[Figure]:
        """Measure it."""
        calls = self.calls // (10 if lab.quick else 1)
        with lab.server(), lab.client(OURS, self.flavour) as client:
            resident = [
                client.burst("get_sandbox", calls // STEPS, self.at_once).resident_kib / 1024
                for _ in range(WARM_UP + STEPS)
            ][WARM_UP:]
        third = len(resident) // 3
        # The least, not the mean: what the allocator has not yet given back varies.
        growth = min(resident[-third:]) / min(resident[:third])
        yield Figure(
            f"{self.flavour} get_sandbox",
            f"{calls:,} calls",
            0,
            "memory, last third / first third",
            Spread(growth, growth, growth),
            at_most(1.02),
            samples={OURS: resident},
            unit="MiB",
        )
