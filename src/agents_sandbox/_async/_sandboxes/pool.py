"""READY sandboxes that are made before they are needed."""

from __future__ import annotations

from collections import deque
from copy import copy
from dataclasses import dataclass, fields
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..._aio import CleanUp, Mailbox, Reader, public
from ..._arguments.creates import NewSandbox
from ..._arguments.durations import DurationLike, to_seconds
from ..._deadline import Backoff, Deadline
from ..._enums import SandboxState
from ..._goals.goal import within
from ..._notes import note_interruption
from ..._surroundings.forks import MUTEX
from ..._tracebacks import ends_at_caller
from ...errors import (
    ClientClosedError,
    ClientLoopError,
    InvalidArgumentError,
    OperationTimeoutError,
    SandboxClientError,
    SandboxNotFoundError,
    ScopeClosedError,
    UnsupportedDaemonError,
)
from .lifetime import SandboxLifetime
from .sandbox import Sandbox
from .scope import SandboxScope

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from ..._arguments.creates import SandboxArguments

_ROUNDS = 3
"""After so many failures of every place, in a row, those who wait get the error."""

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


class SandboxPool:
    """A context manager that keeps sandboxes READY for those who take them.

    Made by `client.pool()`. Any number of tasks or threads may use it at once.

    Args:
        scope: Makes the sandboxes, and deletes what is left of them at the end.
        size: How many to keep READY.
        make: Makes the lifetime of the next one.
        patience_seconds: How long to wait for one by default, in seconds.
    """

    __module__ = "agents_sandbox"

    def __init__(
        self,
        scope: SandboxScope,
        size: int,
        make: Callable[[], SandboxLifetime],
        patience_seconds: float,
    ) -> None:
        self._scope = scope
        self._make = make
        self._patience = patience_seconds
        self._places = tuple(_Place(self, make) for _ in range(size))
        self._stopping = CleanUp(self._stop)
        self._ready: deque[_Offer] = deque()
        self._takers: deque[_Taker] = deque()
        self._failures = 0
        self._last_failure: SandboxClientError | None = None
        self._broken: SandboxClientError | None = None
        self._entered = False
        self._closed = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"ready={self.available}"
        return f"<{type(self).__name__} size={self.size} {state}>"

    @property
    def size(self) -> int:
        """How many sandboxes it keeps READY."""
        return len(self._places)

    @property
    def available(self) -> int:
        """How many are READY now and can be taken without a wait, as far as is known."""
        return len(self._ready)

    async def __aenter__(self) -> Self:
        if self._entered:
            raise SandboxClientError(
                "this pool was entered before: make a new one with client.pool()"
            )
        self._entered = True
        # An interruption can come at any line, also of the inner handler.
        try:
            try:
                return self._start()
            except BaseException as error:
                await self._end(error)
                raise
        except BaseException as error:
            await self._end(error)
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._end(exc)
        except BaseException as error:
            await self._end(exc or error)
            if exc is None:
                raise
            note_interruption(exc, error)

    @ends_at_caller
    def take(self, *, timeout_seconds: DurationLike | None = None) -> _Take:
        """Return a context manager: a READY sandbox for one block, which is then deleted.

        Those who wait are served in turn. The deletion is that of `client.sandbox`.

        Args:
            timeout_seconds: How long to wait for one, in seconds; None: the client's
                `operation_timeout_seconds`.

        Returns:
            A context manager that can be entered once and gives the sandbox. Entering it raises
            `OperationTimeoutError`: none became READY in time; the error of the create, if no
            retry can change it or if it has happened again and again; `ScopeClosedError`: the
            pool has ended, or was not entered.

        Raises:
            InvalidArgumentError: The timeout is not acceptable.
        """
        if timeout_seconds is None:
            return _Take(self, self._patience)
        return _Take(self, to_seconds("timeout_seconds", timeout_seconds))

    # What follows is for the places and takers.

    @property
    def closed(self) -> bool:
        """Whether it makes no more sandboxes."""
        return self._closed

    def offer(self, offer: _Offer) -> None:
        """Add a sandbox that has become READY."""
        with MUTEX:
            self._failures, self._last_failure = 0, None
            self._ready.append(offer)
            self._match()

    def wait_for_offer(self, taker: _Taker, *, first: bool) -> None:
        """Let somebody wait for a sandbox, as the last one or the first."""
        with MUTEX:
            if self._closed or not self._entered:
                raise _ended()
            if self._broken is not None:
                raise copy(self._broken) from self._broken.__cause__
            if first:
                self._takers.appendleft(taker)
            else:
                self._takers.append(taker)
            self._match()

    def give_back(self, taker: _Taker) -> None:
        """Let nobody wait any more, and take back what was not used. Safe to repeat."""
        with MUTEX:
            if taker in self._takers:
                self._takers.remove(taker)
            if taker.offer is not None and taker.offer not in self._ready:
                self._ready.appendleft(taker.offer)
            taker.offer = None
            self._match()

    # In this order, an interrupted taker has what is no longer there for others.
    def _match(self) -> None:
        while self._ready and self._takers:
            taker = self._takers[0]
            taker.offer = self._ready[0]
            self._ready.popleft()
            self._takers.popleft()
            taker.ring()

    def fail(self, error: SandboxClientError) -> bool:
        """Take note of a create that failed; return whether it is worth a retry."""
        permanent = isinstance(error, _PERMANENT)
        with MUTEX:
            self._failures += 1
            self._last_failure = error
            if permanent:
                self._broken = error
            if permanent or self._failures >= _ROUNDS * self.size:
                self._dismiss(error)
        return not permanent

    def _dismiss(self, error: SandboxClientError) -> None:
        for taker in self._takers:
            taker.error = error
            taker.ring()
        self._takers.clear()

    def late(self, seconds: float | None) -> OperationTimeoutError:
        """Make the error of somebody who has waited for too long."""
        failure = self._last_failure
        text = "" if failure is None else f" The last create failed: {failure}."
        late = OperationTimeoutError(
            f"no sandbox of the pool was READY {within(seconds)}.{text} Increase timeout_seconds "
            "or the size of the pool",
            timeout_seconds=seconds,
        )
        late.__cause__ = failure
        return late

    async def make_one(self) -> _Offer:
        """Make a sandbox where none can be made in the background."""
        lifetime = self._make()
        return _Offer(None, lifetime, await lifetime.__aenter__())

    def served(self) -> bool:
        """Whether it makes sandboxes in the background."""
        return any(place.alive() for place in self._places)

    def _start(self) -> Self:
        for place in self._places:
            place.start()
        return self

    async def _end(self, raising: BaseException | None) -> None:
        with MUTEX:
            self._closed = True
            self._dismiss(_ended())
        for place in self._places:
            place.wake()
        try:
            await self._scope.__aexit__(None, raising, None)
        finally:
            await self._stopping.finish(raising)

    async def _stop(self) -> None:
        for place in self._places:
            await place.stop()


