"""Runs the client in its own process and sends it commands through a pipe."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from ._client import Client

_PATIENCE = 30.0
"""Seconds to wait until the process ends."""


class RemoteError(Exception):
    """A command failed in the client's process or timed out."""


class ShedError(Exception):
    """The daemon ended streams that should have stayed open, or with the wrong status."""


class Remote:
    """Runs commands in the client's process, one at a time."""

    def __init__(self, pipe: Connection[Any, Any], timeout: float) -> None:
        self._pipe = pipe
        self._timeout = timeout

    def __call__(self, command: str, *arguments: Any) -> Any:
        """Run a coroutine of `Client` in that process and return its result.

        Raises:
            RemoteError: It raised, timed out or ended the process.
        """
        self._pipe.send((command, arguments))
        if not self._pipe.poll(self._timeout):
            raise RemoteError(f"{command} timed out after {self._timeout} s: increase --timeout")
        try:
            result, error = self._pipe.recv()
        except EOFError as ended:
            raise RemoteError(f"the client's process ended during {command}") from ended
        if error is not None:
            raise RemoteError(f"{command}: {error}")
        return result

    def lossless(self, command: str, *arguments: Any) -> None:
        """Run a coroutine of `Client` that counts ended streams; the count must be zero.

        Raises:
            ShedError: Streams ended.
            RemoteError: It raised, timed out or ended the process.
        """
        ends = self(command, *arguments)
        if ends:
            raise ShedError(f"{ends.total()} streams ended during {command}: {dict(ends)}")


@contextmanager
def client_process(socket_path: str, connections: int, timeout: float) -> Iterator[Remote]:
    """Run a client in a new process until the block ends.

    Args:
        socket_path: Where the daemon listens.
        connections: Number of connections to spread the calls over.
        timeout: Time limit of one command, in seconds.
    """
    # Spawned, not forked: this process has threads that run gRPC.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, socket_path, connections), daemon=True)
    process.start()
    there.close()
    try:
        yield Remote(here, timeout)
    finally:
        here.close()
        process.join(_PATIENCE)
        process.kill()
        process.join()


def _serve(pipe: Connection[Any, Any], socket_path: str, connections: int) -> None:
    asyncio.run(_obey(pipe, socket_path, connections))


async def _obey(pipe: Connection[Any, Any], socket_path: str, connections: int) -> None:
    client = Client(socket_path, connections)
    while True:
        try:
            command, arguments = await asyncio.to_thread(pipe.recv)
        except EOFError:
            break
        try:
            result, error = await getattr(client, command)(*arguments), None
        except Exception as failure:  # noqa: BLE001 - the driver reports it
            result, error = None, repr(failure)
        pipe.send((result, error))
    await client.aclose()
