"""`FakeDaemon.faults`: every fault that a test can inject."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, TypeVar

import grpc

from ..._shared.shown import shown
from ..._wire.status import DOMAIN
from .._expectations import Blocks, place_of_caller
from .._protocol.refusals import StatusError
from .._protocol.wire_message import WireMessage, wire_bytes
from .._time.clock import Sleep
from .chaos import Chaos
from .kinds import (
    BURNERS,
    BurningIds,
    Delaying,
    DroppingStreams,
    DuplicatingEvents,
    EndingAtDeadlines,
    EventMatch,
    Failing,
    Fault,
    HalfOpen,
    LosingAnswers,
    MalformedDetails,
    SkippingEvents,
)
from .planned import CallPlan, answer_plan, failure_maker, failure_plan
from .target import FaultTarget

FaultT = TypeVar("FaultT", bound=Fault)

# Source: what Go's gRPC server says when the deadline of a call passes.
_CANCELLED = functools.partial(StatusError, grpc.StatusCode.CANCELLED, "context canceled")
_DROPPED = functools.partial(StatusError, grpc.StatusCode.UNAVAILABLE, "connection dropped")


class Faults:
    """Injects faults into a fake daemon.

    Calls are recorded before a fault acts on them. The context managers can be nested,
    entered before the daemon starts, and used in any thread. The newest fault sees a call
    first; the plans of `fail_next()` and `answer_next()` come last. The calls and events that
    a fault holds continue when its block ends. A call without `with` has no effect, and the
    daemon's `stop()` raises `RuntimeError`.
    """

    def __init__(self, target: FaultTarget, blocks: Blocks, sleep: Sleep = asyncio.sleep) -> None:
        self._target = target
        self._sleep = sleep
        self._blocks = blocks
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
        """Fail the next calls of an RPC with a status; they have no other effect.

        Args:
            method: The plain RPC name, such as `CreateSandbox`.
            code: The name of a gRPC status, such as `UNAVAILABLE`.
            message: The status message.
            reason: The reason of the `ErrorInfo`; None: send no `ErrorInfo`.
            domain: The domain of the `ErrorInfo`.
            metadata: The metadata of the `ErrorInfo`.
            details: Raw bytes to send as the status details, instead of an `ErrorInfo`.
            times: How many calls fail.
            optional: Whether `FakeDaemon.assert_all_used()` accepts fewer calls.

        Raises:
            ValueError: There is no such RPC or error status, or `times` is less than 1.
        """
        failure = failure_maker(code, message, reason, domain, metadata, details)
        place = place_of_caller()
        self._plan(failure_plan(method, failure, times=times, optional=optional, place=place))

    def answer_next(self, method: str, response: WireMessage, *, optional: bool = False) -> None:
        """Answer the next call of a unary RPC with a response; it has no other effect.

        Args:
            method: The plain RPC name, such as `GetSandbox`.
            response: The response; bytes are sent unchanged and may be garbage.
            optional: Whether `FakeDaemon.assert_all_used()` accepts that no call comes.

        Raises:
            ValueError: There is no such RPC, or it is a stream.
        """
        answer, place = wire_bytes(response), place_of_caller()
        self._plan(answer_plan(method, answer, optional=optional, place=place))

    def drop_streams(self) -> None:
        """End every open event stream with UNAVAILABLE, as a lost connection does."""
        self._target.end_streams(_DROPPED())

    def end_streams(self) -> None:
        """End every open event stream cleanly, with OK."""
        self._target.end_streams(None)

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
        """Fail calls during the block; they have no other effect.

        Args:
            code: The name of a gRPC status.
            message: The status message.
            method: The plain RPC name; None: all RPCs.
            times: How many calls fail; None: no limit.
            reason: The reason of the `ErrorInfo`; None: send no `ErrorInfo`.
            domain: The domain of the `ErrorInfo`.
            metadata: The metadata of the `ErrorInfo`.
            details: Raw bytes to send as the status details, instead of an `ErrorInfo`.

        Raises:
            ValueError: There is no such RPC or error status, or `times` is less than 1.
        """
        failure = failure_maker(code, message, reason, domain, metadata, details)
        return self._on(Failing(failure, method, times))

    def losing_answers(
        self, *, method: str | None = None, times: int | None = None
    ) -> AbstractContextManager[Fault]:
        """Execute unary calls, but end them with UNAVAILABLE, as if the answer were lost.

        Args:
            method: The plain RPC name; None: all RPCs.
            times: How many answers are lost; None: no limit.

        Raises:
            ValueError: There is no such RPC, or `times` is less than 1.
        """
        return self._on(LosingAnswers(_DROPPED, method, times))

    def burning_ids(
        self, method: str = "CreateSandbox", *, times: int | None = None
    ) -> AbstractContextManager[Fault]:
        """Reserve the ids of creates and lose the rest, as a daemon that is killed at that moment.

        The call ends with UNAVAILABLE. Its id stays taken, and reads of it are NOT_FOUND. The
        socket file looks new, as after a restart. Creates that have no id, or that the daemon
        refuses, are not affected.

        Args:
            method: `CreateSandbox` or `CreateExec`.
            times: How many ids are burnt; None: no limit.

        Raises:
            ValueError: It is another RPC, or `times` is less than 1.
        """
        if method not in BURNERS:
            raise ValueError(f"method must be CreateSandbox or CreateExec, not {shown(method)}")
        return self._on(BurningIds(_DROPPED, self._target.burn_id, method, times))

    def ending_at_deadlines(
        self,
        code: Literal["OK", "CANCELLED"] = "CANCELLED",
        *,
        method: str | None = None,
        times: int | None = None,
    ) -> AbstractContextManager[Fault]:
        """End calls at the client's deadline, as a daemon does that sees it pass first.

        Args:
            code: How streams end. Unary calls end with CANCELLED, or not at all with OK.
            method: The plain RPC name; None: all RPCs.
            times: How many calls; None: no limit. Calls that end earlier do not count.

        Raises:
            ValueError: There is no such RPC or code, or `times` is less than 1.
        """
        if code not in ("OK", "CANCELLED"):
            raise ValueError(f"code must be OK or CANCELLED, not {shown(code)}")
        return self._on(EndingAtDeadlines(None if code == "OK" else _CANCELLED, method, times))

    def delaying(
        self, seconds: float, *, method: str | None = None, times: int | None = None
    ) -> AbstractContextManager[Fault]:
        """Delay answers; the calls themselves are executed immediately.

        Event streams start late instead. The end of the block ends all delays.

        Args:
            seconds: The delay, on the daemon's clock.
            method: The plain RPC name; None: all RPCs.
            times: How many calls are delayed; None: no limit.

        Raises:
            ValueError: There is no such RPC, `seconds` is negative or infinite, or `times` is
                less than 1.
        """
        return self._on(Delaying(self._sleep, seconds, method, times))

    def malformed_details(
        self,
        kind: Literal["truncated", "wrong_type", "not_utf8", "noise"] = "noise",
        *,
        method: str | None = None,
        times: int | None = None,
    ) -> AbstractContextManager[Fault]:
        """Send malformed error details with every call that fails.

        Args:
            kind: `truncated` lacks the last byte, `wrong_type` contains a message of another
                type, `not_utf8` has a reason that is not valid text, `noise` is not a message.
            method: The plain RPC name; None: all RPCs.
            times: How many failures; None: no limit.

        Raises:
            ValueError: There is no such RPC or kind, or `times` is less than 1.
        """
        return self._on(MalformedDetails(kind, method, times))

    def dropping_streams(
        self, *, after: int, times: int | None = None
    ) -> AbstractContextManager[Fault]:
        """End event streams with UNAVAILABLE, as a lost connection does.

        Args:
            after: How many events a stream sends before it ends. A stream that was opened
                earlier and has already sent as many ends after its next event.
            times: How many streams; None: no limit.

        Raises:
            ValueError: `after` is negative, or `times` is less than 1.
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
            match: Takes an event's message and returns whether to act on the event; None:
                act on all. It runs in the daemon's thread.
            every: Act on every n-th event of each stream only.
            times: How many events in all; None: no limit.

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
        """Omit events, which leaves gaps.

        The daemon keeps them: a stream that is opened after the block can replay them.

        Args:
            match: Takes an event's message and returns whether to act on the event; None:
                act on all. It runs in the daemon's thread.
            every: Act on every n-th event of each stream only.
            times: How many events in all; None: no limit.

        Raises:
            ValueError: `every` or `times` is less than 1.
        """
        return self._on(SkippingEvents(match, every, times))

    def half_open(self) -> AbstractContextManager[Fault]:
        """Accept calls and connections, but do not answer until the block ends.

        Calls and events stall, and new connections get no answer. When the block ends, calls
        that have not timed out are served and events are sent. Connections that were opened
        during the block are reset: their clients have to reconnect.

        Raises:
            RuntimeError: The daemon is not running.
        """
        return self._blocks.add(self._be_half_open())

    @contextmanager
    def _be_half_open(self) -> Iterator[Fault]:
        self._target.call(self._mute)
        try:
            with self._active(HalfOpen()) as fault:
                yield fault
        finally:
            self._target.call(self._unmute)

    def chaos(
        self,
        seed: int | str,
        *,
        method: str | None = None,
        unavailable: float = 0.0,
        lose_answer: float = 0.0,
        burn: float = 0.0,
        deadline: float = 0.0,
        delay: tuple[float, float] = (0.0, 0.0),
        drop: float = 0.0,
        duplicate: float = 0.0,
        skip: float = 0.0,
        restart: tuple[float, Callable[[], object]] = (0.0, lambda: None),
    ) -> AbstractContextManager[Chaos]:
        """Inject random faults, the same ones for the same seed.

        The n-th call of each RPC in the block has its own random generator, which also
        decides about the events of a stream. Calls of other RPCs therefore change nothing;
        only the order in which concurrent calls of one RPC arrive is not determined.
        Streams that were opened before the block are not affected.

        Args:
            seed: The seed of the random generators.
            method: The plain RPC name; None: all RPCs.
            unavailable: Probability that a call fails with UNAVAILABLE and has no effect.
            lose_answer: Probability that a unary call is executed but ends with UNAVAILABLE.
            burn: Probability that a create reserves its id and then ends with UNAVAILABLE.
            deadline: Probability that the daemon ends a call just before its deadline: a stream
                with OK or CANCELLED, a unary call with CANCELLED.
            delay: Probability that an answer is delayed, and the longest delay in seconds.
            drop: Probability, for each event, that the stream is dropped after it.
            duplicate: Probability that an event is sent twice.
            skip: Probability that an event is omitted.
            restart: Probability that a call fails with UNAVAILABLE and the daemon restarts,
                and the function that restarts it, which runs in another thread. The end of
                the block waits for that function and raises what it raised.

        Raises:
            ValueError: There is no such RPC, or a number is out of range.
        """
        chaos = Chaos(
            seed,
            odds={
                "restart": restart[0],
                "unavailable": unavailable,
                "burn": burn,
                "deadline": deadline,
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
            cancelled=_CANCELLED,
            burn_id=self._target.burn_id,
            sleep=self._sleep,
        )
        return self._blocks.add(self._chaotic(chaos))

    @contextmanager
    def _chaotic(self, chaos: Chaos) -> Iterator[Chaos]:
        try:
            with self._active(chaos):
                yield chaos
        finally:
            chaos.finish()

    def _plan(self, plan: CallPlan) -> None:
        self._target.call(lambda: self._target.faults.planned.add(plan))

    def _on(self, fault: FaultT) -> AbstractContextManager[FaultT]:
        return self._blocks.add(self._active(fault))

    @contextmanager
    def _active(self, fault: FaultT) -> Iterator[FaultT]:
        self._target.call(lambda: self._target.faults.add(fault))
        try:
            yield fault
        finally:
            self._target.call(lambda: self._target.faults.remove(fault))

    def _mute(self) -> None:
        if not self._half_open:
            self._target.socket.mute()
        self._half_open += 1

    def _unmute(self) -> None:
        self._half_open -= 1
        if not self._half_open:
            self._target.socket.unmute()
