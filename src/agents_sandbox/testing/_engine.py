"""Everything behind the facade: the service, its server and the thread they live in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import grpc.aio

from .._wire import v02_pb2 as pb
from ._background import Background
from ._errors import StatusError, shutting_down
from ._execs import Runner
from ._fault_stack import FaultStack
from ._leaks import execs_left, processes_left, sandboxes_left
from ._lifecycle import Settings
from ._loop_thread import LoopThread
from ._recorder import Recorder
from ._sandbox import Sandbox
from ._server import OPTIONS, Handlers
from ._service import Service
from ._socket import SocketFile

T = TypeVar("T")

_GRACE = 0.5
"""Seconds that calls get to end at a stop; only a stream that nobody reads needs them."""


class Engine:
    """One daemon; its methods may be called from any thread."""

    def __init__(
        self, settings: Settings, socket: SocketFile, runner: Runner, recorder: Recorder
    ) -> None:
        self.recorder = recorder
        self.faults = FaultStack()
        self.socket = socket
        self._runner = runner
        self._background = Background()
        self._service = Service(self._background, runner, settings)
        self._thread = LoopThread(self._serve)

    def start(self) -> None:
        """Return once the server listens; what keeps it from that is raised here."""
        self._thread.start()

    def stop(self) -> None:
        """Return once nothing of the daemon runs any more."""
        self._thread.stop()

    @asynccontextmanager
    async def _serve(self) -> AsyncIterator[None]:
        server = grpc.aio.server(options=OPTIONS)
        handlers = Handlers(self._service, self.recorder, self.faults)
        server.add_generic_rpc_handlers((handlers.generic(),))
        try:
            self.socket.listen(server.add_insecure_port)
            try:
                await server.start()
                yield
            finally:
                self.socket.close()
        finally:
            # Streams would use up the grace, and cancelled handlers print tracebacks.
            self._service.end_streams(shutting_down())
            handlers.close()
            await server.stop(_GRACE)
            await self._background.aclose()
            await self._runner.aclose()

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in the daemon's thread and return its result."""
        return self._thread.call(function)

    def hold(self) -> None:
        """Freeze background progress; each hold needs a `release()`."""
        self._thread.call(self._background.hold)

    def release(self) -> None:
        """Take back one hold."""
        self._thread.call(self._background.release)

    def advance(self, count: int, timeout: float) -> None:
        """Let `count` frozen steps happen, waiting for them for `timeout` seconds."""
        self._thread.run(self._background.advance(count), timeout)

    def end_streams(self, failure: StatusError | None) -> None:
        """End all open event streams: with a failure, or cleanly."""
        self._thread.call(lambda: self._service.end_streams(failure))

    def leftovers(self, *, sandboxes: bool, execs: bool, processes: bool) -> list[str]:
        """Name what is left: sandboxes, running execs, processes; each if asked for."""

        def look() -> list[str]:
            return [
                *(sandboxes_left(self._service.sandboxes) if sandboxes else ()),
                *(execs_left(self._service.execs) if execs else ()),
                *(processes_left(self._runner) if processes else ()),
            ]

        return self._thread.call(look)

    def emit(self, sandbox_id: str, event: pb.SandboxEvent) -> None:
        """Append an event to a sandbox's log."""
        self._thread.call(lambda: self._sandbox(sandbox_id).log.append(event))

    def kill_primary(self, sandbox_id: str) -> None:
        """Let the container of a READY sandbox die."""

        def kill() -> None:
            sandbox = self._sandbox(sandbox_id)
            if sandbox.state != pb.SANDBOX_STATE_READY:
                raise ValueError(f"sandbox {sandbox_id} is not READY")
            self._service.lifecycle.container_died(sandbox)

        self._thread.call(kill)

    def purge(self, sandbox_id: str) -> None:
        """Drop the record of a DELETED sandbox."""

        def purge() -> None:
            sandbox = self._sandbox(sandbox_id)
            if sandbox.state != pb.SANDBOX_STATE_DELETED:
                raise ValueError(f"sandbox {sandbox_id} is not DELETED")
            self._service.purge(sandbox)

        self._thread.call(purge)

    def _sandbox(self, sandbox_id: str) -> Sandbox:
        try:
            return self._service.sandboxes.get(sandbox_id)
        except StatusError as error:
            raise LookupError(error.message) from error
