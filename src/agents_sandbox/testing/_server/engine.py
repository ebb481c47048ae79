"""Everything behind the facade: the service, its server and the thread they live in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import grpc
import grpc.aio

from ..._wire import v02_pb2 as pb
from .._commands.command import Runner
from .._faults.stack import FaultStack
from .._protocol.refusals import StatusError
from .._sandboxes.sandbox import Sandbox
from .._settings import Settings
from .._time.background import Background
from .handlers import OPTIONS, Handlers
from .leaks import execs_left, sandboxes_left
from .loop_thread import LoopThread
from .recorder import Recorder
from .service import Service
from .socket_file import SocketFile

T = TypeVar("T")

_GRACE = 0.5
"""Seconds that calls get to end at a stop; only a stream that nobody reads needs them."""
_PATIENCE = 10.0
"""Seconds after which a start or an end is given up."""


class Engine:
    """One daemon on one host, over all its lives; methods may be called from any thread."""

    def __init__(
        self,
        settings: Settings,
        socket: SocketFile,
        runner: Runner,
        recorder: Recorder,
        background: Background,
    ) -> None:
        self.recorder = recorder
        self.faults: FaultStack = FaultStack()
        self.socket = socket
        self._runner = runner
        self._background = background
        self._service = Service(background, runner, settings)
        self._thread = LoopThread(self._live)
        self._server: grpc.aio.Server | None = None
        self._handlers: Handlers | None = None
        self._ending: asyncio.Task[None] | None = None
        self._ended = threading.Event()

    @property
    def started(self) -> bool:
        """Whether it was ever started."""
        return self._thread.started

    def raise_error(self) -> None:
        """Raise the first error that ended background work."""
        if self._background.errors:
            raise self._background.errors[0]

    @property
    def running(self) -> bool:
        """Whether the daemon is up, if only to wait for its last streams."""
        return self._server is not None

    def start(self) -> None:
        """Return once the server listens; what keeps it from that is raised here."""
        if self._thread.started:
            self._thread.run(self._open(), _PATIENCE)
        else:
            self._thread.start()

    def stop(self) -> None:
        """Return once nothing of the daemon and its host runs any more."""
        self._thread.stop()

    def kill(self, *, stale_socket: bool) -> None:
        """End the daemon at once; its host goes on."""
        self._thread.run(self._kill(stale_socket=stale_socket), _PATIENCE)

    def terminate(self) -> None:
        """Ask the daemon to end, which it does when its last stream is gone."""
        self._thread.call(self._terminate)

    def wait_until_ended(self, timeout: float) -> None:
        """Block until the daemon has ended.

        Raises:
            RuntimeError: Nobody asked it to.
            TimeoutError: It did not, in `timeout` seconds.
        """
        # Read in this order: the end clears `running` before `_ending`.
        if not self._ending and self.running:
            raise RuntimeError("nobody asked the fake daemon to end: call terminate() first")
        if not self._ended.wait(timeout):
            streams = self.recorder.open_streams
            raise TimeoutError(f"after {timeout} s {streams} event streams keep the daemon alive")

    @asynccontextmanager
    async def _live(self) -> AsyncIterator[None]:
        try:
            await self._open()
            yield
        finally:
            await self._shut("shutting down", leave_stale=False)
            await self._background.aclose()
            await self._runner.aclose()
            await _settle()
            self._ended.set()

    async def _open(self) -> None:
        server = grpc.aio.server(options=OPTIONS)
        handlers = Handlers(self._service, self.recorder, self.faults)
        server.add_generic_rpc_handlers((handlers.generic(),))
        self.socket.listen(server.add_insecure_port)
        try:
            await self._service.wake_up()
            await server.start()
        except BaseException:
            self.socket.close()
            raise
        self._server, self._handlers = server, handlers
        self._ended.clear()

    async def _shut(self, why: str, *, leave_stale: bool) -> None:
        server, self._server = self._server, None
        handlers, self._handlers = self._handlers, None
        if self._ending:
            self._ending.cancel()
            self._ending = None
        # Streams would use up the grace, and cancelled handlers print tracebacks.
        self._service.end_streams(StatusError(grpc.StatusCode.UNAVAILABLE, why))
        if server and handlers:
            handlers.close()
            await handlers.finish(_GRACE)
            await self._disconnect(server)
        self.socket.close(leave_stale=leave_stale)

    async def _disconnect(self, server: grpc.aio.Server) -> None:
        # First the connections: gRPC's stop cancels calls that arrive meanwhile, and real
        # daemons refuse them.
        self.socket.cut()
        await server.stop(_GRACE)

    async def _kill(self, *, stale_socket: bool) -> None:
        self.socket.cut()
        await self._shut("Socket closed", leave_stale=stale_socket)
        await self._service.die()
        self._ended.set()

    def _terminate(self) -> None:
        if self._server and self._handlers and not self._ending:
            self.socket.close()
            self._handlers.refuse()
            self.socket.dismiss()
            end = self._end(self._server, self._handlers)
            self._ending = asyncio.get_running_loop().create_task(end)

    async def _end(self, server: grpc.aio.Server, handlers: Handlers) -> None:
        await handlers.finish()
        await self._disconnect(server)
        await self._service.die()
        self._server = self._handlers = self._ending = None
        self._ended.set()

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in the daemon's thread and return its result."""
        return self._thread.call(function)

    def hold(self) -> None:
        """Freeze background progress; each hold needs a `release()`."""
        self._thread.call(self._background.hold)

    def release(self) -> None:
        """Take back one hold."""
        self._thread.call(self._background.release)

    def step(self, count: int, timeout: float) -> None:
        """Let `count` frozen steps happen, waiting for them for `timeout` seconds."""
        self._thread.run(self._background.advance(count), timeout)

    def advance(self, seconds: float, timeout: float) -> None:
        """Move the virtual clock, for which the host may take `timeout` seconds."""
        self._thread.run(self._background.advance_clock(seconds), timeout)

    def end_streams(self, failure: StatusError | None) -> None:
        """End all open event streams: with a failure, or cleanly."""
        self._thread.call(lambda: self._service.end_streams(failure))

    def leftovers(self, *, sandboxes: bool, execs: bool, processes: bool) -> list[str]:
        """Name what is left: sandboxes, running execs, processes; each if asked for."""

        def look() -> list[str]:
            return [
                *(sandboxes_left(self._service.sandboxes) if sandboxes else ()),
                *(execs_left(self._service.execs) if execs else ()),
                *(self._runner.running() if processes else ()),
            ]

        return self._thread.call(look)

    def emit(self, sandbox_id: str, event: pb.SandboxEvent) -> None:
        """Append an event to a sandbox's log."""
        self._with(sandbox_id, lambda sandbox: sandbox.log.append(event))

    def kill_container(self, sandbox_id: str, name: str, *, oom: bool) -> None:
        """Kill a container that is running."""

        def kill(sandbox: Sandbox) -> None:
            container = sandbox.container(name)
            if not container.running:
                raise ValueError(f"container {container.name} is not running")
            self._service.watch.kill(sandbox, name, oom=oom)

        self._with(sandbox_id, kill)

    def remove_container(self, sandbox_id: str, name: str) -> None:
        """Remove a container."""

        def remove(sandbox: Sandbox) -> None:
            sandbox.container(name)
            self._service.watch.remove(sandbox, name)

        self._with(sandbox_id, remove)

    def purge(self, sandbox_id: str) -> None:
        """Drop the record of a DELETED sandbox."""

        def purge(sandbox: Sandbox) -> None:
            if sandbox.state != pb.SANDBOX_STATE_DELETED:
                raise ValueError(f"sandbox {sandbox_id} is not DELETED")
            self._service.retention.purge([sandbox])

        self._with(sandbox_id, purge)

    def _with(self, sandbox_id: str, act: Callable[[Sandbox], T]) -> T:
        def find_and_act() -> T:
            try:
                sandbox = self._service.sandboxes.get(sandbox_id)
            except StatusError as error:
                raise LookupError(error.message) from error
            return act(sandbox)

        return self._thread.call(find_and_act)


async def _settle() -> None:
    # A call may have arrived at the last moment. gRPC prints tracebacks if its loop closes first.
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait({asyncio.gather(*others, return_exceptions=True)}, timeout=_GRACE)
