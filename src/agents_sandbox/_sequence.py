"""The order of a sandbox's events over several event streams; pure."""

from __future__ import annotations

from ._arguments import checks
from ._shared.shown import shown, shown_id
from .errors import ProtocolError, SandboxSequenceExpiredError
from .models import SandboxEvent

_UINT64_MAX = 2**64 - 1

# A daemon sends each event once, and no proxy would repeat one that often.
_MAX_REPEATS = 1000


class EventSequence:
    """Decides which events of a sandbox are new, and where to resume.

    Streams end and are resumed, and a resumed stream may begin with events that were already read.
    Every event is noted twice: when it is read from a stream (`accept`) and when it reaches the
    caller (`deliver`), which completes the caller's step. An interruption can come anywhere before;
    the next step (`begin_step`) then goes back to the last delivered event.

    Args:
        sandbox_id: The sandbox.
        from_sequence: The sequence after which its events are wanted.
        include_current_snapshot: Whether its current snapshot is wanted first.

    Attributes:
        position: The sequence of the last accepted event, from which to resume.
        wants_snapshot: Whether the current snapshot is still wanted.

    Raises:
        InvalidArgumentError: An argument is not acceptable.
    """

    __slots__ = (
        "_delivered",
        "_delivered_snapshots",
        "_newest_in_stream",
        "_repeats",
        "_step_began",
        "position",
        "sandbox_id",
        "wants_snapshot",
    )

    def __init__(
        self, sandbox_id: str, from_sequence: int, include_current_snapshot: bool = False
    ) -> None:
        self.sandbox_id: str = checks.lookup_id("sandbox_id", sandbox_id)
        self.position: int = checks.integer("from_sequence", from_sequence, maximum=_UINT64_MAX)
        self.wants_snapshot: bool = checks.boolean(
            "include_current_snapshot", include_current_snapshot
        )
        self._delivered = self.position
        self._delivered_snapshots: frozenset[str] = frozenset()  # few streams have any
        self._step_began: tuple[int, int] | None = None
        self._newest_in_stream = 0
        self._repeats = 0

    @property
    def interrupted(self) -> bool:
        """Whether a step began and delivered nothing: the open stream may be too far ahead."""
        return self._step_began == self._progress

    def begin_step(self) -> None:
        """Go back to the last delivered event. An open stream must not be ahead of it."""
        self.position = self._delivered
        self._step_began = self._progress

    def begin_stream(self) -> None:
        """Note that the next event comes from a new stream."""
        self._newest_in_stream = self._repeats = 0

    def accept(self, event: SandboxEvent) -> bool:
        """Take note of an event that was read; return whether it is new.

        Raises:
            ProtocolError: It is not a possible next event of this stream.
        """
        if event.sandbox_id != self.sandbox_id:
            raise self.protocol_error(f"sent an event of sandbox {shown(event.sandbox_id)}")
        if event.snapshot:
            return self._accept_snapshot(event)
        if event.sequence < max(self._newest_in_stream, 1):
            raise self.protocol_error(
                f"sent event {event.sequence} after event {self._newest_in_stream}"
            )
        if event.sequence == self._newest_in_stream:
            return self._skip_repeat(event)
        self._newest_in_stream = event.sequence
        self._repeats = 0
        if event.sequence <= self.position:
            return False
        self.position = event.sequence
        self.skip_snapshot()
        return True

    def skip_snapshot(self) -> None:
        """Note that the current snapshot is complete: it comes before all other events."""
        self.wants_snapshot = False

    def deliver(self, event: SandboxEvent) -> None:
        """Take note of an event that reaches the caller now.

        Raises:
            SandboxSequenceExpiredError: Events before it are missing.
        """
        if not event.snapshot and event.sequence != self._delivered + 1:
            raise SandboxSequenceExpiredError(
                self.sandbox_id,
                from_sequence=self._delivered,
                oldest_sequence=event.sequence,
                message=f"events {self._delivered + 1} to {event.sequence - 1} of sandbox "
                f"{shown_id(self.sandbox_id)} are missing: subscribe from {event.sequence - 1} to "
                "continue without them",
            )
        # Nothing may follow: an interruption there would lose the event.
        if event.snapshot:
            self._delivered_snapshots |= {event.event_id}
        else:
            self._delivered = event.sequence

    def protocol_error(self, what: str) -> ProtocolError:
        """Make the error of a daemon that violates the protocol; `what` says how, as a verb."""
        return ProtocolError(
            f"the daemon {what} (events of sandbox {shown(self.sandbox_id)}). It is broken "
            "or not a daemon",
            sandbox_id=self.sandbox_id,
        )

    @property
    def _progress(self) -> tuple[int, int]:
        """Changes with every delivery, in one step."""
        return self._delivered, len(self._delivered_snapshots)

    def _accept_snapshot(self, event: SandboxEvent) -> bool:
        if not self.wants_snapshot:
            raise self.protocol_error("sent a snapshot that was not requested")
        if event.event_id in self._delivered_snapshots:
            # A resumed stream shows each of them once more.
            return self._skip_repeat(event, _MAX_REPEATS + len(self._delivered_snapshots))
        return True

    def _skip_repeat(self, event: SandboxEvent, limit: int = _MAX_REPEATS) -> bool:
        self._repeats += 1
        if self._repeats > limit:
            raise self.protocol_error(f"sent event {event.sequence} over {_MAX_REPEATS} times")
        return False
