"""`FakeDaemon.faults`: everything that tests can let go wrong."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, TypeVar

import grpc

from ..._wire.status import DOMAIN
from .._expectations import place_of_caller
from .._protocol.refusals import StatusError
from .._protocol.wire_message import WireMessage, wire_bytes
from .._time.clock import Sleep
from .chaos import Chaos
from .planned import CallPlan, answer_plan, failure_maker, failure_plan
from .rules import (
    Delaying,
    DroppingStreams,
    DuplicatingEvents,
    EventMatch,
    Failing,
    Fault,
    HalfOpen,
    LosingAnswers,
    MalformedDetails,
    SkippingEvents,
)
from .target import FaultTarget

FaultT = TypeVar("FaultT", bound=Fault)

_DROPPED = functools.partial(StatusError, grpc.StatusCode.UNAVAILABLE, "connection dropped")


class Faults:
    """What goes wrong with a fake daemon, by a test's will.

    Calls are recorded before a fault acts. The context managers may be nested, entered
    before the daemon starts and in any thread. The newest fault sees a call first, what
    `fail_next()` and `answer_next()` have planned comes last. What a fault holds back goes
    on when its block ends.
    """

    def __init__(self, engine: FaultTarget, sleep: Sleep = asyncio.sleep) -> None:
        self._engine = engine
        self._sleep = sleep
        self._half_open = 0

    def fail_next(
        self,
        method: str,
        *,
        code: str,
        message: str = "",
        reason: str | None = None,
        domain: str = DOMAIN,
        metadata: Mapping[str, str] | None = None,
        details: bytes | None = None,
        times: int = 1,
        optional: bool = False,
    ) -> None:
        """Let the next calls of an RPC end with a status, and do nothing else.

        Args:
            method: The plain RPC name, such as `CreateSandbox`.
            code: The name of a gRPC status, such as `UNAVAILABLE`.
            message: The status message.
            reason: The reason of the `ErrorInfo` to send; None sends none.
            domain: The domain of the `ErrorInfo`.
            metadata: The metadata of the `ErrorInfo`.
            details: Raw bytes to send for the status details, in place of an `ErrorInfo`.
            times: How many calls.
            optional: Whether `FakeDaemon.assert_all_used()` lets it pass if fewer come.

        Raises:
            ValueError: There is no such RPC or status, or `times` is less than 1.
        """
        failure = failure_maker(code, message, reason, domain, metadata, details)
        place = place_of_caller()
        self._plan(failure_plan(method, failure, times=times, optional=optional, place=place))

    def answer_next(self, method: str, response: WireMessage, *, optional: bool = False) -> None:
        """Let the next call of a unary RPC answer this, and do nothing else.

        Args:
            method: The plain RPC name, such as `GetSandbox`.
            response: The answer; bytes are sent as they are, be they garbage.
            optional: Whether `FakeDaemon.assert_all_used()` lets it pass if none comes.

        Raises:
            ValueError: There is no such RPC, or it streams its answers.
        """
        answer, place = wire_bytes(response), place_of_caller()
        self._plan(answer_plan(method, answer, optional=optional, place=place))

    def drop_streams(self) -> None:
        """End every open event stream as a lost connection does, with UNAVAILABLE."""
        self._engine.end_streams(_DROPPED())

    def end_streams(self) -> None:
        """End every open event stream cleanly, with OK."""
        self._engine.end_streams(None)

    def failing(
        self,
        code: str = "UNAVAILABLE",
        message: str = "injected failure",
        *,
        method: str | None = None,
        times: int | None = None,
        reason: str | None = None,
        domain: str = DOMAIN,
        metadata: Mapping[str, str] | None = None,
        details: bytes | None = None,
    ) -> AbstractContextManager[Fault]:
        """Let calls fail, and do nothing else, while the block lasts.

        Args:
            code: The name of a gRPC status.
            message: The status message.
            method: The plain name of the RPC that fails; None is all.
            times: How many calls fail, the next ones; None is all.
            reason: The reason of the `ErrorInfo` to send; None sends none.
            domain: The domain of the `ErrorInfo`.
            metadata: The metadata of the `ErrorInfo`.
            details: Raw bytes to send for the status details, in place of an `ErrorInfo`.

        Raises:
            ValueError: There is no such RPC or status, or `times` is less than 1.
        """
        failure = failure_maker(code, message, reason, domain, metadata, details)
        return self._on(Failing(failure, method, times))

    def losing_answers(
        self, *, method: str | None = None, times: int | None = None
    ) -> AbstractContextManager[Fault]:
        """Let unary calls do what they are asked, and end UNAVAILABLE nevertheless.

        Args:
            method: The plain name of the RPC; None is all.
            times: How many answers are lost; None is all.

        Raises:
            ValueError: There is no such RPC, or `times` is less than 1.
        """
        return self._on(LosingAnswers(_DROPPED, method, times))

    def delaying(
        self, seconds: float, *, method: str | None = None, times: int | None = None
    ) -> AbstractContextManager[Fault]:
        """Hold answers back; what was asked for is done at once.

        An event stream begins that much later. The end of the block lets go of all
        answers that are still held back.

        Args:
            seconds: How long, on the daemon's clock.
            method: The plain name of the RPC; None is all.
            times: How many calls; None is all.

        Raises:
            ValueError: There is no such RPC, the time is negative or endless, or `times` is less
                than 1.
        """
        return self._on(Delaying(self._sleep, seconds, method, times))

    def malformed_details(
        self,
        kind: Literal["truncated", "wrong_type", "not_utf8", "noise"] = "noise",
        *,
        method: str | None = None,
        times: int | None = None,
    ) -> AbstractContextManager[Fault]:
        """Send garbage for the error details of the calls that fail, for whatever reason.

        Args:
            kind: `truncated` details lack their last byte, `wrong_type` holds a message of
                another type, `not_utf8` has a reason that is no text, `noise` is no
                message at all.
            method: The plain name of the RPC; None is all.
            times: How many failures; None is all.

        Raises:
            ValueError: There is no such RPC or kind, or `times` is less than 1.
        """
        return self._on(MalformedDetails(kind, method, times))

    def dropping_streams(
        self, *, after: int, times: int | None = None
    ) -> AbstractContextManager[Fault]:
        """End event streams UNAVAILABLE, as a lost connection does.

        Args:
            after: With which event a stream ends, counted from its beginning; 0 ends it
                before the first. One that is open and past that ends with its next event.
            times: How many streams; None is all.

        Raises:
            ValueError: `after` is negative, or `times` less than 1.
        """
        return self._on(DroppingStreams(_DROPPED, after, times))

    def duplicating_events(
        self,
        match: EventMatch | None = None,
        *,
        every: int = 1,
        times: int | None = None,
    ) -> AbstractContextManager[Fault]:
        """Send events twice.

        Args:
            match: A function that is given the event's message and says yes or no; None
                is yes. It runs in the daemon's thread.
            every: Only every so-many-th event of each stream.
            times: How many events in all; None is no limit.

        Raises:
            ValueError: `every` or `times` is less than 1.
        """
        return self._on(DuplicatingEvents(match, every, times))

    def skipping_events(
        self,
        match: EventMatch | None = None,
        *,
        every: int = 1,
        times: int | None = None,
    ) -> AbstractContextManager[Fault]:
        """Leave gaps: never send certain events on the streams that are open.

        A stream that is opened later, from an earlier sequence, has them.

        Args:
            match: A function that is given the event's message and says yes or no; None
                is yes. It runs in the daemon's thread.
            every: Only every so-many-th event of each stream.
            times: How many events in all; None is no limit.

        Raises:
            ValueError: `every` or `times` is less than 1.
        """
        return self._on(SkippingEvents(match, every, times))

    @contextmanager
    def half_open(self) -> Iterator[Fault]:
        """Be there and never answer, until the block ends.

        Calls and events stall. New connections are taken, and never spoken to. In the end
        everything goes on: calls whose clients have not given up are served, events are
        sent. Only who connected meanwhile has to connect anew: that connection is reset.

        Raises:
            RuntimeError: The daemon is not running.
        """
        self._engine.call(self._mute)
        try:
            with self._on(HalfOpen()) as fault:
                yield fault
        finally:
            self._engine.call(self._unmute)

    @contextmanager
    def chaos(
        self,
        seed: int | str,
        *,
        method: str | None = None,
        unavailable: float = 0.0,
        lose_answer: float = 0.0,
        delay: tuple[float, float] = (0.0, 0.0),
        drop: float = 0.0,
        duplicate: float = 0.0,
        skip: float = 0.0,
        restart: tuple[float, Callable[[], object]] = (0.0, lambda: None),
    ) -> Iterator[Chaos]:
        """Inject faults at random, the same for the same seed.

        The n-th call of each RPC in the block has dice of its own, and so have the events
        of the n-th stream. With the same arguments its faults are the same, whatever
        else is called at the same time; which of several concurrent calls of one RPC
        arrives as the n-th is theirs to settle. Streams opened before are left alone.

        Args:
            seed: What the dice are made of.
            method: The plain name of the RPC to act on; None is all.
            unavailable: Probability that a call fails UNAVAILABLE and does nothing.
            lose_answer: Probability that a unary call is done, and fails UNAVAILABLE.
            delay: Probability that an answer is held back, and the seconds at most.
            drop: Probability, at each event, that it is the stream's last.
            duplicate: Probability that an event is sent twice.
            skip: Probability that an event is never sent.
            restart: Probability that a call fails UNAVAILABLE and the daemon is restarted,
                and the function that does so, in a thread of its own. The end of the block
                waits for it, and raises what it raised.

        Raises:
            ValueError: There is no such RPC, or a number is out of range.
        """
        chaos = Chaos(
            seed,
            odds={
                "restart": restart[0],
                "unavailable": unavailable,
                "delay": delay[0],
                "lose_answer": lose_answer,
                "skip": skip,
                "duplicate": duplicate,
                "drop": drop,
            },
            max_delay=delay[1],
            restart=restart[1],
            method=method,
            failure=_DROPPED,
            sleep=self._sleep,
        )
        try:
            with self._on(chaos):
                yield chaos
        finally:
            chaos.finish()

    def _plan(self, plan: CallPlan) -> None:
        self._engine.call(lambda: self._engine.faults.planned.add(plan))

    @contextmanager
    def _on(self, fault: FaultT) -> Iterator[FaultT]:
        self._engine.call(lambda: self._engine.faults.add(fault))
        try:
            yield fault
        finally:
            self._engine.call(lambda: self._engine.faults.remove(fault))

    def _mute(self) -> None:
        if not self._half_open:
            self._engine.socket.mute()
        self._half_open += 1

    def _unmute(self) -> None:
        self._half_open -= 1
        if not self._half_open:
            self._engine.socket.unmute()
