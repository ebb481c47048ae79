"""How many functions of the package one call runs: tests cannot time it, but they can count.

A bound that fails shows where somebody has added a layer. If it is worth it, increase the bound.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import agents_sandbox
from agents_sandbox import AgentsSandboxClient, SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

from .releases import any_release

pytestmark = any_release

_PACKAGE = f"{Path(agents_sandbox.__file__).parent}/"
_FAKE = f"{_PACKAGE}testing/"

# Threads and streams decide how often a wait wakes up for several events at once. The least of so
# many waits is the same each time, or nearly.
_WAITS = 5


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the calls of the package's functions in a block, in this thread and in new ones."""
    calls: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        path = code.co_filename
        ours = path.startswith(_PACKAGE) and not path.startswith(_FAKE)
        # A coroutine and a generator are also called to go on; only their first line begins them.
        if ours and event == "call" and frame.f_lineno == code.co_firstlineno:
            calls[f"{path.removeprefix(_PACKAGE)}:{code.co_firstlineno} {code.co_name}"] += 1

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


def test_a_wait_of_the_blocking_client(daemon: FakeDaemon) -> None:
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        client.create_sandbox(image="a:1")  # opens the connection
        waits = []
        for _ in range(_WAITS):
            with counted() as calls:
                client.create_sandbox(image="a:1")
            waits.append(calls)
    least = min(waits, key=Counter.total)
    assert least.total() <= 510, least.most_common()


async def test_a_wait_of_the_async_client(daemon: FakeDaemon) -> None:
    async with AgentsSandboxClient(daemon.socket_path) as client:
        await client.create_sandbox(image="a:1")  # opens the connection
        waits = []
        for _ in range(_WAITS):
            with counted() as calls:
                await client.create_sandbox(image="a:1")
            waits.append(calls)
    least = min(waits, key=Counter.total)
    assert least.total() <= 430, least.most_common()