class _Place:
    """Keeps one sandbox ready: makes it, and makes another one when that is taken.

    Args:
        pool: The pool.
        make: Makes the lifetime of the next one.
    """

    def __init__(self, pool: SandboxPool, make: Callable[[], SandboxLifetime]) -> None:
        self._pool = pool
        self._make = make
        self._leaving: Mailbox[_Offer | bool] = Mailbox()  # True: only wake up
        self._readers: list[Reader] = []  # empty before start(), one after

    def start(self) -> None:
        """Begin."""
        self._readers.append(Reader(self._serve, lambda: None))

    def alive(self) -> bool:
        """Whether it works in the background, in this process and loop."""
        return any(reader.alive() for reader in self._readers)

    def wake(self) -> None:
        """Let it notice that the pool is closed."""
        self._leaving.put(True)

    def let_go(self, offer: _Offer) -> None:
        """Replace a sandbox that was taken or is dead. Safe to repeat."""
        self._leaving.put(offer)

    async def stop(self) -> None:
        """Wait until it has ended."""
        for reader in self._readers:
            reader.stop()
            await reader.ended()

    async def _serve(self) -> None:
        backoff = _CreateBackoff()
        while not self._pool.closed:
            try:
                lifetime = self._make()
                offer = _Offer(self, lifetime, await lifetime.__aenter__())
            except SandboxClientError as error:
                if not self._pool.fail(error):
                    return
                await self._leaving.take(backoff.pause(_NO_DEADLINE))
                continue
            backoff.reset()
            self._pool.offer(offer)
            while not self._pool.closed and await self._leaving.take(None) is not offer:
                pass  # it was woken up, or told about one that has left before
            if offer.dead:
                await self._delete(offer)

    async def _delete(self, offer: _Offer) -> None:
        try:
            await offer.lifetime.__aexit__(None, None, None)
        except SandboxClientError:
            return  # the end of the pool tries it again


