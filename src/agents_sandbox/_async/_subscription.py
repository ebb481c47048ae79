"""The events of one sandbox, over as many event streams of the daemon as that takes."""

from __future__ import annotations

from enum import Enum

from .. import _deadline
from .._deadline import Backoff, Deadline
from .._rpc import concerning
from .._wire import requests
from .._wire import v02_pb2 as pb
from .._wire.codec import decode_event
from .._wire.methods import PING, SUBSCRIBE_SANDBOX_EVENTS
from ..errors import (
    DaemonUnavailableError,
    OperationTimeoutError,
    ProtocolError,
    SandboxClientError,
    SandboxNotFoundError,
)
from ..models import SandboxEvent
from ._transport import ResponseStream, Transport

# A daemon sends each event once, and a proxy that repeats some would not repeat one that often.
_REPEATS = 1000

_NOTHING = "nothing but its end, again and again,"


class Break(Enum):
    """What is read in place of an event."""

    UNSURE = "events may be late, and the daemon another one: a fresh snapshot tells"
    END = "no more events will come"


class Subscription:
    """Reads a sandbox's events in order and each once; goes on where a lost stream ended.

    Args:
        transport: The way to the daemon.
        request: What to subscribe to; it moves on with the events.
        deadline: How long in all.
        rpc_seconds: How long the daemon may take to answer a question, in seconds.
        patience_seconds: How long a daemon that was lost may stay away, in seconds; None: lost
            is lost.
    """

    def __init__(
        self,
        transport: Transport,
        request: pb.SubscribeSandboxEventsRequest,
        deadline: Deadline,
        *,
        rpc_seconds: float,
        patience_seconds: float | None,
    ) -> None:
        self._transport = transport
        self._request = request
        self._deadline = deadline
        self._rpc_seconds = rpc_seconds
        self._patience = patience_seconds
        self._messages: ResponseStream[pb.SubscribeSandboxEventsRequest, pb.SandboxEvent] | None = (
            None
        )
        self._cancelled = False
        self._backoff = Backoff()
        self._outage: Deadline | None = None
        self._steady = Deadline(0.0)
        self._ended_by_daemon = False
        self._silent = True
        self._newest = 0
        self._repeats = 0
        self._snapshot: str | None = None
        self.told: set[str] = set()
        """The ids of the events of a snapshot that got to whom it is for."""
        self.trouble: DaemonUnavailableError | None = None
        """Why nothing comes at present, if something is wrong."""

    @property
    def position(self) -> int:
        """The sequence of the last event read, or where the subscription began."""
        return self._request.from_sequence

    def go_on_after(self, sequence: int) -> None:
        """Read again what was read but got no further, because of an interruption."""
        unheard = self._snapshot is not None and self._snapshot not in self.told
        if sequence != self.position or unheard:
            self._drop()
            self._request.from_sequence, self._snapshot = sequence, None

    async def read(self) -> SandboxEvent | Break:
        """Return the next event, or why none can be returned now.

        Interrupted from outside it loses nothing: the next read goes on.

        Raises:
            SandboxClientError: No event can be read any more.
        """
        with concerning(self._request.sandbox_id):
            return await self._read()

    async def _read(self) -> SandboxEvent | Break:
        while True:
            try:
                message = await self._receive()
            except SandboxNotFoundError:
                if self._ended_by_daemon:  # so that it is gone was the reason
                    return Break.END
                raise
            except DaemonUnavailableError as error:
                await self._find_daemon(error)
                return Break.UNSURE
            except OperationTimeoutError:
                if self._deadline.expired() or self._patience is None:
                    raise
                if self._silent:
                    await self._ask_daemon()
                    return Break.UNSURE
                continue
            if message is None:
                return await self._ended()
            event = self._accept(message)
            if event is not None:
                return event

    def cancel(self) -> None:
        """End it. Safe to repeat, at any time and from anywhere."""
        self._cancelled = True
        # It stays in place, so that who is interrupted here can repeat it.
        messages = self._messages
        if messages is not None:
            messages.cancel()

    async def _receive(self) -> pb.SandboxEvent | None:
        if self._cancelled:
            return None
        messages = self._messages
        if messages is None or not messages.usable():
            messages = self._messages = self._subscribe()
        try:
            # Looked at with the call in place: whoever cancels from another
            # thread either sees the call or is seen here.
            message = None if self._cancelled else await messages.read()
        except BaseException:
            # After an interruption from outside gRPC has given up the call as well.
            self._drop()
            raise
        if message is None:
            self._drop()
        return message

    def _subscribe(self) -> ResponseStream[pb.SubscribeSandboxEventsRequest, pb.SandboxEvent]:
        until = self._deadline
        if self._patience is not None:
            until = until.within(_deadline.SILENCE_SECONDS)
        self._silent, self._newest, self._repeats = True, 0, 0
        self._steady = Deadline(_deadline.STEADY_SECONDS)
        return self._transport.stream(SUBSCRIBE_SANDBOX_EVENTS, self._request, until)

    def _drop(self) -> None:
        messages, self._messages = self._messages, None
        if messages is not None:
            messages.cancel()

    def _accept(self, message: pb.SandboxEvent) -> SandboxEvent | None:
        if message.sandbox_id != self._request.sandbox_id:
            raise self._misled(f"an event of sandbox {message.sandbox_id!r}")
        if message.snapshot:
            if not self._request.include_current_snapshot:
                raise self._misled("a snapshot that nobody has asked for")
            if message.event_id in self.told:
                self._count_repeat(message)
                return None
            self._snapshot = message.event_id
            return decode_event(message)
        if message.sequence < max(self._newest, 1):
            raise self._misled(f"event {message.sequence} after event {self._newest}")
        if message.sequence == self._newest:
            self._count_repeat(message)
            return None
        self._newest = message.sequence
        if message.sequence <= self.position:
            return None
        event = decode_event(message)
        self._recovered()
        # The snapshot, if one was asked for, has been told in full.
        self._request.include_current_snapshot = False
        self._snapshot = None
        self.told.clear()
        self._request.from_sequence = message.sequence
        return event

    def _count_repeat(self, message: pb.SandboxEvent) -> None:
        self._repeats += 1
        if self._repeats > _REPEATS:
            raise self._misled(f"event {message.sequence} again and again")

    def _misled(self, by: str) -> ProtocolError:
        self._drop()
        sandbox_id = self._request.sandbox_id
        return ProtocolError(
            f"the daemon sent {by} on the event stream of sandbox {sandbox_id}",
            sandbox_id=sandbox_id,
        )

    def _recovered(self) -> None:
        self._silent, self._ended_by_daemon = False, False
        self._outage, self.trouble = None, None
        self._backoff.reset()

    async def _ended(self) -> Break:
        if self._cancelled or self._patience is None:
            return Break.END
        if self._steady.expired():
            self._recovered()
        self._ended_by_daemon = True
        await self._hold_on(self._misled(_NOTHING))
        return Break.UNSURE

    async def _ask_daemon(self) -> None:
        if self._steady.expired():
            # Whatever snapshot there was has come long ago.
            self._request.include_current_snapshot = False
            self._recovered()
        else:
            await self._hold_on(self._misled(_NOTHING))
        error = await self._ping()
        if error is not None:
            await self._find_daemon(error)

    async def _hold_on(self, error: SandboxClientError) -> None:
        """Pause before another try; raise if nothing has come of all that for too long."""
        if self._outage is None:
            self._outage = Deadline(self._patience or 0.0)
        if self._outage.expired():
            raise error
        await self._transport.pause(self._backoff.pause(self._deadline.earlier(self._outage)))

    async def _find_daemon(self, error: DaemonUnavailableError) -> None:
        """Wait until the daemon answers again; raise why it does not."""
        if self._patience is None or not self._transport.may_pass(error):
            raise error
        if self._steady.expired():
            self._recovered()
        lost: DaemonUnavailableError | None = error
        while lost is not None:
            self.trouble = lost
            await self._hold_on(lost)
            if self._cancelled or self._deadline.expired():
                return
            lost = await self._ping()
        self.trouble = None

    async def _ping(self) -> DaemonUnavailableError | None:
        deadline = self._deadline.within(min(self._rpc_seconds, _deadline.ANSWER_SECONDS))
        try:
            await self._transport.once(PING, requests.ping(), deadline)
        except DaemonUnavailableError as error:
            return error
        except OperationTimeoutError as error:
            silent = self._transport.unavailable("it does not answer")
            silent.__cause__ = error
            return silent
        return None
