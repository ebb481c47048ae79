"""Many commands at once in one sandbox, which share one event stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from .facts import COUNT
from .programs import OURS, Burst, Lab
from .rounds import Figure, Spread, alternate, at_most, cost, noise

ROUNDS = 11


@dataclass(frozen=True)
class Execs:
    """Concurrent `run` of the async client, against raw creates, gets and one subscription.

    No command ends before all have been read while they ran.

    Attributes:
        count: How many at once.
    """

    count: int = 500

    def measure(self, lab: Lab) -> Iterator[Figure]:
        """Measure it."""
        count = self.count // (4 if lab.quick else 1)
        streams: list[float] = []
        events: list[float] = []
        names = lab.names()
        with ExitStack() as stack:
            server = stack.enter_context(lab.server())
            clients = {name: stack.enter_context(lab.client(name, "async")) for name in names}

            def measure(name: str) -> Burst:
                before = server.tell(COUNT)
                burst = clients[name].burst("run_execs", 1, 1, together=count)
                after = server.tell(COUNT)
                if name == OURS:
                    streams.append(after["streams"] - before["streams"])
                    events.append(after["events"] - before["events"])
                return burst

            for name in names:  # to warm up
                clients[name].burst("run_execs", 1, 1, together=10)
            bursts = alternate(measure, names, lab.rounds or ROUNDS)
        work, case = "run, one sandbox", f"{count} at once"
        cpu = {name: [burst.cpu / count * 1e6 for burst in each] for name, each in bursts.items()}
        yield Figure(work, case, count, "CPU, ours / raw", cost(cpu), None, noise(cpu), cpu, "us")
        for what, counts, limit in (
            ("streams", streams, 1),
            ("events sent", events, 2 * count + 10),
        ):
            most = max(counts)
            yield Figure(
                work,
                case,
                count,
                what,
                Spread(most, most, most),
                at_most(limit),
                samples={OURS: counts},
            )
