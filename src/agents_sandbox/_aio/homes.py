"""The event loop and the process to which something belongs."""

from __future__ import annotations

import asyncio
import os
from asyncio.events import _get_running_loop

from .._surroundings import gevent
from .._surroundings.forks import obstacle_to_asyncio
from ..errors import ClientLoopError


class Home:
    """The event loop and the process in which something was made and can be used."""

    __slots__ = ("_process", "loop")

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop = loop_of_caller()
        self._process = os.getpid()

    def is_in_this_process(self) -> bool:
        """Whether this is still that process, not a forked child."""
        return self._process == os.getpid()


def loop_of_caller() -> asyncio.AbstractEventLoop:
    """Return the running event loop.

    Raises:
        ClientLoopError: There is none of asyncio.
    """
    loop = _get_running_loop()
    if loop is None:
        raise ClientLoopError(
            "the async client requires asyncio, and no event loop of asyncio is running here: with "
            "trio and others, use the blocking client, SyncAgentsSandboxClient, in a thread, such "
            "as with trio.to_thread.run_sync()"
        )
    return loop


def usable_here(home: Home | None) -> bool:
    """Whether what belongs to a home can be used here.

    If not, the loop is closed or belongs to the parent process: it can never be used again.

    Raises:
        ClientLoopError: It can, but not from this event loop.
    """
    if home is None:
        return False
    # Then it is open: and in a child that was forked in it, no loop runs.
    if home.loop is _get_running_loop():
        return True
    if home.loop.is_closed() or not home.is_in_this_process():
        return False
    loop_of_caller()
    raise ClientLoopError(
        "the client is bound to another event loop that is still open: "
        "create one client for each loop, or share a blocking client among threads"
    )


def refuse_where_grpc_hangs() -> None:
    """Refuse to use gRPC's asyncio where its calls would never end.

    Raises:
        ClientLoopError: They would.
    """
    if obstacle := obstacle_to_asyncio():
        raise ClientLoopError(f"{obstacle}, or use the blocking client in the child")
    if obstacle := gevent.obstacle_to_asyncio():
        raise ClientLoopError(f"{obstacle}: use the blocking client, SyncAgentsSandboxClient")
