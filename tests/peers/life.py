"""The life cycle that each published client runs through, step by step.

    python -m tests.peers.life RELEASE

It is run by the Python that has the client; `__main__` starts its daemon.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from . import errors, events, execs, sandboxes
from .peer import sdk
from .releases import RELEASES, Release

Step = Callable[[Any, Release], Awaitable[None]]

STEP_TIMEOUT = 10.0
"""How long one step may take, in seconds; all together take about one second."""

STEPS: tuple[Step, ...] = (
    sandboxes.client_is_the_published_one,
    sandboxes.ping,
    sandboxes.create,
    sandboxes.get,
    events.history,
    events.from_sequence,
    sandboxes.create_generates_an_id,
    sandboxes.create_from_yaml,
    sandboxes.create_that_fails,
    sandboxes.list_by_label,
    execs.exec_ok,
    execs.exec_that_fails,
    execs.exec_events,
    execs.cancel,
    events.snapshot,
    errors.unknown_ids,
    errors.duplicate_ids,
    errors.invalid_creates,
    errors.invalid_arguments,
    errors.wrong_state_ready,
    sandboxes.stop,
    errors.wrong_state_stopped,
    sandboxes.resume,
    execs.stop_kills,
    sandboxes.delete,
    sandboxes.deleted_is_kept,
    events.deleted_history,
    sandboxes.delete_by_label,
)


async def passes(step: Step, client: Any, release: Release) -> bool:
    """Run one step and print its result."""
    title = (step.__doc__ or "").strip()
    try:
        await asyncio.wait_for(step(client, release), STEP_TIMEOUT)
    except Exception as error:  # noqa: BLE001 - whatever a client raises fails its step
        print(f"FAILED  {title}\n        {type(error).__name__}: {error}")
        return False
    print(f"ok      {title}")
    return True


async def live(release: Release) -> int:
    """Run all steps and return how many failed. Later steps build on earlier ones."""
    async with sdk.AgentsSandboxClient() as client:
        passed = [await passes(step, client, release) for step in STEPS]
    print(f"client {release.version}: {sum(passed)} of {len(passed)} steps passed")
    return passed.count(False)


def main() -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers.life")
    parser.add_argument("release", choices=sorted(RELEASES))
    release = RELEASES[parser.parse_args().release]()
    return 1 if asyncio.run(live(release)) else 0


if __name__ == "__main__":
    sys.exit(main())
