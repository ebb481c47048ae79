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

import pytest

import agents_sandbox
from agents_sandbox import AgentsSandboxClient, SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

from ._blocking import Background
from .releases import any_release

pytestmark = any_release

_PACKAGE = f"{Path(agents_sandbox.__file__).parent}/"
_FAKE = f"{_PACKAGE}testing/"

# Threads and streams decide how often a wait wakes up for several events at once. The least of so
# many calls is the same each time, or nearly.
_CALLS = 5


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the calls of the package's functions in a block, in this thread and in later ones.

    Not those by which gRPC reports completions: how many come at once is a matter of time.
    """
    calls: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        path = code.co_filename
        ours = path.startswith(_PACKAGE) and not path.startswith(_FAKE)
        ours = ours and code.co_name != "call_soon_threadsafe"
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


# Each with the most functions that it may call.
CALLS: dict[str, tuple[dict[str, str], int, int]] = {
    # name: arguments, bound of the async client, bound of the blocking one
    "ping": ({}, 27, 32),
    "get_sandbox": ({"sandbox_id": "box-1"}, 51, 58),
    "create_sandbox": ({"image": "a:1"}, 355, 425),
}

each_call = pytest.mark.parametrize("name", CALLS)


def fewest(counts: list[Counter[str]]) -> Counter[str]:
    return min(counts, key=Counter.total)


@each_call
async def test_a_call_of_the_async_client(daemon: FakeDaemon, name: str) -> None:
    arguments, bound, _ = CALLS[name]
    counts = []
    async with AgentsSandboxClient(daemon.socket_path) as client:
        await client.create_sandbox(image="a:1", sandbox_id="box-1")  # opens the connection
        for _ in range(_CALLS):
            with counted() as calls:
                await getattr(client, name)(**arguments)
            counts.append(calls)
    assert fewest(counts).total() <= bound, fewest(counts).most_common()


@each_call
def test_a_call_of_the_blocking_client(daemon: FakeDaemon, name: str) -> None:
    arguments, _, bound = CALLS[name]
    counts = []

    # Not in the main thread, whose helpers would not be counted.
    def count(client: SyncAgentsSandboxClient) -> None:
        for _ in range(_CALLS):
            with counted() as calls:
                getattr(client, name)(**arguments)
            counts.append(calls)

    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        client.create_sandbox(image="a:1", sandbox_id="box-1")  # opens the connection
        Background(count, client).result()
    assert fewest(counts).total() <= bound, fewest(counts).most_common()
