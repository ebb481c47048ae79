"""Accepted becomes completed: following a sandbox's events to a goal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Generic

from .._deadline import Backoff, Budget, Deadline
from .._endings import BecomeDeleted, BecomeStopped, PersistentGoal
from .._enums import SandboxState
from .._goals import ExecGoal, Goal, HandleT
from .._wire import methods, requests
from .._wire import v02_pb2 as pb
from ..errors import (
    DaemonUnavailableError,
    OperationTimeoutError,
    SandboxClientError,
    SandboxInvalidStateError,
    SandboxNotFoundError,
)
from ..models import ExecHandle, SandboxEvent, SandboxHandle
from ._daemon import Daemon
from ._feeds import Follower
from ._subscription import Break


class _Wait(ABC, Generic[HandleT]):
    """Follows one sandbox's events from a snapshot on, until a goal is reached.

    An event wakes it, a fresh snapshot confirms. A lost connection, a silent or a restarted
    daemon is survived: no event is missed, for as long as the deadline allows.
    """

    def __init__(
        self, daemon: Daemon, goal: Goal[HandleT], sandbox_id: str | None, budget: Budget
    ) -> None:
        self._daemon = daemon
        self._transport = daemon.transport
        self._goal = goal
        self._sandbox_id = sandbox_id
        self._budget = budget
        self._backoff = Backoff()
        self._trouble: SandboxClientError | None = None

    async def until_reached(
        self, handle: HandleT | None = None, *, after: int | None = None
    ) -> HandleT:
        """Wait and return the final snapshot.

        Args:
            handle: The first snapshot; None: read one.
            after: The goal is shown the events after this sequence; None: after that snapshot.

        Raises:
            OperationTimeoutError: The deadline passed.
            SandboxClientError: The goal cannot be reached any more.
        """
        follower = Follower(self._goal.concerns)
        look = False
        try:
            while not self._budget.operation.expired():
                try:
                    if look or handle is None:
                        handle, self._trouble = await self._read(), None
                    look = True
                    if await self._asked_again(handle):
                        continue
                    if self._goal.reached(handle):
                        return handle
                    self._follow(follower, handle, after)
                    await self._settled(follower)
                except (DaemonUnavailableError, OperationTimeoutError) as error:
                    self._trouble = error
                    await self._pause()
            bound = self._budget.operation.bound
            too_late = self._goal.timed_out(self._sandbox_id, handle, bound)
            raise too_late from self._trouble or follower.trouble
        finally:
            try:
                follower.leave()
            finally:
                follower.leave()  # an interruption from outside may come at any line

    @abstractmethod
    async def _read(self) -> HandleT:
        """Read a fresh snapshot."""

    async def _asked_again(self, handle: HandleT) -> bool:  # noqa: ARG002 - subclasses use it
        """Ask again for what a snapshot shows to have come to nothing."""
        return False

    def _meets_another_daemon(self) -> bool:
        """Say whether an event may be of a daemon that was restarted since the last snapshot."""
        return False

    def _follow(self, follower: Follower, handle: HandleT, after: int | None) -> None:
        if follower.feed is None:
            begin = handle.last_event_sequence if after is None else after
            if follower.after is not None:
                begin = follower.after
            self._daemon.feeds.join(follower, handle.sandbox_id, begin)

    async def _settled(self, follower: Follower) -> None:
        """Follow until a snapshot is due: an event settles the matter, or none will come."""
        while True:
            try:
                item = await follower.next(self._deadline)
            except SandboxNotFoundError:
                # Purged. What that means, a snapshot tells.
                item = Break.END
            if isinstance(item, SandboxEvent):
                self._backoff.reset()
            elif item is Break.END:
                await self._pause()
            if not isinstance(item, SandboxEvent) or self._goal.settled_by(item):
                return
            if self._meets_another_daemon():
                return

    @property
    def _deadline(self) -> Deadline:
        return self._goal.bounded(self._budget.operation)

    async def _pause(self) -> None:
        await self._transport.pause(self._backoff.pause(self._budget.operation))


class SandboxWait(_Wait[SandboxHandle]):
    """Waits for a state of a sandbox."""

    def __init__(
        self, daemon: Daemon, goal: Goal[SandboxHandle], sandbox_id: str, budget: Budget
    ) -> None:
        super().__init__(daemon, goal, sandbox_id, budget)
        self._id = sandbox_id

    async def _read(self) -> SandboxHandle:
        return await self._daemon.read_sandbox(self._id, self._budget.rpc())


class _PersistentWait(SandboxWait):
    """Waits for what may come to nothing with the daemon that was asked, and then asks again."""

    def __init__(
        self, daemon: Daemon, goal: PersistentGoal, sandbox_id: str, budget: Budget
    ) -> None:
        super().__init__(daemon, goal, sandbox_id, budget)
        self._persistent = goal
        self._asked_of: object = None
        self._looked_at: object = None

    @abstractmethod
    async def _ask(self) -> None:
        """Ask for the operation."""

    async def _asked_again(self, handle: SandboxHandle) -> bool:
        self._looked_at = identity = self._transport.daemon_identity()
        # None: the file is gone, which tells nothing of the daemon.
        restarted = None not in (identity, self._asked_of) and identity != self._asked_of
        if not self._persistent.undone(handle, restarted):
            return False
        await self._ask()
        self._asked_of = identity
        return True

    # A restart breaks the stream, which is noticed. One that came just before the stream was
    # opened breaks nothing: gRPC connects anew by itself.
    def _meets_another_daemon(self) -> bool:
        return self._transport.daemon_identity() != self._looked_at


class StopWait(_PersistentWait):
    """Waits until a sandbox is STOPPED."""

    def __init__(self, daemon: Daemon, sandbox_id: str, budget: Budget) -> None:
        super().__init__(daemon, BecomeStopped(), sandbox_id, budget)

    async def stop(self) -> SandboxHandle:
        """Ask for it, and see it through."""
        before = (await self._read()).last_event_sequence
        self._asked_of = self._transport.daemon_identity()
        # A lost answer is the caller's to know; only after a restart it is asked for again.
        await self._transport.unary(
            methods.STOP_SANDBOX, requests.stop_sandbox(self._id), self._budget.rpc()
        )
        return await self.until_reached(after=before)

    async def _ask(self) -> None:
        request = requests.stop_sandbox(self._id)
        try:
            await self._transport.unary(methods.STOP_SANDBOX, request, self._budget.rpc())
        except SandboxInvalidStateError:
            # It is READY no more. What it is, the next snapshot tells.
            return


class DeleteWait(_PersistentWait):
    """Waits until a sandbox is DELETED for good, be it by its purge."""

    def __init__(self, daemon: Daemon, sandbox_id: str, budget: Budget) -> None:
        self._becoming = BecomeDeleted()
        super().__init__(daemon, self._becoming, sandbox_id, budget)
        self._seen = SandboxHandle(sandbox_id, SandboxState.DELETED, 0, (), (), {}, None, "")

    async def delete(self) -> SandboxHandle:
        """Ask for it, and see it through."""
        self._seen = await super()._read()
        asked_of = self._transport.daemon_identity()
        await self._ask()
        if self._becoming.gone:
            return self._purged()
        return await self.see_through(self._seen, asked_of)

    async def see_through(self, before: SandboxHandle | None, asked_of: object) -> SandboxHandle:
        """Wait for a delete that was asked for.

        Args:
            before: A snapshot from before; None: there is none.
            asked_of: The identity of the daemon just before.
        """
        self._seen, self._asked_of = before or self._seen, asked_of
        # What may be at work besides the delete, the events from the beginning tell.
        at_rest = before is not None and before.state in _AT_REST
        return await self.until_reached(
            before, after=self._seen.last_event_sequence if at_rest else 0
        )

    async def _read(self) -> SandboxHandle:
        try:
            self._seen = await super()._read()
        except SandboxNotFoundError:
            return self._purged()
        return self._seen

    async def _ask(self) -> None:
        request = requests.delete_sandbox(self._id)
        try:
            await self._transport.unary(methods.DELETE_SANDBOX, request, self._budget.rpc())
        except SandboxNotFoundError:
            self._purged()

    def _purged(self) -> SandboxHandle:
        self._becoming.gone = True
        return replace(self._seen, state=SandboxState.DELETED)


_AT_REST = (SandboxState.READY, SandboxState.STOPPED, SandboxState.FAILED)


class ExecWait(_Wait[ExecHandle]):
    """Waits for the end of an exec.

    Args:
        logs: The answer that created the exec, for its log paths.
    """

    def __init__(
        self,
        daemon: Daemon,
        exec_id: str,
        budget: Budget,
        sandbox_id: str | None = None,
        logs: pb.CreateExecResponse | None = None,
    ) -> None:
        super().__init__(daemon, ExecGoal(exec_id), sandbox_id, budget)
        self._id = exec_id
        self._logs = logs

    async def _read(self) -> ExecHandle:
        return await self._daemon.read_exec(self._id, self._budget.rpc(), self._logs)
