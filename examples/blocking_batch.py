"""Runs a batch of shell commands on threads, each in a sandbox of its own.

    python blocking_batch.py [-n 8] < commands

Reads one command from each line. Ctrl-C or SIGTERM deletes all sandboxes, which ends the calls that
the threads wait in, and the program.
"""

import argparse
import signal
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from agents_sandbox import (
    ExecResult,
    SandboxClientError,
    SyncAgentsSandboxClient,
    SyncSandboxScope,
)

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"
COMMAND_SECONDS = 600


def run(scope: SyncSandboxScope, command: str) -> ExecResult:
    with scope.sandbox(image=IMAGE) as sandbox:
        return sandbox.run(("sh", "-c", command), timeout_seconds=COMMAND_SECONDS)


def run_all(client: SyncAgentsSandboxClient, commands: Iterable[str], threads: int) -> int:
    """Return how many commands failed."""
    failed = 0
    # The scope ends first: then no thread waits for a sandbox any more.
    with ThreadPoolExecutor(threads) as executor, client.scope() as scope:
        futures = {executor.submit(run, scope, command): command for command in commands}
        for future in finished(futures):
            try:
                result = future.result()
            except SandboxClientError as error:
                outcome = str(error)
                failed += 1
            else:
                outcome = f"exit code {result.exit_code}: {result.stdout.strip()}"
                failed += result.exit_code != 0
            print(f"{futures[future]}: {outcome}", flush=True)
    return failed


def finished(futures: Iterable[Future[ExecResult]]) -> Iterator[Future[ExecResult]]:
    """Yield them as `as_completed` does, but never block for long.

    Python misses a signal that arrives just before it blocks, and handles it afterwards.
    """
    left = set(futures)
    while left:
        done, left = wait(left, timeout=1, return_when=FIRST_COMPLETED)
        yield from done


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=8, help="how many threads; default: 8")
    options = parser.parse_args()
    commands = [line.strip() for line in sys.stdin if line.strip()]
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        with SyncAgentsSandboxClient() as client:
            return 1 if run_all(client, commands, options.n) else 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
