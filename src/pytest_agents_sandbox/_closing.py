"""Closes an async client from where no event loop runs."""

from __future__ import annotations

import asyncio
from contextlib import closing

from agents_sandbox import AgentsSandboxClient

# Seconds that a loop which another thread runs may take.
TIMEOUT = 10.0


def close(client: AgentsSandboxClient) -> None:
    """Close a client on its own event loop.

    That loop is the test's, and only the client knows it. Where it is closed by now, or never
    was, any loop will do. A current loop is neither used nor set: it is other fixtures'.

    Raises:
        TimeoutError: Another thread runs the loop, and does not get to it.
    """
    home = client._daemon._transport._channel._home  # noqa: SLF001 - of this distribution
    loop = None if home is None else home.loop
    if loop is None or loop.is_closed():
        with closing(asyncio.new_event_loop()) as fresh:
            fresh.run_until_complete(client.aclose())
    elif loop.is_running():
        asyncio.run_coroutine_threadsafe(client.aclose(), loop).result(TIMEOUT)
    else:
        loop.run_until_complete(client.aclose())
