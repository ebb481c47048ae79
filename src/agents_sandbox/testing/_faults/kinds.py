"""The faults: each wraps calls, or the events of streams.

A fault gets a call or an event together with a function that executes it, and decides whether,
when and how often to run that function. Active faults wrap one another, the newest outermost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.message import Message

from ..._shared.shown import OneLineRepr, shown
from ..._wire import v02_pb2 as pb
from .._checks import check_count, check_seconds
from .._protocol.refusals import StatusError
from .._protocol.rpcs import STREAMS, check_method
from .._time.clock import Sleep
from .garbage import GARBAGE

BURNERS = ("CreateSandbox", "CreateExec")
"""The RPCs that reserve an id."""

# A client that hears of its deadline later than this from the daemon has already given up.
_BEFORE_DEADLINE = 0.01

Answer: TypeAlias = Message | bytes | None
"""The response of a unary RPC; None: the RPC is a stream, and has sent its events."""
Proceed: TypeAlias = Callable[[], Awaitable[Answer]]
"""Executes a call: returns its response, or sends its events."""
Send: TypeAlias = Callable[[pb.SandboxEvent], Awaitable[None]]
"""Sends an event."""
MakeFailure: TypeAlias = Callable[[], StatusError]
"""Makes a new failure for each call: an exception raised repeatedly grows its traceback."""
EventMatch: TypeAlias = Callable[[Any], bool]
"""Takes an event's message and returns whether to act on the event."""


@dataclass(eq=False, repr=False)
class Call(OneLineRepr):
    """An RPC in progress."""

    method: str
    request: Any
    time_remaining: float | None = None
    """Seconds until the client's deadline at the start of the call; None: it has none."""
    offered: int = 0
    """How many events the stream has had to send."""
    sent: int = 0
    """How many events the stream has sent, duplicates included."""

    @property
    def streams(self) -> bool:
        """Whether the RPC is a stream."""
        return STREAMS[self.method]


class Fault:
    """A fault that is active until its `with` block ends."""

    def __init__(self, method: str | None = None, times: int | None = None) -> None:
        if method is not None:
            check_method(method)
        if times is not None:
            check_count("times", times)
        self._method = method
        self._times = times
        self._hits = 0
        self._held: set[asyncio.Future[None]] = set()

    @property
    def hits(self) -> int:
        """How often it has acted."""
        return self._hits

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:  # noqa: ARG002 - subclasses use them
        """Serve a call; the call of a stream lasts until the stream ends.

        Raises:
            StatusError: The call fails.
        """
        return await proceed()

    async def on_event(self, call: Call, event: pb.SandboxEvent, send: Send) -> None:  # noqa: ARG002 - subclasses use them
        """Send an event of a stream.

        Raises:
            StatusError: The stream fails.
        """
        await send(event)

    def release(self) -> None:
        """Continue everything that the fault holds."""
        for waiting in self._held:
            waiting.cancel()

    def _hit(self, call: Call) -> bool:
        """Return whether to act on a call, and count it."""
        if self._method not in (None, call.method) or self._hits == self._times:
            return False
        self._hits += 1
        return True

    async def _hold(self, until: Awaitable[None]) -> None:
        waiting = asyncio.ensure_future(until)
        self._held.add(waiting)
        try:
            await asyncio.wait({waiting})
        finally:
            self._held.discard(waiting)
            waiting.cancel()

    async def _answer_late(
        self, call: Call, proceed: Proceed, until: Callable[[], Awaitable[None]]
    ) -> Answer:
        if call.streams:
            await self._hold(until())
            return await proceed()
        try:
            answer = await proceed()
        except StatusError:
            await self._hold(until())
            raise
        await self._hold(until())
        return answer


class Failing(Fault):
    """Calls fail and have no other effect."""

    def __init__(self, failure: MakeFailure, method: str | None, times: int | None) -> None:
        super().__init__(method, times)
        self._failure = failure

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Fail instead of executing the call."""
        if self._hit(call):
            raise self._failure()
        return await proceed()


class LosingAnswers(Failing):
    """Unary calls are executed, but their answers are lost."""

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Fail after executing the call."""
        answer = await proceed()
        if not call.streams and self._hit(call):
            raise self._failure()
        return answer


