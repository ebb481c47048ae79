"""One event stream for each sandbox, shared by all waits on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy

from .. import _deadline
from .._aio import Mailbox, Reader
from .._deadline import Deadline
from .._enums import SandboxState
from .._notes import nothing
from .._sequence import EventSequence
from .._surroundings.forks import MUTEX
from ..errors import DaemonUnavailableError, SandboxClientError
from ..models import SandboxEvent
from ._daemon import Daemon
from ._subscription import Break, Subscription

# Events kept for followers that join with a snapshot older than the newest event. If one needs
# even older events, a new stream that begins earlier replaces the old one for all followers.
_REMEMBERED = 1024

_FOREVER = Deadline(math.inf)


class Feeds:
    """The event streams that the waits of one client share.

    Args:
        daemon: The daemon.
        rpc_seconds: How long the daemon may take to answer a ping, in seconds.
    """

    def __init__(self, daemon: Daemon, rpc_seconds: float) -> None:
        self._daemon = daemon
        self._rpc_seconds = rpc_seconds
        self._feeds: dict[str, _Feed] = {}

    def join(self, follower: Follower, sandbox_id: str, after: int) -> None:
        """Deliver the events of a sandbox to a follower until it leaves or the feed ends.

        Args:
            follower: The follower.
            sandbox_id: The sandbox.
            after: Deliver the events after this sequence.
        """
        # Hold the mutex throughout, so that other followers find only feeds that are being read.
        with MUTEX:
            feed = self._feeds.get(sandbox_id)
            if feed is not None and feed.alive() and feed.covers(after):
                feed.add(follower, after)
                return
            fresh = self._feed(sandbox_id, after)
            # Add the follower first: if we are interrupted after this, its `leave` closes the feed.
            fresh.add(follower, after)
            self._feeds[sandbox_id] = fresh
            fresh.start()
            if feed is not None and feed.alive() and fresh.in_background:
                feed.hand_over(fresh)

    def _feed(self, sandbox_id: str, after: int) -> _Feed:
        events = Subscription(
            self._daemon,
            EventSequence(sandbox_id, after),
            _FOREVER,
            rpc_seconds=self._rpc_seconds,
            patience_seconds=math.inf,
            watched=False,
        )
        return _Feed(sandbox_id, events, self._forget)

    def _forget(self, feed: _Feed) -> None:
        if self._feeds.get(feed.sandbox_id) is feed:
            del self._feeds[feed.sandbox_id]


class Follower:
    """One wait's view of a feed.

    Args:
        concerns: Whether the wait needs an event. The reader of the stream calls it, so it must
            be quick and pure.
    """

    __slots__ = ("__weakref__", "_concerns", "_mailbox", "after", "farewell", "feed", "state")

    def __init__(self, concerns: Callable[[SandboxEvent], bool]) -> None:
        self._concerns = concerns
        self._mailbox: Mailbox[SandboxEvent | Break | SandboxClientError] = Mailbox()
        self.feed: _Feed | None = None
        """The feed that it follows; None before it joins and after the feed has ended."""
        self.farewell: object = None
        """What calls `leave` when the owner of the wait has been collected."""
        self.after: int | None = None
        """The sequence up to which it has received all events that it needs; None before it joins.
        """
        self.state: SandboxState = SandboxState.UNSPECIFIED
        """The newest state of the sandbox that an event has reported."""

    @property
    def trouble(self) -> DaemonUnavailableError | None:
        """Why no events come at present, if something is wrong."""
        feed = self.feed  # any thread may ask
        return None if feed is None else feed.trouble

    async def next(self, deadline: Deadline) -> SandboxEvent | Break | None:
        """Return the next event that concerns it; None at the deadline.

        Raises:
            SandboxClientError: The error that ended the feed.
        """
        feed = self.feed
        in_turn = feed is not None and not feed.in_background
        item = await self._mailbox.take(0.0 if in_turn else deadline.remaining())
        if item is None and feed is not None and in_turn:
            await feed.read_in_turn(deadline)
            item = await self._mailbox.take(0.0)
        if isinstance(item, SandboxClientError):
            raise copy(item) from item.__cause__  # each follower adds its own traceback
        return item

    def leave(self) -> None:
        """Stop following. The last follower to leave closes the stream. Safe to repeat.

        If it is interrupted, it has to be repeated.
        """
        with MUTEX:
            feed = self.feed
            last = feed is not None and feed.remove(self)
        if feed is not None and last:
            feed.close()
        self.feed = None

    def put(self, item: SandboxEvent | Break | SandboxClientError) -> None:
        """Receive an item from the feed."""
        if isinstance(item, SandboxEvent):
            if item.sequence <= (self.after or 0):
                return
            self.after = item.sequence
            self.state = item.sandbox_state or self.state
            if not self._concerns(item):
                return
        self._mailbox.put(item)


class _Feed:
    """A stream of events for all its followers.

    Args:
        sandbox_id: The sandbox.
        events: The source of the events.
        forget: Called, with the mutex held, when no follower can join any more.
    """

    __slots__ = (
        "_begin",
        "_events",
        "_followers",
        "_forget",
        "_position",
        "_readers",
        "_recent",
        "sandbox_id",
    )

    def __init__(
        self, sandbox_id: str, events: Subscription, forget: Callable[[_Feed], None]
    ) -> None:
        self.sandbox_id: str = sandbox_id
        self._events = events
        events.on_loss = self._report_loss
        self._forget = forget
        self._position = self._begin = events.position
        self._recent: list[SandboxEvent] = []
        self._followers: set[Follower] = set()
        self._readers: list[Reader] = []  # one from start() on, until it has ended

    @property
    def trouble(self) -> DaemonUnavailableError | None:
        """Why no events come at present, if something is wrong."""
        return self._events.trouble

    @property
    def in_background(self) -> bool:
        """Whether its followers only wait; otherwise each one has to read in turn."""
        return all(reader.in_background for reader in self._readers)

    def start(self) -> None:
        """Start reading."""
        self._readers.append(Reader(self._read, self._on_end))

    def alive(self) -> bool:
        """Whether it is being read in this process and loop."""
        return any(reader.alive() for reader in self._readers)

    def covers(self, after: int) -> bool:
        """Whether it still has all events after this sequence."""
        return after >= (self._recent[0].sequence - 1 if self._recent else self._begin)

    def add(self, follower: Follower, after: int) -> None:
        """Add a follower, which first receives what it missed; with the mutex held."""
        follower.feed, follower.after = self, after
        self._followers.add(follower)
        for event in self._recent:
            follower.put(event)

    def hand_over(self, to: _Feed) -> None:
        """Move all followers to another feed, which begins earlier; with the mutex held."""
        # Close it first: if we are interrupted, the remaining followers see its end and join again.
        self.close()
        for follower in tuple(self._followers):
            to.add(follower, follower.after or 0)
            self._followers.discard(follower)

    def remove(self, follower: Follower) -> bool:
        """Remove a follower and return whether it was the last; with the mutex held."""
        self._followers.discard(follower)
        if self._followers:
            return False
        self._forget(self)
        return True

    def close(self) -> None:
        """Close the stream, once it has no followers any more or another feed replaces it."""
        self._events.cancel()
        for reader in self._readers:
            reader.stop()

    async def read_in_turn(self, deadline: Deadline) -> None:
        """Read one item, where nothing can be read in the background.

        It does not take long, so that the wait reads a snapshot now and then.
        """
        try:
            self._publish(await self._events.read_until(deadline.within(_deadline.LOOK_SECONDS)))
        except SandboxClientError as error:
            self._end(error)

    async def _read(self) -> None:
        try:
            while (item := await self._events.read()) is not Break.END:
                self._publish(item)
        except SandboxClientError as error:
            self._end(error)

    def _on_end(self) -> None:
        self._events.cancel()
        self._end(Break.END)
        # They refer to the feed. The garbage of thousands of waits that end would be collected
        # again and again, and the more of them are open, the longer each collection takes.
        self._events.on_loss = nothing
        self._readers.clear()

    def _publish(self, item: SandboxEvent | Break) -> None:
        with MUTEX:
            if isinstance(item, SandboxEvent):
                if item.sequence != self._position + 1:
                    self._broadcast(Break.UNSURE)
                self._position = item.sequence
                self._recent.append(item)
                del self._recent[:-_REMEMBERED]
            self._broadcast(item)

    def _report_loss(self) -> None:
        with MUTEX:
            self._broadcast(Break.LOST)

    def _end(self, end: Break | SandboxClientError) -> None:
        with MUTEX:
            self._forget(self)
            self._broadcast(end)
            for follower in self._followers:
                follower.feed = None
            self._followers.clear()

    def _broadcast(self, item: SandboxEvent | Break | SandboxClientError) -> None:
        for follower in self._followers:
            follower.put(item)
