"""The events of one sandbox, over as many event streams of the daemon as that takes."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from .. import _deadline
from .._connection.rpc import concerning
from .._deadline import Deadline, Patience
from .._notes import nothing
from .._sequence import EventSequence
from .._shared.shown import shown_id
from .._telemetry import reports
from .._telemetry.reports import Outage
from ..errors import (
    DaemonUnavailableError,
    OperationTimeoutError,
    SandboxClientError,
    SandboxNotFoundError,
)
from ..models import SandboxEvent
from ._daemon import Daemon
from ._transport import ResponseStream

_NO_EVENTS = "kept ending the stream without an event"


class Break(Enum):
    """What followers of a subscription get when there is no event; `read` never returns `LOST`."""

    LOST = "the daemon is unavailable, and no events come until it is back"
    UNSURE = "events may be late, and the daemon may be another one: read a fresh snapshot"
    END = "no more events will come"


class Subscription:
    """Reads a sandbox's events in order and each once; resumes where a lost stream ended.

    Args:
        daemon: The daemon.
        sequence: Which events are wanted; it advances with them.
        deadline: How long the subscription may last.
        rpc_seconds: How long the daemon may take to answer a ping, in seconds.
        patience_seconds: How long to keep reconnecting during one outage, in seconds; None: not
            at all.
        watched: Whether its streams let go of a daemon that shuts down. Those of waits do not: the
            daemon waits for them, so the work can end.
    """

    __slots__ = (
        "_cancelled",
        "_daemon",
        "_deadline",
        "_ended_by_daemon",
        "_patience",
        "_rpc_seconds",
        "_sequence",
        "_silent",
        "_steady",
        "_stream",
        "_watched",
        "on_loss",
        "trouble",
    )

    def __init__(
        self,
        daemon: Daemon,
        sequence: EventSequence,
        deadline: Deadline,
        *,
        rpc_seconds: float,
        patience_seconds: float | None,
        watched: bool = True,
    ) -> None:
        self._daemon = daemon
        self._sequence = sequence
        self._deadline = deadline
        self._rpc_seconds = rpc_seconds
        self._watched = watched
        self._patience = None if patience_seconds is None else Patience(patience_seconds)
        self._stream: ResponseStream[SandboxEvent] | None = None
        self._cancelled = False
        self._steady = Deadline(0.0)
        self._silent = True
        self._ended_by_daemon = False
        self.trouble: DaemonUnavailableError | None = None
        """Why no events come at present, if something is wrong."""
        self.on_loss: Callable[[], None] = nothing
        """Called when that begins."""

    @property
    def position(self) -> int:
        """The sequence of the last event read, or where the subscription began."""
        return self._sequence.position

    def begin_step(self) -> None:
        """Read events again that the caller's last step did not deliver."""
        if self._sequence.interrupted:
            self._drop()  # first: if this is interrupted in turn, it is repeated
        self._sequence.begin_step()

    def deliver(self, event: SandboxEvent) -> None:
        """Note that an event reaches the caller now, which completes its step.

        Raises:
            SandboxSequenceExpiredError: Events before it are missing.
        """
        self._sequence.deliver(event)

    async def read(self) -> SandboxEvent | Break:
        """Return the next event, or why there is none now.

        An interruption loses nothing: the next read continues.

        Raises:
            SandboxClientError: No event can be read any more.
        """
        try:
            return await self._read()
        except SandboxClientError:
            with concerning(self._sequence.sandbox_id):
                raise

    async def read_until(self, deadline: Deadline) -> SandboxEvent | Break:
        """Read within a deadline, which replaces that of the subscription."""
        self._deadline = deadline
        try:
            return await self.read()
        except OperationTimeoutError:
            return Break.UNSURE

    async def _read(self) -> SandboxEvent | Break:
        while True:
            try:
                event = await self._receive()
            except SandboxNotFoundError:
                if self._ended_by_daemon:  # the stream ended because the sandbox was purged
                    return Break.END
                raise
            except DaemonUnavailableError as error:
                await self._find_daemon(error)
                return Break.UNSURE
            except OperationTimeoutError:
                if self._deadline.expired() or self._patience is None:
                    raise
                if self._silent:
                    await self._check_silence()
                    return Break.UNSURE
                continue
            if event is None:
                return await self._resume_after_end()
            if self._accept(event):
                return event

    def cancel(self) -> None:
        """End the subscription. Safe to repeat, at any time and from anywhere."""
        self._cancelled = True
        # The stream stays in place, so that an interrupted cancel can be repeated.
        stream = self._stream
        if stream is not None:
            stream.cancel()

    async def _receive(self) -> SandboxEvent | None:
        if self._cancelled:
            return None
        stream = self._stream
        if stream is None or not stream.usable():
            stream = self._stream = self._subscribe()
        try:
            # Check again with the stream in place: a cancel from another thread either finds the
            # stream or is seen here.
            event = None if self._cancelled else await stream.read()
        except BaseException:
            # An interruption has ended gRPC's call as well.
            self._drop()
            raise
        if event is None:
            self._drop()
        return event

    def _subscribe(self) -> ResponseStream[SandboxEvent]:
        until = self._deadline
        if self._patience is not None:
            until = until.within(_deadline.SILENCE_SECONDS)
        self._silent = True
        self._sequence.begin_stream()
        self._steady = Deadline(_deadline.STEADY_SECONDS)
        return self._daemon.subscribe_sandbox_events(self._sequence, until, watched=self._watched)

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()

    def _accept(self, event: SandboxEvent) -> bool:
        new = self._sequence.accept(event)
        if new and not event.snapshot:
            self._note_recovery()
        return new

    def _note_recovery(self) -> None:
        self._silent, self._ended_by_daemon = False, False
        self.trouble = None
        if self._patience is not None:
            self._patience.reset()

    async def _resume_after_end(self) -> Break:
        if self._cancelled or self._patience is None:
            return Break.END
        if self._steady.expired():
            self._note_recovery()
        self._ended_by_daemon = True
        await self._wait_to_reconnect(self._sequence.protocol_error(_NO_EVENTS), self._report_end)
        return Break.UNSURE

    def _report_end(self, _: SandboxClientError, seconds: float) -> None:
        reports.stream_ended(self._name(), self.position, seconds)

    def _name(self) -> str:
        return f"events of sandbox {shown_id(self._sequence.sandbox_id)}"

    async def _check_silence(self) -> None:
        if self._steady.expired():
            self._sequence.skip_snapshot()  # if there was one, it arrived long ago
            self._note_recovery()
        else:
            no_events = self._sequence.protocol_error(_NO_EVENTS)
            await self._wait_to_reconnect(no_events, self._report_end)
        error = await self._ping()
        if error is not None:
            await self._find_daemon(error)

    async def _wait_to_reconnect(
        self, error: SandboxClientError, report: Callable[[SandboxClientError, float], None]
    ) -> None:
        """Pause before the next attempt; raise the error once the outage is too long."""
        pause = None if self._patience is None else self._patience.next_pause(self._deadline)
        if pause is None:
            raise error
        report(error, pause)
        await self._daemon.pause(pause)

    async def _find_daemon(self, error: DaemonUnavailableError) -> None:
        """Wait until the daemon answers again; raise the error once the outage is too long."""
        if self._patience is None or not self._daemon.may_recover(error):
            raise error
        if self._deadline.expired():
            raise self._daemon.stream_timeout(self._deadline) from error
        if self._steady.expired():
            self._note_recovery()
        lost: DaemonUnavailableError | None = error
        self.trouble = error
        self.on_loss()
        with Outage(self._name()) as outage:
            while lost is not None:
                self.trouble = lost
                await self._wait_to_reconnect(lost, outage.pause)
                if self._cancelled:
                    return
                if self._deadline.expired():
                    raise self._daemon.stream_timeout(self._deadline) from lost
                lost = await self._ping()
            outage.end()
        self.trouble = None
        reports.stream_resumes(self._name(), self.position)

    async def _ping(self) -> DaemonUnavailableError | None:
        deadline = self._deadline.within(min(self._rpc_seconds, _deadline.ANSWER_SECONDS))
        try:
            await self._daemon.ping_once(deadline)
        except DaemonUnavailableError as error:
            return error
        except OperationTimeoutError as error:
            silent = self._daemon.unavailable("it does not answer")
            silent.__cause__ = error
            return silent
        return None
