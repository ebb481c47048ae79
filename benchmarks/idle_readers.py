"""Measures what readers of live output cost: idle ones, and one that is slower than its command.

    python -m benchmarks.idle_readers [--help]

First, many readers wait for output that does not come, in one event loop and then in one thread
each: the share of a core that they take together. Then a command writes faster than its reader
reads: nothing may be lost or doubled, and the memory must not grow with the output. The exit code
is 1 if a limit is exceeded. The fake daemon runs in its own process.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from agents_sandbox import AgentsSandboxClient, ExecOutput, SyncAgentsSandboxClient

from ._fake_daemon import daemon_process
from ._memory import MIB, resident_bytes

_SETTLING = 2.0
"""How long readers may take until they look least often, in seconds."""

_IDLE = ("sleep", "3600")

_TIMEOUT = 60.0
"""Time limit of one call, in seconds: the daemon starts many processes."""

_MOST_MIB = 16
"""How much more memory the slow reader may take; a copy of the output would need more."""


async def idle_in_one_loop(path: str, readers: int, seconds: float) -> float:
    """Return the share of a core that idle readers take in one event loop."""
    async with AgentsSandboxClient(path, timeout_seconds=_TIMEOUT) as client:
        sandbox = client.attach((await client.create_sandbox(image="a:1")).sandbox_id)
        processes = [await sandbox.start(_IDLE).begin() for _ in range(readers)]
        reading = [asyncio.ensure_future(_drain(process.output())) for process in processes]
        await asyncio.sleep(_SETTLING)
        begin = time.process_time()
        await asyncio.sleep(seconds)
        share = (time.process_time() - begin) / seconds
        _check_idle(sum(not task.done() for task in reading), readers)
        await sandbox.delete()
        await asyncio.gather(*reading)
    return share


async def _drain(output: ExecOutput) -> None:
    async for chunk in output:
        raise RuntimeError(f"not idle: {chunk}")


def idle_in_threads(path: str, readers: int, seconds: float) -> float:
    """Return the share of a core that idle readers take in one thread each."""
    with SyncAgentsSandboxClient(path, timeout_seconds=_TIMEOUT) as client:
        sandbox = client.attach(client.create_sandbox(image="a:1").sandbox_id)
        processes = [sandbox.start(_IDLE).begin() for _ in range(readers)]
        with ThreadPoolExecutor(readers) as pool:
            reading = [pool.submit(list, process.output()) for process in processes]
            time.sleep(_SETTLING)
            begin = time.process_time()
            time.sleep(seconds)
            share = (time.process_time() - begin) / seconds
            _check_idle(sum(future.running() for future in reading), readers)
            sandbox.delete()
        if any(future.result() for future in reading):
            raise RuntimeError("not idle")
    return share


def _check_idle(waiting: int, readers: int) -> None:
    """Check that the measured readers were there all the time: one that failed costs nothing."""
    if waiting != readers:
        raise RuntimeError(f"only {waiting} of {readers} readers were waiting")


def read_slowly(path: str, mib: int, pause: float) -> tuple[int, bool, int]:
    """Read the output of a command that writes numbers, with a pause after each chunk.

    Returns:
        The number of bytes read, whether they were the right ones, and how much the memory grew.
    """
    last = mib * MIB // 8  # seven digits and the end of a line
    digest = hashlib.sha256()
    with SyncAgentsSandboxClient(path, timeout_seconds=_TIMEOUT) as client:
        sandbox = client.attach(client.create_sandbox(image="a:1").sandbox_id)
        read, before, most = 0, resident_bytes(), 0
        with sandbox.start(("seq", str(10**6), str(10**6 + last - 1))) as process:
            for count, chunk in enumerate(process.output()):
                read += len(chunk.data)
                digest.update(chunk.data)
                if count % 64 == 0:
                    most = max(most, resident_bytes() - before)
                time.sleep(pause)
        sandbox.delete()
    expected = hashlib.sha256()
    for number in range(10**6, 10**6 + last):
        expected.update(b"%d\n" % number)
    return read, digest.digest() == expected.digest(), most


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = _parser().parse_args(argv)
    fine = True
    with daemon_process(exec_mode="passthrough") as path:
        for what, share in (
            ("one loop", asyncio.run(idle_in_one_loop(path, options.readers, options.seconds))),
            ("threads", idle_in_threads(path, options.readers, options.seconds)),
        ):
            print(f"{options.readers} idle readers, {what}: {share:.1%} of a core")
            fine = fine and share <= options.limit
        read, right, growth = read_slowly(path, options.mib, options.pause)
        print(
            f"a slow reader of {options.mib} MiB: {read / MIB:.1f} MiB read, "
            f"{'nothing lost or doubled' if right else 'NOT WHAT WAS WRITTEN'}, "
            f"memory grew by {growth / MIB:.1f} MiB, limit {_MOST_MIB}"
        )
        fine = fine and right and growth <= _MOST_MIB * MIB
    print(f"verdict: {'fine' if fine else 'TOO MUCH'}; limit of a core: {options.limit:.0%}")
    return 0 if fine else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.idle_readers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--readers", type=int, default=100, help="how many; default: 100")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="how long to measure them; default: 10"
    )
    parser.add_argument("--mib", type=int, default=50, help="output to read slowly; default: 50")
    parser.add_argument(
        "--pause", type=float, default=0.005, help="after each chunk, in seconds; default: 0.005"
    )
    parser.add_argument(
        "--limit", type=float, default=0.05, help="the largest share of a core; default: 0.05"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
