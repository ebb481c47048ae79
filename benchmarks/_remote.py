"""The client in its process, and the driver's end of the pipe to it."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from ._client import Client

_PATIENCE = 30.0
"""Seconds for the process to end."""


class RemoteError(Exception):
    """A command failed in the client's process, or took too long."""


class ShedError(Exception):
    """Streams ended in another way than they should."""


class Remote:
    """Runs commands in the client's process, one at a time."""

    def __init__(self, pipe: Connection[Any, Any], timeout: float) -> None:
        self._pipe = pipe
        self._timeout = timeout

    def __call__(self, command: str, *arguments: Any) -> Any:
        """Run a coroutine of `Client` there and return its result.

        Raises:
            RemoteError: It raised, was not done in time, or took the process down.
        """
        self._pipe.send((command, arguments))
        if not self._pipe.poll(self._timeout):
            raise RemoteError(f"{command} was not done within {self._timeout} s")
        try:
            result, error = self._pipe.recv()
        except EOFError as ended:
            raise RemoteError(f"the client's process ended during {command}") from ended
        if error is not None:
            raise RemoteError(f"{command}: {error}")
        return result

    def lossless(self, command: str, *arguments: Any) -> None:
        """Run a coroutine of `Client` that counts the ends of streams: there must be none.

        Raises:
            ShedError: There were some.
            RemoteError: It raised, or was not done in time.
        """
        ends = self(command, *arguments)
        if ends:
            raise ShedError(f"{ends.total()} streams ended during {command}: {dict(ends)}")


@contextmanager
def client_process(socket_path: str, connections: int, timeout: float) -> Iterator[Remote]:
    """Run a client in a new process for the length of a block.

    Args:
        socket_path: Where the daemon listens.
        connections: How many connections to spread the calls over.
        timeout: Seconds that one command may take.
    """
    # Not forked: this process has threads, and gRPC in them.
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
