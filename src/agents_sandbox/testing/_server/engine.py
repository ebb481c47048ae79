"""Everything behind the facade: the service, its server and their thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import grpc
import grpc.aio

from ..._shared.helpers import is_own
from ..._shared.shown import shortened, shown_id
from ..._surroundings.grpc_loop import GrpcLoop
from ..._wire import v02_pb2 as pb
from .._commands.command import Runner
from .._faults.kinds import Call
from .._faults.stack import FaultStack
from .._protocol.refusals import StatusError
from .._records.containers import ContainerSnapshot, NetworkRecord
from .._records.records import ExecSnapshot, SandboxSnapshot
from .._sandboxes.sandbox import Sandbox
from .._settings import Settings
from .._time.background import Background
from .handlers import OPTIONS, Handlers
from .leaks import leaked_execs, leaked_sandboxes
from .loop_thread import LoopThread
from .recorder import Recorder, blocked_loop
from .service import Service
from .socket_file import SocketFile

T = TypeVar("T")

_GRACE = 0.5
"""Seconds that calls have to end at a stop; only a stream that no client reads needs them."""
_TIMEOUT = 10.0
"""Seconds that a restart or a kill may take."""
_RESET_TIMEOUT = 60.0
"""Seconds that a reset may take, which removes the files of all sandboxes."""
SHUTDOWN_LIMIT = 60.0
"""Seconds that a daemon that was told to stop waits for its calls, on its own clock. Recorded."""


class Engine:
    """One daemon on one host, over all its restarts; thread-safe."""

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
        self._thread = LoopThread(self._run)
        self._server: grpc.aio.Server | None = None
        self._handlers: Handlers | None = None
        self._shutdown: asyncio.Task[None] | None = None
        self._ended = threading.Event()

    @property
    def started(self) -> bool:
        """Whether `start()` was ever called."""
        return self._thread.started

    @property
    def may_be_waited_for(self) -> bool:
        """Whether the calling thread is neither the daemon's own nor one of a forked child."""
        return self._thread.may_be_waited_for

    def raise_error(self) -> None:
        """Raise the first error that ended background work, if any, and forget them all."""
        errors, self._background.errors = self._background.errors, []
        if errors:
            raise errors[0]

    @property
    def running(self) -> bool:
        """Whether the daemon is running, including a shutdown that waits for streams."""
        return self._server is not None

    def start(self) -> None:
        """Start or restart; return once the server listens, or raise why it cannot."""
        if self._thread.started:
            self._thread.run(self._open(), _TIMEOUT)
        else:
            self._thread.start()

    def stop(self) -> None:
        """Stop the daemon and its host; return once nothing of them runs."""
        self._thread.stop()

    def kill(self, *, stale_socket: bool) -> None:
        """End the daemon immediately; its host continues."""
        self._thread.run(self._kill(stale_socket=stale_socket), _TIMEOUT)

    def terminate(self) -> None:
        """Begin a shutdown, which ends with the last stream or after `SHUTDOWN_LIMIT`."""
        self._thread.call(self._terminate)

    def reset(self) -> None:
        """Forget everything; afterwards, the daemon runs, also if it had been killed."""
        self._thread.run(self._reset(), _RESET_TIMEOUT)

    async def _reset(self) -> None:
        if self._shutdown:
            await self._kill(stale_socket=False)
        await self._service.reset()
        self.faults.planned.clear()
        self.recorder.clear()
        if self._server:
            await self._service.start()
        else:
            await self._open()

    def wait_until_ended(self, timeout: float) -> None:
        """Block until the daemon has ended.

        Raises:
            RuntimeError: It is running, and no shutdown has begun.
            TimeoutError: It did not end in `timeout` seconds.
        """
        # Read in this order: the end of a shutdown clears `running` before `_shutdown`.
        if not self._shutdown and self.running:
            raise RuntimeError("the fake daemon is not shutting down: call terminate() first")
        if not self._ended.wait(timeout):
            calls = 0 if self._handlers is None else self._handlers.in_progress
            raise TimeoutError(
                f"the fake daemon did not end within {timeout} s: {calls} calls are in progress, "
                f"{self.recorder.open_streams} of them event streams{blocked_loop()}"
            )

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        self._grpc_loop = GrpcLoop(asyncio.get_running_loop())
        try:
            await self._open()
            yield
        finally:
            await self._close("shutting down", leave_stale=False)
            await self._background.aclose()
            await self._runner.aclose()
            # A call may have arrived at the last moment: gRPC prints tracebacks if the loop closes
            # before it has ended.
            await self._grpc_loop.settle(_GRACE)
            self._ended.set()

    async def _open(self) -> None:
        server = self._grpc_loop.open(lambda: grpc.aio.server(options=OPTIONS))
        handlers = Handlers(self._service, self.recorder, self.faults)
        server.add_generic_rpc_handlers((handlers.generic(),))
        self.socket.listen(server.add_insecure_port)
        try:
            await self._service.start()
            await server.start()
        except BaseException:
            self.socket.close()
            raise
        self._server, self._handlers = server, handlers
        self._ended.clear()

    async def _close(self, why: str, *, leave_stale: bool) -> None:
        server, self._server = self._server, None
        handlers, self._handlers = self._handlers, None
        if self._shutdown:
            self._shutdown.cancel()
            self._shutdown = None
        if server and handlers:
            await self._end_calls(handlers, why)
            await self._stop_server(server)
        self.socket.close(leave_stale=leave_stale)

    async def _end_calls(self, handlers: Handlers, why: str) -> None:
        # Open streams would use up the grace, and cancelled handlers print tracebacks.
        self._service.end_streams(StatusError(grpc.StatusCode.UNAVAILABLE, why))
        handlers.close()
        await handlers.drain(_GRACE)

    async def _stop_server(self, server: grpc.aio.Server) -> None:
        # Break the connections first: a stop of gRPC's server cancels calls that arrive during
        # it, but real daemons refuse them.
        with suppress(OSError):  # out of descriptors: the stop does it, less truly
            self.socket.disconnect()
        await server.stop(_GRACE)

    async def _kill(self, *, stale_socket: bool) -> None:
        self.socket.disconnect()
        await self._close("Socket closed", leave_stale=stale_socket)
        await self._service.stop()
        self._ended.set()

    def _terminate(self) -> None:
        if self._server and self._handlers and not self._shutdown:
            self.socket.close()
            self._handlers.refuse_calls()
            shutdown = self._shut_down(self._server, self._handlers)
            self._shutdown = asyncio.get_running_loop().create_task(shutdown)

    async def _shut_down(self, server: grpc.aio.Server, handlers: Handlers) -> None:
        limit = asyncio.ensure_future(self._background.clock.sleep(SHUTDOWN_LIMIT))
        drained = asyncio.ensure_future(self._drain(handlers))
        try:
            await asyncio.wait((limit, drained), return_when=asyncio.FIRST_COMPLETED)
        finally:
            limit.cancel()
            drained.cancel()
        await self._end_calls(handlers, "Socket closed")
        await self._stop_server(server)
        await self._service.stop()
        self._server = self._handlers = self._shutdown = None
        self._ended.set()

    async def _drain(self, handlers: Handlers) -> None:
        await handlers.drain_unary()
        with suppress(OSError):  # out of descriptors: refused calls tell clients, too
            self.socket.send_goaway()
        await handlers.drain()

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in the daemon's thread and return its result."""
        return self._thread.call(function)

    def hold(self) -> None:
        """Freeze background progress; each call needs a `release()`."""
        self._thread.call(self._background.hold)

    def release(self) -> None:
        """Undo one `hold()`."""
        self._thread.call(self._background.release)

    def step(self, count: int, timeout: float) -> None:
        """Let `count` frozen steps happen; wait up to `timeout` seconds for them."""
        self._thread.run(self._background.let_through(count), timeout)

    def advance(self, seconds: float, timeout: float) -> None:
        """Move the virtual clock, within `timeout` seconds of real time."""
        self._thread.run(self._background.advance_clock(seconds), timeout)

    def burn_id(self, call: Call) -> bool:
        """Reserve the id of a create without creating anything; return whether that was possible.

        Only a crash does this, and after it there is another socket file.
        """
        burnt = self._service.burn_id(call.method, call.request)
        if burnt:
            self.socket.renew()
        return burnt

    def end_streams(self, failure: StatusError | None) -> None:
        """End all open event streams: with a failure, or cleanly."""
        self._thread.call(lambda: self._service.end_streams(failure))

    def execs(self) -> list[ExecSnapshot]:
        """Read all execs whose sandboxes are not purged, oldest first, but the client's own."""

        def read() -> list[ExecSnapshot]:
            execs = self._service.execs
            return [ExecSnapshot.of(item) for item in execs if not is_own(item.command.request)]

        return self._thread.call(read)

    def sandboxes(self) -> list[SandboxSnapshot]:
        """Read all sandboxes that are not purged, oldest first."""
        return self._thread.call(lambda: list(map(SandboxSnapshot.of, self._service.sandboxes)))

    def containers(self) -> list[ContainerSnapshot]:
        """Read all containers that exist."""
        return self._thread.call(lambda: self._service.containers)

    def networks(self) -> list[NetworkRecord]:
        """Read all networks that exist."""
        return self._thread.call(lambda: self._service.networks)

    def leaks(self, *, sandboxes: bool, execs: bool, processes: bool) -> list[str]:
        """List the sandboxes, running execs and processes that are left behind."""

        def list_leaks() -> list[str]:
            return [
                *(leaked_sandboxes(self._service.sandboxes) if sandboxes else ()),
                *(leaked_execs(self._service.execs) if execs else ()),
                *(self._runner.running() if processes else ()),
            ]

        return self._thread.call(list_leaks)

    def emit(self, sandbox_id: str, event: pb.SandboxEvent) -> None:
        """Append an event to a sandbox's log."""
        self._with_sandbox(sandbox_id, lambda sandbox: sandbox.log.append(event))

    def kill_container(self, sandbox_id: str, name: str, *, oom: bool) -> None:
        """Kill a container that is running."""

        def kill(sandbox: Sandbox) -> None:
            container = sandbox.container(name)
            if not container.running:
                raise ValueError(f"container {shown_id(container.name)} is not running")
            self._service.watch.kill(sandbox, name, oom=oom)

        self._with_sandbox(sandbox_id, kill)

    def remove_container(self, sandbox_id: str, name: str) -> None:
        """Remove a container."""

        def remove(sandbox: Sandbox) -> None:
            sandbox.container(name)
            self._service.watch.remove(sandbox, name)

        self._with_sandbox(sandbox_id, remove)

    def purge(self, sandbox_id: str) -> None:
        """Drop the record of a DELETED sandbox."""

        def purge(sandbox: Sandbox) -> None:
            if sandbox.state != pb.SANDBOX_STATE_DELETED:
                raise ValueError(f"sandbox {sandbox_id} is not DELETED: delete it first")
            self._service.retention.purge([sandbox])

        self._with_sandbox(sandbox_id, purge)

    def _with_sandbox(self, sandbox_id: str, act: Callable[[Sandbox], T]) -> T:
        def find_and_act() -> T:
            try:
                sandbox = self._service.sandboxes.get(sandbox_id)
            except StatusError as error:
                raise LookupError(shortened(error.message)) from None
            return act(sandbox)

        return self._thread.call(find_and_act)
