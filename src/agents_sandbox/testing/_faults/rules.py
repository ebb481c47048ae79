"""The faults: each stands around the calls, or around the events of the streams.

A fault gets a call, or an event, together with what would happen to it, and decides
whether, when and how often that happens. Faults that are on at the same time stand around
one another, the newest outermost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.message import Message

from ..._wire import v02_pb2 as pb
from ..._wire.methods import METHODS_V02
from .._checks import check_count, check_seconds
from .._protocol.refusals import StatusError
from .._time.clock import Sleep
from .garbage import GARBAGE

Answer: TypeAlias = Message | bytes | None
"""What a unary RPC answers; None for a stream, which has sent its events by then."""
Proceed: TypeAlias = Callable[[], Awaitable[Answer]]
"""Does what the call asks for: returns its answer, or sends its events."""
Send: TypeAlias = Callable[[pb.SandboxEvent], Awaitable[None]]
"""Sends an event."""
MakeFailure: TypeAlias = Callable[[], StatusError]
"""Makes a failure anew; one raised again and again would gather a traceback without end."""
EventMatch: TypeAlias = Callable[[Any], bool]
"""A function that is given an event's message and says yes or no."""

STREAMS = {method.name: method.streams for method in METHODS_V02}
"""The plain name of each RPC, and whether it streams its answers."""


def check_method(method: str) -> None:
    """Refuse a name that is no RPC.

    Raises:
        ValueError: There is no such method.
    """
    if method not in STREAMS:
        raise ValueError(f"{method!r} is not one of the RPCs: {', '.join(STREAMS)}")


@dataclass(eq=False)
class Call:
    """An RPC that is being served."""

    method: str
    request: Any
    offered: int = 0
    """How many events the stream had to send so far."""
    sent: int = 0
    """How many it did send, duplicates included."""

    @property
    def streams(self) -> bool:
        """Whether its answers are a stream."""
        return STREAMS[self.method]


class Fault:
    """A fault that is on until its `with` block ends."""

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
        """Serve a call; the one of a stream lasts as long as the stream.

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
        """Let go of all that is held back."""
        for waiting in self._held:
            waiting.cancel()

    def _strikes(self, call: Call) -> bool:
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
    """Calls fail, and do nothing else."""

    def __init__(self, failure: MakeFailure, method: str | None, times: int | None) -> None:
        super().__init__(method, times)
        self._failure = failure

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Fail in place of the call."""
        if self._strikes(call):
            raise self._failure()
        return await proceed()


class LosingAnswers(Failing):
    """Unary calls do what they are asked, and their callers never learn."""

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Fail after the call."""
        answer = await proceed()
        if not call.streams and self._strikes(call):
            raise self._failure()
        return answer


class Delaying(Fault):
    """Answers come late; of a stream, all of it."""

    def __init__(self, sleep: Sleep, seconds: float, method: str | None, times: int | None) -> None:
        super().__init__(method, times)
        check_seconds("seconds", seconds)
        self._sleep = sleep
        self._seconds = seconds

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Do what the call asks for at once, and answer late."""
        if self._strikes(call):
            return await self._answer_late(call, proceed, lambda: self._sleep(self._seconds))
        return await proceed()


class HalfOpen(Fault):
    """No call is answered and no event sent until the end."""

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Look at the call in the end only."""
        await self._stall(call)
        return await proceed()

    async def on_event(self, call: Call, event: pb.SandboxEvent, send: Send) -> None:
        """Send the event in the end only."""
        await self._stall(call)
        await send(event)

    async def _stall(self, call: Call) -> None:
        self._strikes(call)
        await self._hold(asyncio.get_running_loop().create_future())


class DroppingStreams(Fault):
    """Streams fail after so many events."""

    def __init__(self, failure: MakeFailure, after: int, times: int | None) -> None:
        super().__init__(None, times)
        check_count("after", after, least=0)
        self._failure = failure
        self._after = after

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Drop a stream that shall send no event."""
        if call.streams:
            self._drop_at_limit(call)
        return await proceed()

    async def on_event(self, call: Call, event: pb.SandboxEvent, send: Send) -> None:
        """Drop the stream if this was its last event."""
        await send(event)
        self._drop_at_limit(call)

    def _drop_at_limit(self, call: Call) -> None:
        if call.sent >= self._after and self._strikes(call):
            raise self._failure()


class EventFault(Fault):
    """Acts on some of the events."""

    def __init__(self, match: EventMatch | None, every: int, times: int | None) -> None:
        super().__init__(None, times)
        check_count("every", every)
        self._match = match
        self._every = every

    def _picks(self, call: Call, event: pb.SandboxEvent) -> bool:
        chosen = call.offered % self._every == 0 and (self._match is None or self._match(event))
        return chosen and self._strikes(call)


class DuplicatingEvents(EventFault):
    """Events come twice."""

    async def on_event(self, call: Call, event: pb.SandboxEvent, send: Send) -> None:
        """Send the event, and again."""
        if self._picks(call, event):
            await send(event)
        await send(event)


class SkippingEvents(EventFault):
    """Events never come."""

    async def on_event(self, call: Call, event: pb.SandboxEvent, send: Send) -> None:
        """Leave the event out."""
        if not self._picks(call, event):
            await send(event)


class MalformedDetails(Fault):
    """Calls that fail do so with garbage for error details."""

    def __init__(self, kind: str, method: str | None, times: int | None) -> None:
        super().__init__(method, times)
        if kind not in GARBAGE:
            raise ValueError(f"kind must be one of {', '.join(GARBAGE)}: {kind!r}")
        self._garble = GARBAGE[kind]

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Spoil the failure that the call ends with."""
        try:
            return await proceed()
        except StatusError as failure:
            if not self._strikes(call):
                raise
            details = self._garble(failure)
            raise StatusError(failure.code, failure.message, details) from failure
