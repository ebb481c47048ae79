"""The time of an import, in fresh processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from .programs import AGAIN, OURS, PEER, RAW, Burst, Lab
from .rounds import Figure, alternate, at_most, cost, noise

ROUNDS = 21

# What the generated code of a program without an SDK imports.
_RAW = """
import grpc, grpc.aio
from google.protobuf import (
    descriptor, descriptor_pool, duration_pb2, message, symbol_database, timestamp_pb2
)
from google.protobuf.internal import builder, containers, enum_type_wrapper
"""

_PROGRAM = """
import time
wall, cpu = time.perf_counter(), time.process_time()
{imports}
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


@dataclass(frozen=True)
class Imports:
    """Import of the SDK, against that of gRPC and protobuf.

    Attributes:
        what: What of it is loaded, for the table; empty for the package alone.
        statement: The import.
    """

    what: str
    statement: str

    def measure(self, lab: Lab) -> Iterator[Figure]:
        """Measure it."""

        def measure(name: str) -> Burst:
            python = str(lab.peer) if name == PEER else sys.executable
            imports = _RAW if name in (RAW, AGAIN) else self.statement
            run = subprocess.run(
                [python, "-c", _PROGRAM.format(imports=imports)],
                cwd=lab.runtime_dir,
                check=True,
                capture_output=True,
                text=True,
            )
            wall, cpu = map(float, run.stdout.split())
            return Burst(wall, cpu, threads=1, resident_kib=0, failures=0, failure="")

        names = lab.names(peer=not self.what)  # which loads all of itself at once
        for name in names:
            measure(name)  # to compile, and to fill the caches of the disk
        bursts = alternate(measure, names, lab.rounds or ROUNDS)
        for what, field, goal in (("CPU", "cpu", at_most(1.15)), ("clock", "wall", None)):
            samples = {
                name: [getattr(burst, field) * 1e3 for burst in each]
                for name, each in bursts.items()
            }
            for name in (OURS, PEER):
                if name in samples:
                    yield Figure(
                        "import",
                        self.what,
                        0,
                        f"{what}, {name} / raw",
                        cost(samples, name),
                        goal if name == OURS else None,
                        noise(samples),
                        {each: samples[each] for each in (RAW, AGAIN, name)},
                        "ms",
                    )
