"""Accepted becomes completed: following a sandbox's events to a goal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Generic

from .._aio import sleep
from .._deadline import Backoff, Budget
from .._enums import SandboxState
from .._goals import BECOME_DELETED, ExecGoal, Goal, HandleT
from .._wire import requests
from .._wire import v02_pb2 as pb
from .._wire.codec import decode_event
from .._wire.methods import SUBSCRIBE_SANDBOX_EVENTS
from ..errors import (
    DaemonUnavailableError,
    OperationTimeoutError,
    SandboxClientError,
    SandboxNotFoundError,
)
from ..models import ExecHandle, SandboxHandle
from ._daemon import Daemon


class _Wait(ABC, Generic[HandleT]):
    """Follows one sandbox's events from a snapshot on, until a goal is reached.

    An event wakes it, a fresh snapshot confirms. A lost connection, a silent or
    a restarted daemon is survived: it goes on after the last event seen, for as
    long as the deadline allows.
    """

    def __init__(
        self, daemon: Daemon, goal: Goal[HandleT], sandbox_id: str | None, budget: Budget
    ) -> None:
        self._daemon = daemon
        self._goal = goal
        self._sandbox_id = sandbox_id
        self._budget = budget
        self._deadline = budget.operation
        self._handle: HandleT | None = None
        self._sequence = 0
        self._backoff = Backoff()

    async def until_reached(self, handle: HandleT | None = None) -> HandleT:
        """Wait and return the final snapshot.

        Args:
            handle: The first snapshot; None: read one.

        Raises:
            OperationTimeoutError: The deadline passed.
            SandboxClientError: The goal cannot be reached any more.
        """
        self._handle = handle
        trouble: SandboxClientError | None = None
        # Once an event has settled the matter, no further one may come: what
        # is due then is a snapshot, whatever befalls the connection.
        snapshot_due = False
        while self._handle is None or not self._goal.reached(self._handle):
            if self._deadline.expired():
                bound = self._budget.operation.bound
                raise self._goal.timed_out(self._sandbox_id, self._handle, bound) from trouble
            pause = False
            try:
                if self._handle is not None and not snapshot_due:
                    pause = not await self._follow(self._handle)
                    snapshot_due = True
                self._handle = await self._read()
                snapshot_due, trouble = False, None
            except (DaemonUnavailableError, OperationTimeoutError) as error:
                pause, trouble = True, error
            self._deadline = self._goal.bounded(self._deadline)
            if pause:
                await sleep(self._backoff.pause(self._deadline))
        return self._handle

    @abstractmethod
    async def _read(self) -> HandleT:
        """Read a fresh snapshot."""

    async def _follow(self, handle: HandleT) -> bool:
        """Read events until one settles the matter (True) or the daemon ends them (False)."""
        if not (self._sequence and self._goal.reads_all_events):
            self._sequence = max(self._sequence, handle.last_event_sequence)
        request = requests.subscribe_sandbox_events(handle.sandbox_id, self._sequence)
        stream = self._daemon.transport.stream(SUBSCRIBE_SANDBOX_EVENTS, request, self._deadline)
        try:
            while (message := await stream.read()) is not None:
                if self._is_news(message) and self._goal.settled_by(decode_event(message)):
                    return True
        except SandboxNotFoundError:
            # Purged. What that means, the read that follows tells.
            return False
        finally:
            stream.cancel()
        return False

    def _is_news(self, message: pb.SandboxEvent) -> bool:
        if message.sequence <= self._sequence:
            return False
        self._sequence = message.sequence
        self._backoff.reset()
        return True


class SandboxWait(_Wait[SandboxHandle]):
    """Waits for a state of a sandbox."""

    def __init__(
        self, daemon: Daemon, goal: Goal[SandboxHandle], sandbox_id: str, budget: Budget
    ) -> None:
        super().__init__(daemon, goal, sandbox_id, budget)
        self._id = sandbox_id

    async def _read(self) -> SandboxHandle:
        return await self._daemon.read_sandbox(self._id, self._budget.rpc())


class DeleteWait(SandboxWait):
    """Waits until a sandbox is deleted, be it by its purge."""

    def __init__(self, daemon: Daemon, sandbox_id: str, budget: Budget) -> None:
        super().__init__(daemon, BECOME_DELETED, sandbox_id, budget)

    async def _read(self) -> SandboxHandle:
        try:
            return await super()._read()
        except SandboxNotFoundError:
            # Only deleted sandboxes are purged.
            gone = self._handle or SandboxHandle(
                self._id, SandboxState.DELETED, 0, (), (), {}, None, ""
            )
            return replace(gone, state=SandboxState.DELETED)


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
