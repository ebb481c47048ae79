"""Measures a fleet: Dask workers, each with a fake daemon of its own, run jobs in sandboxes.

    python -m benchmarks.fleet [--help]

It needs `distributed`, and the module of `examples/fleet` on the path. Client and scheduler are in
this process ("here"), each worker and each daemon in its own. The CPU time of a job here limits the
fleet, that in a worker limits a host. The rates are those of this machine, on which all processes
share the cores.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dask.config
from distributed import Client, Nanny, Scheduler, SpecCluster, as_completed
from sandbox_fleet import MOST_BYTES, Job, run_jobs

from agents_sandbox import SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

from ._fake_daemon import daemon_process

IMAGE = "a:1"
LASTING = 2.0
"""How long a job lasts that lasts, in seconds."""

KIB = MOST_BYTES // 1024

ROUNDS = 3
"""How often everything is measured, and how many lasting jobs each thread runs."""


def script(daemon: FakeDaemon) -> None:
    """Tell a daemon what the jobs do."""
    daemon.on_exec(("print",)).stdout("x" * MOST_BYTES)
    daemon.on_exec(("last",)).after(LASTING)


@dataclass(frozen=True)
class Cost:
    """What many tasks took: seconds of the clock, and of CPU time here and in all workers."""

    tasks: int
    clock: float
    here: float
    workers: float

    def __str__(self) -> str:
        here, workers = (1000 * cpu / self.tasks for cpu in (self.here, self.workers))
        rate = f"{self.tasks / self.clock:6.0f} per s; CPU time of each: {here:5.2f} ms here"
        return f"{rate}, {workers:5.2f} ms in a worker" if workers else rate


@contextmanager
def fleet(workers: int, threads: int) -> Iterator[Client]:
    """Run a cluster in which each worker has a daemon of its own, and let it warm up."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        spec = {}
        for number in range(workers):
            host = folder / str(number)
            (host / "agbox").mkdir(parents=True)
            socket_path = host / "agbox" / "agboxd.sock"
            stack.enter_context(daemon_process(script, socket_path=socket_path))
            options = {
                "nthreads": threads,
                "env": {"XDG_RUNTIME_DIR": str(host)},
                "silence_logs": logging.CRITICAL,
            }
            spec[str(number)] = {"cls": Nanny, "options": options}
        options = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
        scheduler = {"cls": Scheduler, "options": options}
        # No job waits behind another one while a thread elsewhere is free.
        stack.enter_context(dask.config.set({"distributed.scheduler.worker-saturation": 1.0}))
        cluster = stack.enter_context(SpecCluster(spec, scheduler))
        client = stack.enter_context(Client(cluster))
        client.wait_for_workers(workers)
        run(client, 4 * workers * threads, "end")
        yield client


def run(client: Client, jobs: int, program: str) -> None:
    """Run a job many times."""
    work = [Job(str(number), IMAGE, (program,)) for number in range(jobs)]
    codes = [outcome.exit_code for outcome in run_jobs(client, "benchmark", work)]
    if codes != jobs * [0]:
        raise RuntimeError(f"{jobs - codes.count(0)} of {jobs} jobs failed")


def run_empty(client: Client, tasks: int) -> None:
    """Run tasks that do nothing: what Dask takes alone."""
    for future in as_completed(client.map(abs, range(tasks), pure=False)):
        future.result()


def everywhere(client: Client, function: Callable[[], float]) -> list[float]:
    """Call a function in each worker."""
    answers: Any = client.run(function)
    return list(answers.values())


def median(measure: Callable[[], Cost]) -> Cost:
    """Measure several times, and return the one in the middle."""
    return sorted((measure() for _ in range(ROUNDS)), key=lambda cost: cost.clock)[ROUNDS // 2]


def cost(client: Client, tasks: int, work: Callable[[Client, int], None]) -> Cost:
    """Measure work, in all processes but the daemons."""
    before = sum(everywhere(client, time.process_time))
    clock, here = time.perf_counter(), time.process_time()
    work(client, tasks)
    clock, here = time.perf_counter() - clock, time.process_time() - here
    return Cost(tasks, clock, here, sum(everywhere(client, time.process_time)) - before)


def without_dask(jobs: int, threads: int) -> Cost:
    """Measure what the SDK takes alone: the same jobs in threads of this process."""
    with daemon_process(script) as path, SyncAgentsSandboxClient(path) as client:

        def run_one(_: int) -> None:
            with client.sandbox(image=IMAGE) as sandbox:
                sandbox.run(("end",), check=True)

        def measure() -> Cost:
            clock, here = time.perf_counter(), time.process_time()
            list(executor.map(run_one, range(jobs)))
            return Cost(jobs, time.perf_counter() - clock, time.process_time() - here, 0.0)

        with ThreadPoolExecutor(threads) as executor:
            list(executor.map(run_one, range(4 * threads)))
            return median(measure)


def descriptors() -> int:
    """Return how many files and sockets this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def lasting(client: Client, workers: int, threads: int) -> str:
    """Measure jobs that last, which leave the machine idle; count descriptors meanwhile."""
    jobs = ROUNDS * workers * threads
    begin = time.perf_counter()
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(run, client, jobs, "last")
        time.sleep(LASTING * 1.5)
        there, here = max(everywhere(client, descriptors)), descriptors()
        running.result()
    share = ROUNDS * LASTING / (time.perf_counter() - begin)
    return (
        f"{jobs} jobs of {LASTING:.0f} s: they ran for {share:.1%} of the time; "
        f"open files: {here} here, {there:.0f} in a worker"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = _parser().parse_args(argv)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    threads, jobs = options.threads, options.jobs
    print(
        f"{os.cpu_count()} cores for everything, {platform.python_implementation()} "
        f"{platform.python_version()}, distributed {version('distributed')}, "
        f"{threads} threads in each worker; load average {os.getloadavg()[0]:.1f}\n"
    )
    print(f"calls of the SDK without Dask:     {without_dask(jobs, threads)}")
    for workers in options.workers:
        with fleet(workers, threads) as client:
            print(f"\nworkers: {workers}")
            for what, tasks, work in (
                ("tasks that do nothing", 4 * jobs, run_empty),
                ("jobs that end at once", jobs, partial(run, program="end")),
                (
                    f"jobs with {MOST_BYTES // 1024} KiB of output",
                    jobs,
                    partial(run, program="print"),
                ),
            ):
                print(f"  {what + ':':32} {median(partial(cost, client, tasks, work))}", flush=True)
            print(f"  {lasting(client, workers, threads)}", flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fleet",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1, 2, 4], help="how many; default: 1 2 4"
    )
    parser.add_argument("--threads", type=int, default=10, help="of each worker; default: 10")
    parser.add_argument("--jobs", type=int, default=200, help="of each kind; default: 200")
    return parser


if __name__ == "__main__":
    sys.exit(main())