_NO_DEADLINE = Deadline(float("inf"))


@dataclass(eq=False)
class _Offer:
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


class _Taker:
    """Somebody who waits for a sandbox.

    Attributes:
        offer: What was given to it.
        error: Why it gets nothing.
    """

    def __init__(self) -> None:
        self._bell: Mailbox[bool] = Mailbox()
        self.offer: _Offer | None = None
        self.error: SandboxClientError | None = None

    def ring(self) -> None:
        """Wake it up."""
        self._bell.put(True)

    async def woken(self, deadline: Deadline) -> bool:
        """Wait until it is woken up; False at the deadline."""
        return bool(await self._bell.take(deadline.remaining()))


class _Take:
    """A context manager: a sandbox of the pool for one block.

    Args:
        pool: The pool.
        seconds: How long to wait for it, in seconds.
    """

    def __init__(self, pool: SandboxPool, seconds: float) -> None:
        self._pool = pool
        self._seconds = seconds
        self._taker: _Taker | None = None
        self._taken: _Offer | None = None

    @public
    async def __aenter__(self) -> Sandbox:
        if self._taker is not None:
            raise SandboxClientError("this context manager was entered before: call take() again")
        try:
            try:
                return await self._take(Deadline(self._seconds))
            except BaseException as error:
                await self._give_up(error)
                raise
        except BaseException as error:
            await self._give_up(error)
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._end(exc)
        except BaseException as error:
            await self._end(exc or error)
            if exc is None:
                raise
            note_interruption(exc, error)

    async def _take(self, deadline: Deadline) -> Sandbox:
        while True:
            offer = await self._next(deadline)
            if await _is_ready(offer.sandbox):
                self._taken = offer
                offer.leave()
                return offer.sandbox
            offer.dead = True
            offer.leave()

    async def _next(self, deadline: Deadline) -> _Offer:
        first = self._taker is not None  # it was given a dead one in its turn
        taker = self._taker = _Taker()
        self._pool.wait_for_offer(taker, first=first)
        while taker.offer is None:
            if taker.error is not None:
                raise copy(taker.error) from taker.error.__cause__
            if not self._pool.served():
                # No thread can be started, or this is a forked child.
                taker.offer = await self._pool.make_one()
            elif not await taker.woken(deadline) and taker.offer is None:
                raise self._pool.late(deadline.bound)
        return taker.offer

    async def _give_up(self, raising: BaseException) -> None:
        if self._taken is not None:
            await self._end(raising)
        elif self._taker is not None:
            self._pool.give_back(self._taker)

    async def _end(self, raising: BaseException | None) -> None:
        if self._taken is not None:
            self._taken.leave()
            await self._taken.lifetime.__aexit__(None, raising, None)


async def _is_ready(sandbox: Sandbox) -> bool:
    try:
        return (await sandbox.refresh()).state is SandboxState.READY
    except SandboxNotFoundError:  # deleted and purged
        return False


def _ended() -> ScopeClosedError:
    return ScopeClosedError("the pool has ended or was not entered: it has no sandboxes")


def repeatable(arguments: SandboxArguments) -> SandboxArguments:
    """Check the arguments of creates, and return some that can be used again and again.

    Without an `idle_ttl` in them, the daemon would stop the sandboxes that wait.

    Raises:
        InvalidArgumentError: One is not acceptable.
    """
    if arguments.get("sandbox_id") is not None:
        raise InvalidArgumentError("sandbox_id cannot be chosen: a pool has many sandboxes")
    new = NewSandbox(**arguments)
    again: Any = {
        field.name: value
        for field in fields(new)
        if field.name not in ("sandbox_id", "id_is_ours")
        and (value := getattr(new, field.name)) not in (None, "", b"", (), {})
    }
    if not new.config_yaml:
        again.setdefault("idle_ttl", timedelta(0))
    checked: SandboxArguments = again
    return checked
