"""What a pool has in stock, and who waits for it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import NoReturn

from ..._aio import Mailbox, Reader, public
from ..._deadline import Backoff, Deadline
from ..._goals.goal import within
from ..._surroundings.forks import MUTEX
from ..._telemetry import reports
from ...errors import (
    ClientClosedError,
    ClientLoopError,
    InvalidArgumentError,
    OperationTimeoutError,
    SandboxClientError,
    ScopeClosedError,
    UnsupportedDaemonError,
)
from .lifetime import SandboxLifetime
from .sandbox import Sandbox

_ROUNDS = 3
"""After so many failures for each place, in a row, those who wait get the error."""

_PERMANENT = (
    ClientClosedError,
    ClientLoopError,
    InvalidArgumentError,
    ScopeClosedError,
    UnsupportedDaemonError,
)
"""What no retry changes."""


class _CreateBackoff(Backoff):
    """As that of calls, but longer: each attempt makes containers, or at least tries to."""

    _LONGEST = 5.0


class Stock:
    """Sandboxes that are READY before they are needed.

    Args:
        size: How many.
        make: Makes the lifetime of the next one.
    """

    def __init__(self, size: int, make: Callable[[], SandboxLifetime]) -> None:
        self._make = make
        self.places: tuple[_Place, ...] = tuple(_Place(self, make) for _ in range(size))
        self.ready: deque[Offer] = deque()
        self.takers: deque[Taker] = deque()
        self.closed: bool = True
        self._failures = 0
        self._last_failure: SandboxClientError | None = None
        self._broken: SandboxClientError | None = None

    def start(self) -> None:
        """Begin to make sandboxes."""
        self.closed = False
        for place in self.places:
            place.start()

    def close(self) -> None:
        """Make no more. Those who wait get an error."""
        with MUTEX:
            self.closed = True
            self._dismiss(_ended())
        for place in self.places:
            place.wake()

    async def stop(self) -> None:
        """Wait until nothing of it runs in the background."""
        for place in self.places:
            await place.stop()

    def offer(self, offer: Offer) -> None:
        """Add a sandbox that has become READY."""
        with MUTEX:
            self._failures, self._last_failure = 0, None
            self.ready.append(offer)
            self._match()

    def enqueue(self, taker: Taker, *, first: bool) -> None:
        """Let somebody wait for a sandbox, as the last one or the first."""
        with MUTEX:
            if self.closed:
                raise _ended()
            if self._broken is not None:
                _raise_copy(self._broken)
            if first:
                self.takers.appendleft(taker)
            else:
                self.takers.append(taker)
            self._match()

    def give_back(self, taker: Taker) -> None:
        """Let somebody wait no more, and take back what was not used. Safe to repeat."""
        with MUTEX:
            if taker in self.takers:
                self.takers.remove(taker)
            if taker.offer is not None and taker.offer not in self.ready:
                self.ready.appendleft(taker.offer)
            taker.offer = None
            self._match()

    # In this order, an interrupted taker has what is no longer there for others.
    def _match(self) -> None:
        while self.ready and self.takers:
            taker = self.takers[0]
            taker.offer = self.ready[0]
            self.ready.popleft()
            self.takers.popleft()
            taker.ring()

    def fail(self, error: SandboxClientError) -> bool:
        """Take note of a create that failed; return whether it is worth a retry."""
        permanent = isinstance(error, _PERMANENT)
        with MUTEX:
            self._failures += 1
            self._last_failure = error
            if permanent:
                self._broken = error
            if permanent or self._failures >= _ROUNDS * len(self.places):
                self._dismiss(error)
        return not permanent

    def _dismiss(self, error: SandboxClientError) -> None:
        for taker in self.takers:
            taker.error = error
            taker.ring()
        self.takers.clear()

    async def wait(self, taker: Taker, deadline: Deadline) -> Offer:
        """Wait until somebody who was enqueued is given a sandbox."""
        while taker.offer is None:
            if taker.error is not None:
                _raise_copy(taker.error)
            if not any(place.alive() for place in self.places):
                # No thread can be started, or this is a forked child.
                lifetime = self._make()
                taker.offer = Offer(None, lifetime, await lifetime.__aenter__())
            elif not await taker.woken(deadline) and taker.offer is None:
                raise self._late(deadline.bound)
        return taker.offer

    def _late(self, seconds: float | None) -> OperationTimeoutError:
        failure = self._last_failure
        text = "" if failure is None else f" The last create failed: {failure}."
        late = OperationTimeoutError(
            f"no sandbox of the pool was READY {within(seconds)}.{text} Increase timeout_seconds "
            "or the size of the pool",
            timeout_seconds=seconds,
        )
        late.__cause__ = failure
        return late


class _Place:
    """Keeps one sandbox in stock: makes it, and makes another one when that has left.

    Args:
        stock: The stock.
        make: Makes the lifetime of the next one.
    """

    def __init__(self, stock: Stock, make: Callable[[], SandboxLifetime]) -> None:
        self._stock = stock
        self._make = make
        self._left: Mailbox[Offer | bool] = Mailbox()  # True: only wake up
        self._readers: list[Reader] = []  # empty before start(), one after

    def start(self) -> None:
        """Begin."""
        self._readers.append(Reader(self._serve, lambda: None))

    def alive(self) -> bool:
        """Whether it works in the background, in this process and loop."""
        return any(reader.alive() for reader in self._readers)

    def wake(self) -> None:
        """Let it notice that the stock is closed."""
        self._left.put(True)

    def let_go(self, offer: Offer) -> None:
        """Replace a sandbox that was taken or is dead."""
        self._left.put(offer)

    async def stop(self) -> None:
        """Wait until it has ended."""
        for reader in self._readers:
            reader.stop()
            await reader.ended()

    async def _serve(self) -> None:
        backoff = _CreateBackoff()
        while not self._stock.closed:
            try:
                offer = await self.create()
            except SandboxClientError as error:
                if not self._stock.fail(error):
                    return
                await self._left.take(backoff.pause(_NO_DEADLINE))
                continue
            if offer is None:
                return
            backoff.reset()
            self._stock.offer(offer)
            while not self._stock.closed and await self._left.take(None) is not offer:
                pass  # it was told about one that had left before
            if offer.dead:
                await self._delete(offer)

    # Public for telemetry alone: what the end of the pool interrupts is no error.
    @public
    async def create(self) -> Offer | None:
        """Create a sandbox; None if the pool, which deletes all of its own, has ended meanwhile."""
        lifetime = self._make()
        try:
            return Offer(self, lifetime, await lifetime.__aenter__())
        except BaseException as error:
            if self._stock.closed and not isinstance(error, (KeyboardInterrupt, SystemExit)):
                return None
            raise

    async def _delete(self, offer: Offer) -> None:
        try:
            await offer.lifetime.__aexit__(None, None, None)
        except SandboxClientError as error:
            reports.clean_up_failed("a delete, which the end of the pool tries again", error)


_NO_DEADLINE = Deadline(math.inf)


@dataclass(eq=False)
class Offer:
    """A sandbox that somebody can take.

    Attributes:
        place: Where it was ready; None: it was made for the taker.
        lifetime: Deletes it.
        sandbox: The sandbox.
        dead: Whether it turned out not to be READY any more.
        left: Whether the place knows that it is gone.
    """

    place: _Place | None
    lifetime: SandboxLifetime
    sandbox: Sandbox
    dead: bool = False
    left: bool = False

    def leave(self) -> None:
        """Let the place make another one. Safe to repeat."""
        if self.place is not None and not self.left:
            self.place.let_go(self)
        self.left = True


class Taker:
    """Somebody who waits for a sandbox.

    Attributes:
        offer: What was given to it.
        error: Why it gets nothing.
    """

    def __init__(self) -> None:
        self._bell: Mailbox[bool] = Mailbox()
        self.offer: Offer | None = None
        self.error: SandboxClientError | None = None

    def ring(self) -> None:
        """Wake it up."""
        self._bell.put(True)

    async def woken(self, deadline: Deadline) -> bool:
        """Wait until it is woken up; False at the deadline."""
        return bool(await self._bell.take(deadline.remaining()))


def _ended() -> ScopeClosedError:
    return ScopeClosedError("the pool has ended or was not entered: it has no sandboxes")


# Each one who waits adds its own traceback.
def _raise_copy(error: SandboxClientError) -> NoReturn:
    raise copy(error) from error.__cause__
