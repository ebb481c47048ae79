"""Measures how many sandboxes the fake daemon can hold, and whether its memory stays flat.

    python -m benchmarks.fake_daemon_size [--help]

Crowd: many sandboxes at once, each with an open event stream. Every stream receives the
sandbox's events and one more that is sent while all streams are open. Churn: waves of
sandboxes that are created, run an exec, and are deleted and purged, with the memory after each
wave. The exit code is 1 if a stream was shed or the memory grows. Needs Linux. The client runs
in its own process.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from agents_sandbox.testing import FakeDaemon

from ._churn import growth, waves
from ._crowd import measure_crowd
from ._memory import MIB
from ._remote import Remote, RemoteError, ShedError, client_process

_MIN_WAVES = 3
"""Minimum number of waves after the warm-up; more give a better estimate."""


def report_crowd(daemon: FakeDaemon, remote: Remote, options: argparse.Namespace) -> bool:
    """Measure the crowd and print the result; raise if a stream is shed."""
    print(f"crowd: {options.crowd} sandboxes and streams, {options.connections} connections")
    crowd = measure_crowd(daemon, remote, options.crowd, options.timeout)
    print(f"  all created  in {crowd.create_time:5.1f} s, {crowd.bytes_per_sandbox:,.0f} B each")
    print(f"  all followed in {crowd.open_time:5.1f} s, {crowd.bytes_per_stream:,.0f} B each")
    print(f"  live event received by all streams in {crowd.live_time:.1f} s")
    print(f"  resident memory with all streams open: {crowd.resident / MIB:.1f} MiB")
    print("  verdict: none shed", flush=True)
    return True


def report_churn(daemon: FakeDaemon, remote: Remote, options: argparse.Namespace) -> bool:
    """Measure the churn and print the result; return False if the memory grows."""
    print(f"churn: {options.waves} waves of {options.wave_size} sandboxes, a stream on each")
    memory = []
    for resident in waves(daemon, remote, options.waves, options.wave_size, options.timeout):
        memory.append(resident)
        print(f"  after wave {len(memory):3}: {resident / MIB:8.2f} MiB", flush=True)
    grown = growth(memory, options.warm_up, options.wave_size)
    flat: bool = grown.ratio <= options.limit
    print(f"  growth: {grown.bytes_per_sandbox:.0f} B per deleted sandbox")
    sizes = f"{grown.first / MIB:.2f} MiB, then {grown.last / MIB:.2f} MiB"
    print(f"  first and last third: {sizes}; ratio {grown.ratio:.3f}, limit {options.limit}")
    print(f"  verdict: {'flat' if flat else 'GROWS'}", flush=True)
    return flat


REPORTS = {
    # Churn first: the allocator keeps the memory of a crowd, which would hide growth.
    "churn": report_churn,
    "crowd": report_crowd,
}


def passes(name: str, options: argparse.Namespace) -> bool:
    """Run one measurement with its own daemon and client."""
    with (
        # It ends the stream of a purged sandbox with a status of its own, unlike newer ones.
        FakeDaemon(version="0.2.1", max_calls=0) as daemon,
        client_process(daemon.socket_path, options.connections, options.timeout) as remote,
    ):
        try:
            return REPORTS[name](daemon, remote, options)
        except (RemoteError, ShedError, TimeoutError) as error:
            print(f"  verdict: FAILED: {error}", flush=True)
            return False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.waves - options.warm_up < _MIN_WAVES:
        parser.error(f"at least {_MIN_WAVES} waves must follow the warm-up")
    passed = [passes(name, options) for name in REPORTS if options.only in (None, name)]
    return 0 if all(passed) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fake_daemon_size",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=sorted(REPORTS), help="default: both")
    for flag, default, what in (
        ("--crowd", 10_000, "number of sandboxes and streams at once"),
        ("--waves", 20, "number of churn waves"),
        ("--wave-size", 500, "sandboxes per wave"),
        ("--warm-up", 5, "waves to ignore: they fill the allocator's pools"),
        ("--connections", 10, "number of connections of the client"),
    ):
        parser.add_argument(
            flag, type=_positive, default=default, help=f"{what}; default: {default}"
        )
    parser.add_argument(
        "--limit",
        type=float,
        default=1.05,
        help="maximum memory ratio of the last third of the waves to the first; default: 1.05",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=600.0,
        help="time limit of one step of a measurement, in seconds; default: 600",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1: {text}")
    return number


if __name__ == "__main__":
    sys.exit(main())
