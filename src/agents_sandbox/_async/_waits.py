"""Accepted becomes completed: following a sandbox's events to a goal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic

from .._aio import sleep
from .._deadline import Backoff, Deadline
from .._goals import ExecGoal, Goal, HandleT
from .._wire import requests
from .._wire import v02_pb2 as pb
from .._wire.codec import decode_event
from .._wire.methods import SUBSCRIBE_SANDBOX_EVENTS
from ..errors import DaemonUnavailableError, OperationTimeoutError, SandboxClientError
from ..models import ExecHandle, SandboxHandle
from ._snapshots import read_exec, read_sandbox
from ._transport import Transport


class _Wait(ABC, Generic[HandleT]):
    """Follows one sandbox's events from a snapshot on, until a goal is reached.

    An event wakes it, a fresh snapshot confirms. A dropped connection or a
    restarted daemon is survived: it goes on after the last event seen, for as
    long as the deadline allows.
    """

    def __init__(
        self, transport: Transport, goal: Goal[HandleT], sandbox_id: str, deadline: Deadline
    ) -> None:
        self._transport = transport
        self._goal = goal
        self._sandbox_id = sandbox_id
        self._deadline = deadline
        self._sequence = 0
        self._backoff = Backoff()

    async def until_reached(self, handle: HandleT) -> HandleT:
        """Wait, beginning with the given snapshot, and return the final one.

        Raises:
            OperationTimeoutError: The deadline passed.
            SandboxClientError: The goal cannot be reached any more.
        """
        self._sequence = handle.last_event_sequence
        trouble: SandboxClientError | None = None
        while not self._goal.reached(handle):
            if self._deadline.expired():
                raise self._goal.timed_out(handle, self._deadline.bound) from trouble
            try:
                settled = await self._follow()
                handle = await self._read()
            except DaemonUnavailableError as error:
                trouble = error
                await sleep(self._backoff.pause(self._deadline))
                continue
            except OperationTimeoutError as error:
                raise self._goal.timed_out(handle, self._deadline.bound) from error
            self._sequence = max(self._sequence, handle.last_event_sequence)
            self._deadline = self._goal.bounded(self._deadline)
            if not settled:
                await sleep(self._backoff.pause(self._deadline))
        return handle

    @abstractmethod
    async def _read(self) -> HandleT:
        """Read a fresh snapshot."""

    async def _follow(self) -> bool:
        """Read events until one settles the matter (True) or the daemon ends them (False)."""
        request = requests.subscribe_sandbox_events(self._sandbox_id, self._sequence)
        stream = self._transport.stream(SUBSCRIBE_SANDBOX_EVENTS, request, self._deadline)
        try:
            while (message := await stream.read()) is not None:
                if self._is_news(message) and self._goal.settled_by(decode_event(message)):
                    return True
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

    async def _read(self) -> SandboxHandle:
        return await read_sandbox(self._transport, self._sandbox_id, self._deadline)


class ExecWait(_Wait[ExecHandle]):
    """Waits for the end of an exec."""

    def __init__(
        self,
        transport: Transport,
        handle: ExecHandle,
        deadline: Deadline,
        logs: pb.CreateExecResponse | None = None,
    ) -> None:
        super().__init__(transport, ExecGoal(handle.exec_id), handle.sandbox_id, deadline)
        self._exec_id = handle.exec_id
        self._logs = logs

    async def _read(self) -> ExecHandle:
        return await read_exec(self._transport, self._exec_id, self._deadline, self._logs)
