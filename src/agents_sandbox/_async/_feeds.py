"""One event stream for each sandbox that is waited for, however many wait."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from copy import copy

from .._aio import Mailbox, Reader
from .._deadline import Deadline
from .._forks import MUTEX
from .._wire import requests
from ..errors import DaemonUnavailableError, SandboxClientError
from ..models import SandboxEvent
from ._subscription import Break, Subscription
from ._transport import Transport

# For those who join with a snapshot that is older than the newest event; when it is older than
# this many, the stream begins anew for all.
_REMEMBERED = 1024


class Feeds:
    """The event streams that the waits of one client share.

    Args:
        transport: The way to the daemon.
        rpc_seconds: How long the daemon may take to answer, in seconds.
    """

    def __init__(self, transport: Transport, rpc_seconds: float) -> None:
        self._transport = transport
        self._rpc_seconds = rpc_seconds
        self._feeds: dict[str, _Feed] = {}

    def join(self, follower: Follower, sandbox_id: str, after: int) -> None:
        """Deliver the events of a sandbox to a follower until it leaves, or the feed ends.

        Args:
            follower: Who follows.
            sandbox_id: The sandbox.
            after: Deliver the events after this sequence.
        """
        # All at once: whoever comes meanwhile finds a feed that is being read.
        with MUTEX:
            feed = self._feeds.get(sandbox_id)
            if feed is not None and feed.alive() and feed.covers(after):
                feed.add(follower, after)
                return
            fresh = self._feed(sandbox_id, after)
            # First of all: whatever interrupts us now, its leaving ends the feed.
            fresh.add(follower, after)
            self._feeds[sandbox_id] = fresh
            fresh.start()
            if feed is not None and feed.alive():
                feed.hand_over(fresh)

    def _feed(self, sandbox_id: str, after: int) -> _Feed:
        events = Subscription(
            self._transport,
            requests.subscribe_sandbox_events(sandbox_id, after),
            Deadline(math.inf),
            rpc_seconds=self._rpc_seconds,
            patience_seconds=math.inf,
        )
        return _Feed(events, lambda feed: self._forget(sandbox_id, feed))

    def _forget(self, sandbox_id: str, feed: _Feed) -> None:
        if self._feeds.get(sandbox_id) is feed:
            del self._feeds[sandbox_id]


class Follower:
    """What one wait sees of a feed.

    Args:
        concerns: Says whether the wait has any use for an event. Called by whoever reads the
            stream, so it must be quick and pure.
    """

    def __init__(self, concerns: Callable[[SandboxEvent], bool]) -> None:
        self._concerns = concerns
        self._mailbox: Mailbox[SandboxEvent | Break | SandboxClientError] = Mailbox()
        self.feed: _Feed | None = None
        """What it follows; None before it joins and after the feed has ended."""
        self.after: int | None = None
        """It has been given all that concerns it up to this sequence; None before it joins."""

    @property
    def trouble(self) -> DaemonUnavailableError | None:
        """Why nothing comes at present, if something is wrong."""
        return None if self.feed is None else self.feed.trouble

    async def next(self, deadline: Deadline) -> SandboxEvent | Break | None:
        """Return the next event that concerns it; None at the deadline.

        Raises:
            SandboxClientError: The feed ended so.
        """
        item = await self._mailbox.take(deadline.remaining())
        if isinstance(item, SandboxClientError):
            raise copy(item) from item
        return item

    def leave(self) -> None:
        """Be given nothing more. Who leaves last ends the stream. Safe to repeat.

        Who is interrupted in the middle of it has to repeat it.
        """
        with MUTEX:
            feed = self.feed
            last = feed is not None and feed.remove(self)
        if feed is not None and last:
            feed.close()
        self.feed = None

    def put(self, item: SandboxEvent | Break | SandboxClientError) -> None:
        """Be given something."""
        if isinstance(item, SandboxEvent):
            if item.sequence <= (self.after or 0):
                return
            self.after = item.sequence
            if not self._concerns(item):
                return
        self._mailbox.put(item)


class _Feed:
    """A stream of events that is handed on to all who follow.

    Args:
        events: Where they come from.
        forget: Called when nobody can join any more, with the mutex held.
    """

    def __init__(self, events: Subscription, forget: Callable[[_Feed], None]) -> None:
        self._events = events
        self._forget = forget
        self._position = self._begin = events.position
        self._recent: deque[SandboxEvent] = deque(maxlen=_REMEMBERED)
        self._followers: set[Follower] = set()
        self._readers: list[Reader] = []  # none yet, or the one

    @property
    def trouble(self) -> DaemonUnavailableError | None:
        """Why nothing comes at present, if something is wrong."""
        return self._events.trouble

    def start(self) -> None:
        """Begin to read."""
        self._readers.append(Reader(self._read, self._ended))

    def alive(self) -> bool:
        """Whether it is being read, and here."""
        return any(reader.alive() for reader in self._readers)

    def covers(self, after: int) -> bool:
        """Whether it still has all events after this sequence."""
        return after >= (self._recent[0].sequence - 1 if self._recent else self._begin)

    def add(self, follower: Follower, after: int) -> None:
        """Hand on to one more, beginning with what it has missed; with the mutex held."""
        follower.feed, follower.after = self, after
        self._followers.add(follower)
        for event in self._recent:
            follower.put(event)

    def hand_over(self, to: _Feed) -> None:
        """Let another feed, which begins earlier, serve all who follow; with the mutex held."""
        # Ended first: if we are interrupted, those who are left are told, and join anew.
        self.close()
        for follower in tuple(self._followers):
            to.add(follower, follower.after or 0)
            self._followers.discard(follower)

    def remove(self, follower: Follower) -> bool:
        """Hand on to one less, and say whether it was the last; with the mutex held."""
        self._followers.discard(follower)
        if self._followers:
            return False
        self._forget(self)
        return True

    def close(self) -> None:
        """End the stream; nobody follows it any more."""
        self._events.cancel()
        for reader in self._readers:
            reader.stop()

    async def _read(self) -> None:
        try:
            while (item := await self._events.read()) is not Break.END:
                self._hand_on(item)
        except SandboxClientError as error:
            self._end(error)

    def _ended(self) -> None:
        self._events.cancel()
        self._end(Break.END)

    def _hand_on(self, item: SandboxEvent | Break) -> None:
        with MUTEX:
            if isinstance(item, SandboxEvent):
                if item.sequence != self._position + 1:
                    self._tell(Break.UNSURE)
                self._position = item.sequence
                self._recent.append(item)
            self._tell(item)

    def _end(self, end: Break | SandboxClientError) -> None:
        with MUTEX:
            self._forget(self)
            self._tell(end)
            for follower in self._followers:
                follower.feed = None
            self._followers.clear()

    def _tell(self, item: SandboxEvent | Break | SandboxClientError) -> None:
        for follower in self._followers:
            follower.put(item)
