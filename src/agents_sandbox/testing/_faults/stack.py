"""The active faults, wrapped around the handlers."""

from __future__ import annotations

import functools

from ..._wire import v02_pb2 as pb
from .kinds import Answer, Call, Fault, Proceed, Send
from .planned import PlannedCalls


class FaultStack:
    """The active faults; use it in the daemon's thread only."""

    def __init__(self) -> None:
        self.planned: PlannedCalls = PlannedCalls()
        # Oldest first; the plans for single calls are innermost.
        self._faults: tuple[Fault, ...] = (self.planned,)

    def add(self, fault: Fault) -> None:
        """Wrap a fault around the active ones."""
        self._faults = (*self._faults, fault)

    def remove(self, fault: Fault) -> None:
        """Remove a fault and continue everything that it holds."""
        self._faults = tuple(other for other in self._faults if other is not fault)
        fault.release()

    def release(self) -> None:
        """Continue everything that is held; the faults stay active."""
        for fault in self._faults:
            fault.release()

    async def serve(self, call: Call, proceed: Proceed) -> Answer:
        """Serve a call through the faults.

        Raises:
            StatusError: The call fails.
        """
        for fault in self._faults:
            proceed = functools.partial(fault.on_call, call, proceed)
        return await proceed()

    async def send(self, call: Call, event: pb.SandboxEvent, send: Send) -> None:
        """Send an event of a stream through the faults.

        Raises:
            StatusError: The stream fails.
        """
        call.offered += 1
        for fault in self._faults:
            send = functools.partial(fault.on_event, call, send=send)
        await send(event)
