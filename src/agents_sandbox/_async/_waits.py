"""Waiting for completion: follows a sandbox's events until a goal is reached."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, Generic

from .._arguments.creates import NO_LOGS, LogPaths, NewSandbox
from .._deadline import Budget, Deadline, Patience
from .._enums import ExecState, SandboxState
from .._goals import (
    BecomeDeleted,
    BecomeStopped,
    ExecEnd,
    Goal,
    HandleT,
    PersistentGoal,
    become_ready,
)
from .._notes import Remains
from .._shared.shown import shown_id
from .._surroundings import clock
from .._telemetry import recording, reports
from ..errors import (
    DaemonUnavailableError,
    OperationTimeoutError,
    SandboxClientError,
    SandboxInvalidStateError,
    SandboxNotFoundError,
)
from ..models import ExecHandle, SandboxEvent, SandboxHandle
from ._daemon import Daemon
from ._feeds import Feeds, Follower
from ._subscription import Break

_AT_REST = (SandboxState.READY, SandboxState.STOPPED, SandboxState.FAILED)


class _Wait(ABC, Generic[HandleT]):
    """Follows one sandbox's events from a snapshot on, until a goal is reached.

    An event wakes it, and a fresh snapshot confirms. It survives lost connections and a daemon
    that is silent or restarts: no event is missed within the deadline.
    """

    kind: ClassVar[str]
    """What the wait is for, as metrics name it."""

    __slots__ = (
        "_after",
        "_budget",
        "_daemon",
        "_feeds",
        "_follower",
        "_fresh",
        "_goal",
        "_handle",
        "_patience",
        "_sandbox_id",
        "_snapshot_due",
        "_trouble",
    )

    def __init__(
        self,
        daemon: Daemon,
        feeds: Feeds,
        goal: Goal[HandleT],
        sandbox_id: str | None,
        budget: Budget,
    ) -> None:
        self._daemon = daemon
        self._feeds = feeds
        self._goal = goal
        self._sandbox_id = sandbox_id
        self._budget = budget
        self._patience = Patience(budget.outage_seconds)
        self._trouble: SandboxClientError | None = None
        self._follower = Follower(goal.concerns)
        self._handle: HandleT | None = None
        self._after: int | None = None
        self._fresh = False
        self._snapshot_due = True

    def begin(self, handle: HandleT | None = None, *, after: int | None = None) -> None:
        """Begin with a snapshot that was just read.

        Args:
            handle: The first snapshot; None: the wait reads one.
            after: The goal sees the events after this sequence; None: after that snapshot.
        """
        self._handle, self._after = handle, after
        self._fresh = handle is not None

    async def until_reached(
        self, handle: HandleT | None = None, *, after: int | None = None
    ) -> HandleT:
        """Wait and return the final snapshot; arguments as in `begin`.

        Raises:
            OperationTimeoutError: The deadline passed.
            SandboxClientError: The goal cannot be reached any more.
        """
        self.begin(handle, after=after)
        waits = self._daemon.waits
        began = clock.monotonic()
        try:
            if waits is not None:
                waits[self] = began
            reached = None
            while reached is None:
                reached = await self.step(self._budget.operation)
            return reached
        finally:
            try:
                self._end(waits)
            finally:
                self._end(waits)  # an interruption can come at any line
            if (recorder := recording.recorder) is not None:
                recorder.waited(self.kind, clock.monotonic() - began)

    def _end(self, waits: dict[Any, float] | None) -> None:
        self.leave()
        if waits is not None:
            waits.pop(self, None)

    async def step(self, until: Deadline) -> HandleT | None:
        """Wait on; return the final snapshot once the goal is reached, or None at `until`.

        It follows the events between its steps, too, until `leave`. So a step makes no call unless
        an event requires one. An interrupted step loses nothing: the next one continues.

        Raises:
            OperationTimeoutError: The deadline passed.
            SandboxClientError: The goal cannot be reached any more.
        """
        waited = False
        while not self._budget.operation.expired():
            # In any other case than that below: an interruption may lose an event.
            due, self._snapshot_due = self._snapshot_due, True
            try:
                if due:
                    handle = await self._snapshot()
                    if await self._repeat_if_lost(handle):
                        continue
                    if self._goal.judge(handle):
                        return handle
                    self._follow(handle)
                # After `until` only once, for events that have arrived: there may always be more.
                due = not (waited and until.expired()) and await self._follow_until_due(until)
                if not due:
                    self._snapshot_due = False
                    return None
            except (DaemonUnavailableError, OperationTimeoutError) as error:
                if self._handle is None and not self._may_recover(error):
                    raise
                self._trouble = error
                pause = self._patience.next_pause(self._budget.operation)
                if pause is None:
                    break
                await self._daemon.pause(pause)
                if until.expired():
                    return None
            waited = True
        bound, trouble = self._budget.operation.bound, self._last_trouble()
        raise self._goal.timeout_error(self._sandbox_id, self._handle, bound, trouble) from trouble

    def describe(self) -> str:
        """Say what it waits for, and how that is, for people; any thread may ask."""
        what, state = self._what()
        trouble = self._trouble or self._follower.trouble
        known = f": {state.name}" if state else ""
        return f"{what}{known}{' (reconnecting)' if trouble is not None else ''}"

    @abstractmethod
    def _what(self) -> tuple[str, SandboxState | ExecState | None]:
        """Return what it waits for, and the state of that, if known."""

    def leave(self) -> None:
        """Stop following the events. Safe to repeat, and to be repeated if interrupted."""
        self._follower.leave()
        self._follower.farewell = None

    def leave_with(self, owner: object) -> None:
        """Leave soon after an object has been collected."""
        # The feed keeps the follower, so the callback lives as long as it can be needed.
        self._follower.farewell = self._daemon.when_gone(owner, self._follower.leave)

    async def _snapshot(self) -> HandleT:
        handle = self._handle
        if handle is None or not self._fresh:
            handle, self._trouble = await self._read(), None
            self._patience.end_outage()
        self._handle, self._fresh = handle, False
        return handle

    @abstractmethod
    async def _read(self) -> HandleT:
        """Read a fresh snapshot."""

    # A daemon that is shutting down refuses calls, but waits for open streams before it exits. The
    # stream has shown what the wait needs, or it will break; the wait joins again later.
    def _let_go(self) -> None:
        self._follower.leave()

    def _last_trouble(self) -> SandboxClientError | None:
        trouble = self._trouble or self._follower.trouble
        if self._budget.operation.bound is None and not isinstance(trouble, DaemonUnavailableError):
            silent = self._daemon.unavailable("it does not answer")
            silent.__cause__ = trouble
            return silent
        if trouble is None and self._daemon.socket_identity() is None:
            # It has removed its socket and waits for the stream of this wait, which still works.
            return self._daemon.unavailable("it is shutting down")
        return trouble

    async def _repeat_if_lost(self, handle: HandleT) -> bool:  # noqa: ARG002 - for subclasses
        """Request the operation again if a snapshot shows its loss; return whether it was lost."""
        return False

    def _may_be_another_daemon(self) -> bool:
        """Whether an event may come from a daemon that restarted after the last snapshot."""
        return False

    def _follow(self, handle: HandleT) -> None:
        follower = self._follower
        if follower.feed is None:
            begin = handle.last_event_sequence if self._after is None else self._after
            if follower.after is not None:
                begin = follower.after
            self._feeds.join(follower, handle.sandbox_id, begin)

    async def _follow_until_due(self, until: Deadline) -> bool:
        """Follow the events and return True once a snapshot is due; False at `until`."""
        follower = self._follower
        while True:
            if follower.trouble is not None:
                self._patience.begin_outage()
            due = self._patience.limit(self._goal.snapshot_due(self._budget.operation))
            try:
                item = await follower.next(due.earlier(until))
            except SandboxNotFoundError:
                # The sandbox was purged. A snapshot shows what that means for the goal.
                item = Break.END
            if item is None:
                return due.expired()
            if item is Break.LOST:
                continue
            if isinstance(item, SandboxEvent):
                self._patience.reset()
            elif item is Break.END:
                await self._daemon.pause(self._patience.pause(self._budget.operation))
            if not isinstance(item, SandboxEvent) or self._goal.see(item):
                return True
            if self._may_be_another_daemon():
                return True

    def _may_recover(self, error: SandboxClientError) -> bool:
        return not isinstance(error, DaemonUnavailableError) or self._daemon.may_recover(error)


class SandboxWait(_Wait[SandboxHandle]):
    """Waits for a state of a sandbox."""

    kind = "sandbox"

    __slots__ = ("_id",)

    def __init__(
        self,
        daemon: Daemon,
        feeds: Feeds,
        goal: Goal[SandboxHandle],
        sandbox_id: str,
        budget: Budget,
    ) -> None:
        super().__init__(daemon, feeds, goal, sandbox_id, budget)
        self._id = sandbox_id

    async def _read(self) -> SandboxHandle:
        return await self._daemon.get_sandbox(self._id, self._budget.rpc(), self._let_go)

    def _what(self) -> tuple[str, SandboxState | None]:
        handle = self._handle
        state = self._follower.state or (handle.state if handle is not None else None)
        return f"sandbox {shown_id(self._id)}", state


async def create_sandbox(
    daemon: Daemon, feeds: Feeds, new: NewSandbox, budget: Budget, remains: Remains, *, wait: bool
) -> SandboxHandle:
    """Create a sandbox, and wait until it is READY if `wait` is set.

    Args:
        daemon: The daemon.
        feeds: The event streams to share.
        new: What to create.
        budget: How long it may take.
        remains: Is told what an interruption may leave behind.
        wait: Whether to wait.
    """
    accepted = await daemon.create_sandbox(new, budget.rpc(), remains)
    created = accepted.sandbox_id
    remains.after_create(created)
    if not wait:
        return await daemon.get_sandbox(created, budget.rpc())
    goal = become_ready(accepted, new.required_services)
    # From event 1: if the answer was lost, `accepted` is a later snapshot.
    return await SandboxWait(daemon, feeds, goal, created, budget).until_reached(accepted, after=1)


class _PersistentWait(SandboxWait):
    """Waits for an operation that a restart of the daemon can lose, and requests it again."""

    def __init__(
        self,
        daemon: Daemon,
        feeds: Feeds,
        goal: PersistentGoal,
        sandbox_id: str,
        budget: Budget,
        report_repeat: Callable[[str], None],
    ) -> None:
        super().__init__(daemon, feeds, goal, sandbox_id, budget)
        self._persistent = goal
        self._report_repeat = report_repeat
        self._socket_at_request: object = None
        self._socket_at_snapshot: object = None

    @abstractmethod
    async def _request(self) -> None:
        """Request the operation."""

    def _is_lost(self, handle: SandboxHandle) -> bool:
        self._socket_at_snapshot = identity = self._daemon.socket_identity()
        before = self._socket_at_request
        # None: there is no socket file, which says nothing about the daemon.
        restarted = None not in (identity, before) and identity != before
        return self._persistent.detect_loss(handle, restarted)

    async def _repeat_if_lost(self, handle: SandboxHandle) -> bool:
        if not self._is_lost(handle):
            return False
        self._report_repeat(self._id)
        await self._request()
        self._socket_at_request = self._socket_at_snapshot
        return True

    # Most restarts are noticed because they break the stream. A restart just before the stream is
    # opened breaks nothing, because gRPC reconnects by itself.
    def _may_be_another_daemon(self) -> bool:
        return self._daemon.socket_identity() != self._socket_at_snapshot


class StopWait(_PersistentWait):
    """Waits until a sandbox is STOPPED."""

    kind = "stop"

    def __init__(self, daemon: Daemon, feeds: Feeds, sandbox_id: str, budget: Budget) -> None:
        goal = BecomeStopped()
        super().__init__(daemon, feeds, goal, sandbox_id, budget, reports.stopped_again)

    async def stop(self) -> SandboxHandle:
        """Stop the sandbox and wait."""
        before = (await self._read()).last_event_sequence
        self._socket_at_request = self._daemon.socket_identity()
        # If the answer is lost, the caller gets the error. Only a restart makes us repeat it.
        await self._daemon.stop_sandbox(self._id, self._budget.rpc())
        return await self.until_reached(after=before)

    async def _request(self) -> None:
        try:
            await self._daemon.stop_sandbox(self._id, self._budget.rpc())
        except SandboxInvalidStateError:
            # It is no longer READY. The next snapshot shows its state.
            return


class DeleteWait(_PersistentWait):
    """Waits until a sandbox is DELETED for good or purged."""

    kind = "delete"

    def __init__(self, daemon: Daemon, feeds: Feeds, sandbox_id: str, budget: Budget) -> None:
        self._becoming = BecomeDeleted()
        super().__init__(daemon, feeds, self._becoming, sandbox_id, budget, reports.deleted_again)
        self._seen = SandboxHandle(sandbox_id, SandboxState.DELETED, 0, (), (), {}, None, "")

    async def delete(self) -> SandboxHandle:
        """Delete the sandbox and wait."""
        self._seen = await super()._read()
        socket_at_request = self._daemon.socket_identity()
        await self._request()
        if self._becoming.purged:
            return self._note_purge()
        return await self.follow_delete(self._seen, socket_at_request)

    async def follow_delete(
        self, before: SandboxHandle | None, socket_at_request: object
    ) -> SandboxHandle:
        """Wait for a delete that was requested.

        Args:
            before: A snapshot from before the request, or None.
            socket_at_request: The identity of the socket just before the request was sent.
        """
        self._seen, self._socket_at_request = before or self._seen, socket_at_request
        # Replay from event 1 unless the sandbox was at rest: a create or a resume may still be
        # running.
        at_rest = before is not None and before.state in _AT_REST
        return await self.until_reached(
            before, after=self._seen.last_event_sequence if at_rest else 0
        )

    async def _read(self) -> SandboxHandle:
        try:
            self._seen = await super()._read()
        except SandboxNotFoundError:
            return self._note_purge()
        return self._seen

    async def _request(self) -> None:
        try:
            await self._daemon.delete_sandbox(self._id, self._budget.rpc(), self._let_go)
        except SandboxNotFoundError:
            self._note_purge()

    def _note_purge(self) -> SandboxHandle:
        self._becoming.purged = True
        return replace(self._seen, state=SandboxState.DELETED)


class DeletionWatch(DeleteWait):
    """Waits until a sandbox is DELETED for good or purged, and leaves the delete to others."""

    async def watch(self) -> SandboxHandle:
        """Wait."""
        return await self.follow_delete(None, self._daemon.socket_identity())

    async def _read(self) -> SandboxHandle:
        handle = await super()._read()
        if self._becoming.purged and handle.last_event_sequence == 0:
            # It was never seen. Nobody can tell a purged one from a mistake.
            raise SandboxNotFoundError(self._id)
        return handle

    async def _repeat_if_lost(self, handle: SandboxHandle) -> bool:
        self._is_lost(handle)  # the goal takes note of a restart
        return False


class ExecWait(_Wait[ExecHandle]):
    """Waits for the end of an exec.

    Args:
        daemon: The daemon.
        feeds: The event streams to share.
        exec_id: The exec.
        budget: How long the wait may take.
        sandbox_id: Its sandbox, if known.
        logs: Its log paths, if known.
    """

    kind = "exec"

    def __init__(
        self,
        daemon: Daemon,
        feeds: Feeds,
        exec_id: str,
        budget: Budget,
        sandbox_id: str | None = None,
        logs: LogPaths = NO_LOGS,
    ) -> None:
        super().__init__(daemon, feeds, ExecEnd(exec_id), sandbox_id, budget)
        self._id = exec_id
        self._logs = logs

    async def _read(self) -> ExecHandle:
        return await self._daemon.get_exec(self._id, self._budget.rpc(), self._logs, self._let_go)

    def _what(self) -> tuple[str, ExecState | None]:
        handle = self._handle
        return f"exec {shown_id(self._id)}", handle.state if handle is not None else None
