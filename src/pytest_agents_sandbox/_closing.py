"""Closes an async client from code that runs outside any event loop."""

from __future__ import annotations

import asyncio
from contextlib import closing

from agents_sandbox import AgentsSandboxClient

# How long a loop that runs in another thread may take, in seconds.
TIMEOUT = 10.0


def close(client: AgentsSandboxClient) -> None:
    """Close a client on its own event loop.

    That loop belongs to the test, and only the client knows it. If it is closed or there never was
    one, any loop will do. The current loop is neither used nor set, because it belongs to other
    fixtures.

    Raises:
        TimeoutError: The loop runs in another thread and did not close the client in time.
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
