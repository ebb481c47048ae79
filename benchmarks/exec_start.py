"""Measures how much longer an isolated command takes to start than one that is passed through.

    python -m benchmarks.exec_start [--help]

It runs `true` in both modes, in turns, so that both see the same machine: in a sandbox that has run
commands, and as the first command after a resume, which starts the sandbox again. The exit code is
1 if a median of the differences is above the limit.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Literal

from agents_sandbox import SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

_MODES = ("passthrough", "isolated")


class Sandbox:
    """A sandbox of its own daemon."""

    def __init__(self, client: SyncAgentsSandboxClient) -> None:
        self._client = client
        self._id = client.create_sandbox(image="a:1").sandbox_id

    def run(self) -> float:
        """Run a command and return how long that took, in seconds."""
        begin = time.perf_counter()
        result = self._client.run(self._id, ("true",))
        seconds = time.perf_counter() - begin
        if result.exit_code:
            raise RuntimeError(f"`true` has failed: {result}")
        return seconds

    def run_after_resume(self) -> float:
        """Stop and resume the sandbox, and run its first command."""
        self._client.stop_sandbox(self._id)
        self._client.resume_sandbox(self._id)
        return self.run()


@contextmanager
def sandbox(mode: Literal["passthrough", "isolated"]) -> Iterator[Sandbox]:
    """Run a daemon with one sandbox until the block ends."""
    with (
        FakeDaemon(exec_mode=mode) as daemon,
        SyncAgentsSandboxClient(daemon.socket_path) as client,
    ):
        yield Sandbox(client)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = _parser().parse_args(argv)
    with sandbox("passthrough") as passed, sandbox("isolated") as isolated:
        runs = [(passed.run(), isolated.run()) for _ in range(options.rounds)]
        firsts = [
            (passed.run_after_resume(), isolated.run_after_resume()) for _ in range(options.resumes)
        ]
    fast = True
    for what, times in (("a command", runs), ("the first after a resume", firsts)):
        more = median(slow - quick for quick, slow in times) * 1e3
        fast = fast and more <= options.limit
        for mode, seconds in zip(_MODES, zip(*times, strict=True), strict=True):
            print(
                f"{what}, {mode}: {median(seconds) * 1e3:.1f} ms, at best {min(seconds) * 1e3:.1f}"
            )
        print(f"{what}: {more:+.1f} ms, limit {options.limit:.0f}")
    print(f"verdict: {'fast' if fast else 'SLOW'}")
    return 0 if fast else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.exec_start",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for flag, default, what in (
        ("--rounds", 100, "commands in each mode"),
        ("--resumes", 20, "resumes in each mode"),
    ):
        parser.add_argument(flag, type=int, default=default, help=f"{what}; default: {default}")
    parser.add_argument(
        "--limit", type=float, default=25, help="the most ms that pass; default: 25"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
