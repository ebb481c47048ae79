"""Runs the fake daemon in its own process, where it takes no time of the measured client."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from agents_sandbox.testing import FakeDaemon


@contextmanager
def daemon_process(
    prepare: Callable[[FakeDaemon], object] | None = None, **options: Any
) -> Iterator[str]:
    """Run a fake daemon in a new process until the block ends; yield the path of its socket.

    Args:
        prepare: A function of a module, called with the running daemon in its process.
        options: Arguments of `FakeDaemon`.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, prepare, options))
    process.start()
    there.close()
    try:
        yield here.recv()
    finally:
        here.close()
        process.join()


def _serve(
    pipe: Connection[Any, Any],
    prepare: Callable[[FakeDaemon], object] | None,
    options: dict[str, Any],
) -> None:
    with FakeDaemon(max_calls=0, **options) as daemon, suppress(EOFError):
        if prepare is not None:
            prepare(daemon)
        pipe.send(daemon.socket_path)
        pipe.recv()
