"""Measures what the blocking client costs in the main thread, where helpers make its calls.

    python -m benchmarks.main_thread_ping [--help]

It compares `ping` with gRPC's own blocking stub, in turns, so that both see the same machine. The
exit code is 1 if the median of the ratios is below the limit. The fake daemon runs in its own
process.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import grpc

from agents_sandbox import SyncAgentsSandboxClient
from agents_sandbox._connection.rpc import CHANNEL_OPTIONS
from agents_sandbox._wire.methods import PING
from agents_sandbox.testing import FakeDaemon

_TIMEOUT = 30.0
"""Time limit of one call, in seconds; both pass one to gRPC."""


@contextmanager
def daemon_process(**options: Any) -> Iterator[str]:
    """Run a fake daemon in a new process until the block ends; yield the path of its socket."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, options))
    process.start()
    there.close()
    try:
        yield here.recv()
    finally:
        here.close()
        process.join()


def _serve(pipe: Connection[Any, Any], options: dict[str, Any]) -> None:
    with FakeDaemon(max_calls=0, **options) as daemon, suppress(EOFError):
        pipe.send(daemon.socket_path)
        pipe.recv()


def measure(path: str, rounds: int, calls: int) -> list[tuple[float, float]]:
    """Return how long a call of the stub and one of the client took in each round, in seconds."""
    with (
        grpc.insecure_channel(f"unix:{path}", options=CHANNEL_OPTIONS) as channel,
        SyncAgentsSandboxClient(path, timeout_seconds=_TIMEOUT) as client,
    ):
        stub = channel.unary_unary(
            PING.path,
            request_serializer=PING.request_type.SerializeToString,
            response_deserializer=PING.response_type.FromString,
        )

        def ping() -> None:
            stub(PING.request_type(), timeout=_TIMEOUT)

        for call in (ping, client.ping):
            _seconds(call, calls)  # to warm up
        return [(_seconds(ping, calls), _seconds(client.ping, calls)) for _ in range(rounds)]


def _seconds(call: Callable[[], object], times: int) -> float:
    begin = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - begin) / times


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = _parser().parse_args(argv)
    with daemon_process() as path:
        times = measure(path, options.rounds, options.calls)
    ratio = median(stub / client for stub, client in times)
    stubs, clients = zip(*times, strict=True)
    print(f"{options.rounds} rounds of {options.calls} calls each; medians:")
    print(f"  blocking stub  {median(stubs) * 1e6:7.1f} us a call")
    print(f"  client.ping()  {median(clients) * 1e6:7.1f} us a call")
    print(f"  speed of the client to that of the stub: {ratio:.3f}, limit {options.limit}")
    print(f"  verdict: {'fast' if ratio >= options.limit else 'SLOW'}")
    return 0 if ratio >= options.limit else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.main_thread_ping",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for flag, default, what in (
        ("--rounds", 50, "number of rounds"),
        ("--calls", 100, "calls of each kind in a round"),
    ):
        parser.add_argument(flag, type=int, default=default, help=f"{what}; default: {default}")
    parser.add_argument(
        "--limit", type=float, default=0.75, help="the lowest ratio that passes; default: 0.75"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