class BurningIds(Fault):
    """Creates reserve the id and fail before anything is stored, as in a crash of the daemon."""

    def __init__(
        self, failure: MakeFailure, burn: Callable[[Call], bool], method: str, times: int | None
    ) -> None:
        super().__init__(method, times)
        self._failure = failure
        self._burn = burn

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Reserve the id instead of executing the call, unless the id is empty or taken."""
        due = self._method == call.method and self._hits != self._times
        if due and self._burn(call) and self._hit(call):
            raise self._failure()
        return await proceed()


class EndingAtDeadlines(Fault):
    """Calls end at their deadline as the daemon sees it: a little before the client does."""

    def __init__(self, failure: MakeFailure | None, method: str | None, times: int | None) -> None:
        super().__init__(method, times)
        self._failure = failure

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """End the call just before its deadline: with the failure, or a stream cleanly."""
        applies = call.time_remaining is not None and (call.streams or self._failure is not None)
        if not applies:
            return await proceed()
        return await end_at_deadline(call, proceed, self._failure, lambda: self._hit(call))


async def end_at_deadline(
    call: Call,
    proceed: Proceed,
    failure: MakeFailure | None,
    due: Callable[[], bool] = lambda: True,
) -> Answer:
    """Serve a call until just before its deadline, then end it.

    Args:
        call: A call with a deadline.
        proceed: Executes it.
        failure: Makes the error; None: end a stream cleanly.
        due: Called just before the deadline; returns whether to end the call.

    Raises:
        StatusError: It did not end before.
    """
    seconds = max(0.0, (call.time_remaining or 0.0) - _BEFORE_DEADLINE)
    serving = asyncio.ensure_future(proceed())
    try:
        await asyncio.wait({serving}, timeout=seconds)
        if serving.done() or not due():
            return await serving
    finally:
        serving.cancel()
        await asyncio.wait({serving})
    if failure is None:
        return None
    raise failure()


class Delaying(Fault):
    """Answers come late, and streams start late."""

    def __init__(self, sleep: Sleep, seconds: float, method: str | None, times: int | None) -> None:
        super().__init__(method, times)
        check_seconds("seconds", seconds)
        self._sleep = sleep
        self._seconds = seconds

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Execute a unary call immediately and answer late, or start a stream late."""
        if self._hit(call):
            return await self._answer_late(call, proceed, lambda: self._sleep(self._seconds))
        return await proceed()


class HalfOpen(Fault):
    """No call is served and no event is sent until the block ends."""

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Execute the call when the block ends."""
        await self._stall(call)
        return await proceed()

    async def on_event(self, call: Call, event: pb.SandboxEvent, send: Send) -> None:
        """Send the event when the block ends."""
        await self._stall(call)
        await send(event)

    async def _stall(self, call: Call) -> None:
        self._hit(call)
        await self._hold(asyncio.get_running_loop().create_future())


class DroppingStreams(Fault):
    """Streams fail after a number of events."""

    def __init__(self, failure: MakeFailure, after: int, times: int | None) -> None:
        super().__init__(None, times)
        check_count("after", after, least=0)
        self._failure = failure
        self._after = after

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Drop the stream immediately if it must not send any event."""
        if call.streams:
            self._drop_at_limit(call)
        return await proceed()

    async def on_event(self, call: Call, event: pb.SandboxEvent, send: Send) -> None:
        """Send the event, and drop the stream if it was the last one."""
        await send(event)
        self._drop_at_limit(call)

    def _drop_at_limit(self, call: Call) -> None:
        if call.sent >= self._after and self._hit(call):
            raise self._failure()


class EventFault(Fault):
    """Acts on some events."""

    def __init__(self, match: EventMatch | None, every: int, times: int | None) -> None:
        super().__init__(None, times)
        check_count("every", every)
        self._match = match
        self._every = every

    def _hit_event(self, call: Call, event: pb.SandboxEvent) -> bool:
        """Return whether to act on an event, and count it."""
        chosen = call.offered % self._every == 0 and (self._match is None or self._match(event))
        return chosen and self._hit(call)


class DuplicatingEvents(EventFault):
    """Events are sent twice."""

    async def on_event(self, call: Call, event: pb.SandboxEvent, send: Send) -> None:
        """Send the event, twice if it is chosen."""
        if self._hit_event(call, event):
            await send(event)
        await send(event)


class SkippingEvents(EventFault):
    """Events are omitted."""

    async def on_event(self, call: Call, event: pb.SandboxEvent, send: Send) -> None:
        """Send the event unless it is chosen."""
        if not self._hit_event(call, event):
            await send(event)


class MalformedDetails(Fault):
    """Calls that fail have malformed error details."""

    def __init__(self, kind: str, method: str | None, times: int | None) -> None:
        super().__init__(method, times)
        if kind not in GARBAGE:
            raise ValueError(f"kind must be one of {', '.join(GARBAGE)}, not {shown(kind)}")
        self._make_details = GARBAGE[kind]

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Replace the error details if the call fails."""
        try:
            return await proceed()
        except StatusError as failure:
            if not self._hit(call):
                raise
            details = self._make_details(failure)
            raise StatusError(failure.code, failure.message, details) from failure
