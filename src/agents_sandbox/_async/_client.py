"""The public client. Its calls are in the room `_calls`."""

from __future__ import annotations

import math
import os
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from .. import _copies
from .._aio import public
from .._arguments import checks, environment
from .._arguments.durations import DurationLike, to_seconds
from .._arguments.ids import SandboxIdLike, sandbox_id_of
from .._connection.address import DaemonAddress
from .._deadline import Deadline
from .._sequence import EventSequence
from .._telemetry import log
from .._tracebacks import ends_at_caller, names_its_methods
from .._wire.releases import chosen_release
from ..models import PingInfo
from ._calls.blocks import Blocks
from ._calls.execs import ExecCalls
from ._calls.sandboxes import SandboxCalls
from ._daemon import Daemon
from ._events import AsyncSandboxEventStream
from ._feeds import Feeds
from ._subscription import Subscription

if TYPE_CHECKING:
    from typing_extensions import Self

_RPC_SECONDS = environment.Default(5.0)
_OPERATION_SECONDS = environment.Default(60.0)


@names_its_methods
class AgentsSandboxClient(SandboxCalls, ExecCalls, Blocks):
    """A client of one agents-sandbox daemon.

    Constructing one does no I/O; the first call opens the connection. Close it
    or use it as a context manager. A timeout is a number of seconds, a `timedelta`
    or a Go duration string such as `"1m30s"`.

    If `socket_path`, `timeout_seconds` or `operation_timeout_seconds` is omitted,
    the environment variable AGENTS_SANDBOX_SOCKET, AGENTS_SANDBOX_TIMEOUT or
    AGENTS_SANDBOX_OPERATION_TIMEOUT replaces its default, if it is set. They are
    read now; a timeout is a duration string there.

    Args:
        socket_path: The daemon's Unix socket: a path, which may begin with `~`
            or `$NAME`, or `unix:///path`. None: the platform's default,
            `$XDG_RUNTIME_DIR/agbox/agboxd.sock`; on macOS also below
            `~/Library/Application Support/agbox`.
        timeout_seconds: How long one RPC may take, in seconds.
        operation_timeout_seconds: How long a slow operation may take with its
            wait, and how long an event stream or a wait without a bound keeps
            reconnecting during one outage, in seconds; `math.inf` for no bound.
        exec_timeout_seconds: How long `run`, `create_exec` with its wait and
            `wait_for_exec` may take, in seconds; None: no bound, since only
            the caller knows how long a command takes.
        stream_timeout_seconds: How long an event stream may last unless it has
            a timeout of its own, in seconds; None: no bound.
        daemon_version: The daemon's release, e.g. `"0.4.3"`, which determines
            its protocol. None: the client asks the daemon, which is safer.

    Raises:
        InvalidArgumentError: An argument or an environment variable is not acceptable.
        UnsupportedDaemonError: The release `daemon_version` is not supported.
    """

    __module__ = "agents_sandbox"

    @ends_at_caller
    def __init__(
        self,
        socket_path: str | os.PathLike[str] | None = None,
        *,
        timeout_seconds: DurationLike = _RPC_SECONDS,
        operation_timeout_seconds: DurationLike = _OPERATION_SECONDS,
        exec_timeout_seconds: DurationLike | None = None,
        stream_timeout_seconds: DurationLike | None = None,
        daemon_version: str | None = None,
    ) -> None:
        level = environment.log_level()
        if level is not None:
            log.show(level)
        self._address = DaemonAddress(socket_path)
        self._timeout = environment.timeout("timeout_seconds", timeout_seconds)
        self._operation_timeout = environment.timeout(
            "operation_timeout_seconds", operation_timeout_seconds
        )
        self._exec_timeout = _optional("exec_timeout_seconds", exec_timeout_seconds)
        self._stream_timeout = _optional("stream_timeout_seconds", stream_timeout_seconds)
        release = None if daemon_version is None else chosen_release(daemon_version)
        self._daemon = Daemon(self._address, release)
        self._feeds = Feeds(self._daemon, self._timeout)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._daemon.describe()}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __reduce__(self) -> NoReturn:
        advice = "create a new one with the same socket_path"
        _copies.refuse_copy(self, advice)

    # For those who know the other flavour. Type checkers see the mistake without it.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name.removeprefix("a") == "close":
                own = type(self).aclose
                message += f": it is closed with {own.__name__}()"
            raise AttributeError(message, name=name, obj=self)

    @property
    @ends_at_caller
    def socket_path(self) -> str:
        """The path of the daemon's socket.

        Raises:
            DaemonUnavailableError: No default can be derived from the environment.
        """
        return self._address.resolve()[0]

    async def aclose(self) -> None:
        """Close the client. Calls, waits and streams in progress end with `ClientClosedError`.

        Safe to repeat.
        """
        await self._daemon.aclose()

    @public
    async def ping(self, *, timeout_seconds: DurationLike | None = None) -> PingInfo:
        """Ask the daemon for its version and name.

        Args:
            timeout_seconds: Timeout of this call, in seconds; None: the client's.

        Returns:
            Its version and name.

        Raises:
            DaemonUnavailableError: No daemon answers at the socket.
            OperationTimeoutError: It did not answer in time.
        """
        return await self._daemon.ping(self._query(timeout_seconds))

    @ends_at_caller
    def subscribe_sandbox_events(
        self,
        sandbox_id: SandboxIdLike,
        *,
        from_sequence: int = 0,
        include_current_snapshot: bool = False,
        resume: bool = True,
        timeout_seconds: DurationLike | None = None,
    ) -> AsyncSandboxEventStream:
        """Follow the events of a sandbox, each once and in order.

        The stream stays open even after the sandbox is DELETED; close it when
        you have seen what you need.

        Args:
            sandbox_id: The sandbox: its id, or an object that has it, such as a handle.
            from_sequence: Deliver the events after this one; 0 for all. A
                handle's `last_event_sequence` continues from that snapshot.
            include_current_snapshot: Whether to deliver the newest event and
                the running execs first, marked as `snapshot`.
            resume: Whether to reconnect, and resume after the last event, when
                the connection is lost or the daemon restarts. During one outage
                the stream keeps reconnecting for `operation_timeout_seconds`.
                While a stream is open and no call has reached the daemon for
                5 s, the client pings it.
            timeout_seconds: How long the stream may last, in seconds; None: the
                client's `stream_timeout_seconds`.

        Returns:
            An iterator of events. Its steps raise `SandboxNotFoundError` if the
            sandbox does not exist or was purged, `SandboxSequenceExpiredError`
            if `from_sequence` is after the newest event or events are missing,
            `OperationTimeoutError` if `timeout_seconds` have passed,
            `DaemonUnavailableError` if the daemon is unavailable, and
            `ProtocolError` if the daemon sends events of another sandbox or out
            of order, or keeps ending streams without an event.

        Raises:
            InvalidArgumentError: An argument is not acceptable.
        """
        resuming = checks.boolean("resume", resume)
        events = Subscription(
            self._daemon,
            EventSequence(sandbox_id_of(sandbox_id), from_sequence, include_current_snapshot),
            Deadline(self._explicit(timeout_seconds) or self._stream_timeout),
            rpc_seconds=self._timeout,
            patience_seconds=self._operation_timeout if resuming else None,
        )
        return AsyncSandboxEventStream(events)


def _optional(name: str, seconds: DurationLike | None) -> float:
    return math.inf if seconds is None else to_seconds(name, seconds)
