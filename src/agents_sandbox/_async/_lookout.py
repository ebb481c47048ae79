"""Notices that the daemon is shutting down, and lets go of its event streams."""

from __future__ import annotations

from typing import Any
from weakref import ref

from .. import _deadline
from .._aio import Mailbox, Reader
from .._deadline import Deadline
from .._forks import MUTEX
from .._wire import requests
from .._wire.methods import PING
from ..errors import ClientClosedError, DaemonUnavailableError, SandboxClientError
from ._transport import ResponseStream, Transport


class Lookout:
    """Pings the daemon while event streams are open and no other call has reached it.

    A daemon that is told to stop refuses new calls but waits up to 60 s for open event streams.
    A stream does not show this, and whoever keeps one open delays the daemon's exit. So if a ping
    finds the daemon unavailable, all streams end with that error; their readers reconnect.

    Args:
        transport: The connection to the daemon.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        # Not a WeakSet: its callbacks are Python code. If a signal handler raises in one, the set
        # counts an object that is gone.
        self._streams: set[ref[ResponseStream[Any]]] = set()
        self._readers: list[Reader] = []  # none, or the one that looks
        self._wake: Mailbox[bool] = Mailbox()

    def watch(self, stream: ResponseStream[Any]) -> None:
        """Let go of a stream when the daemon shuts down, unless it ends before."""
        stream.on_end = self._forget
        with MUTEX:
            self._streams.add(ref(stream))
            if not any(reader.alive() for reader in self._readers):
                self._wake = Mailbox()
                self._readers = [Reader(self._look, lambda: None)]

    def _forget(self, stream: ResponseStream[Any]) -> None:
        with MUTEX:
            self._streams.discard(ref(stream))
            if not self._streams:
                self._wake.put(True)

    async def _look(self) -> None:
        wake = self._wake
        while not self._is_done(wake):
            await wake.take(_deadline.LOOK_SECONDS)
            if not self._is_done(wake) and not self._transport.in_touch:
                await self._ping()

    # In one step with `watch`: a stream that is opened now starts another reader.
    def _is_done(self, wake: Mailbox[bool]) -> bool:
        with MUTEX:
            self._streams = {stream for stream in self._streams if stream() is not None}
            if self._streams and self._wake is wake:
                return False
            if self._wake is wake:
                self._readers = []
            return True

    async def _ping(self) -> None:
        try:
            deadline = Deadline(_deadline.ANSWER_SECONDS)
            await self._transport.unary(PING, requests.ping(), deadline)
        except (ClientClosedError, DaemonUnavailableError) as error:
            with MUTEX:
                streams = [stream() for stream in self._streams]
            for stream in filter(None, streams):
                stream.abandon(error)
        except SandboxClientError:
            return  # it is slow or strange, but not shutting down
