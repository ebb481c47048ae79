"""Notices that the daemon is shutting down, and lets go of the public event streams."""

from __future__ import annotations

from typing import Any
from weakref import ref

from .. import _deadline
from .._aio import Reader
from .._deadline import Deadline
from .._surroundings.forks import MUTEX
from .._wire import requests
from .._wire.methods import PING
from ..errors import DaemonUnavailableError, SandboxClientError
from ._transport import ResponseStream, Transport


class Lookout:
    """Looks after the daemon while public event streams are open; those of waits are not watched.

    A daemon that is told to stop refuses new calls but waits up to 60 s for open event streams.
    A stream does not show this, and whoever keeps one open delays the daemon's exit. So the lookout
    pings the daemon when its socket file changes, and when no call has reached it for some seconds.
    If it is unavailable, or another one listens there now, the streams end with that error; their
    readers reconnect.

    Args:
        transport: The connection to the daemon.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        # Each with the socket file at its beginning. Not a WeakKeyDictionary: its callbacks are
        # Python code. If a signal handler raises in one, it counts an object that is gone.
        self._streams: dict[ref[ResponseStream[Any]], object] = {}
        self._readers: list[Reader] = []  # none, or the one that looks

    def watch(self, stream: ResponseStream[Any], socket_file: object) -> None:
        """Let go of a stream when the daemon shuts down, unless it ends before.

        Args:
            stream: The stream.
            socket_file: The identity of the socket file from before the stream was opened.
        """
        stream.on_end = self._forget
        with MUTEX:
            looking = any(reader.alive() for reader in self._readers)
            if not looking:  # streams from before belong to a parent process or a closed loop
                self._streams = {}
            self._streams[ref(stream)] = socket_file
            if not looking:
                self._readers = [Reader(self._look, lambda: None)]

    async def aclose(self) -> None:
        """Stop looking, after the transport was closed."""
        for reader in tuple(filter(Reader.alive, self._readers)):
            reader.stop()
            await reader.ended()

    def _forget(self, stream: ResponseStream[Any]) -> None:
        with MUTEX:
            self._streams.pop(ref(stream), None)

    async def _look(self) -> None:
        while not self._is_done():
            await self._transport.pause(_deadline.LOOK_SECONDS)
            await self._look_once()

    # In one step with `watch`: a stream that is opened now starts another reader.
    def _is_done(self) -> bool:
        with MUTEX:
            self._streams = {
                stream: socket_file
                for stream, socket_file in self._streams.items()
                if stream() is not None
            }
            if self._streams and not self._transport.closed:
                return False
            self._readers = []
            return True

    async def _look_once(self) -> None:
        with MUTEX:
            # Not those that are opened during the ping: they may be of the next daemon.
            streams = dict(self._streams)
        current = self._transport.socket_identity()
        changed = any(socket_file != current for socket_file in streams.values())
        if self._transport.closed or not streams or (self._transport.in_touch and not changed):
            return
        loss = await self._ping()
        for stream, socket_file in streams.items():
            replaced = current is not None and socket_file not in (None, current)
            if loss is not None:
                _abandon(stream, loss)
            elif replaced:
                _abandon(stream, self._transport.unavailable("another daemon has taken its place"))

    async def _ping(self) -> DaemonUnavailableError | None:
        try:
            deadline = Deadline(_deadline.ANSWER_SECONDS)
            await self._transport.unary(PING, requests.ping(), deadline)
        except DaemonUnavailableError as error:
            return error.with_traceback(None)
        except SandboxClientError:
            return None  # it is closed, slow or strange, but not shutting down
        return None


def _abandon(stream: ref[ResponseStream[Any]], loss: DaemonUnavailableError) -> None:
    alive = stream()
    if alive is not None:
        alive.abandon(loss)
