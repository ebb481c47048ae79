"""The daemon's 13 RPCs: encode, choose the dialect, retry what is idempotent, decode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from .._aio import Call
from .._arguments.creates import NO_LOGS, LogPaths, NewExec, NewSandbox
from .._connection.address import DaemonAddress
from .._connection.rpc import concerning, stream_timeout
from .._deadline import Backoff, Deadline
from .._enums import ExecState
from .._notes import Remains, add_note
from .._output.log_book import LogBook
from .._sequence import EventSequence
from .._shared.shown import shown
from .._telemetry import reports
from .._wire import methods, requests
from .._wire import v02_pb2 as pb
from .._wire.codec import (
    decode_deleted,
    decode_event,
    decode_exec,
    decode_log_paths,
    decode_ping,
)
from .._wire.dialects import dialect_of
from .._wire.releases import Release
from ..errors import (
    DaemonUnavailableError,
    ExecAlreadyTerminalError,
    ExecNotFoundError,
    InvalidArgumentError,
    OperationTimeoutError,
    ProtocolError,
    SandboxConflictError,
    SandboxNotFoundError,
    SandboxNotReadyError,
)
from ..models import DeleteSandboxesResult, ExecHandle, PingInfo, SandboxEvent, SandboxHandle
from ._lookout import Lookout
from ._release import DaemonRelease
from ._transport import ResponseStream, Transport

AnswerT = TypeVar("AnswerT")

# Between the reservation of an id and its record. Recorded: within 12 ms of the request.
READ_BACK_PAUSE = 0.1


class Daemon:
    """One daemon and its RPCs, in whichever wire dialect it speaks.

    A method of an RPC returns when the daemon has answered; none waits for an operation to
    complete. It raises `InvalidArgumentError` before anything is sent, and
    `DaemonUnavailableError` or `OperationTimeoutError` after.

    Args:
        address: The daemon's socket.
        release: Its release, if the caller gave it; None to ask the daemon.
        met: Whether it has answered before, over another connection.
    """

    def __init__(
        self, address: DaemonAddress, release: Release | None, *, met: bool = False
    ) -> None:
        self._address = address
        self._chosen = release
        self._transport = Transport(address, met=met)
        self._release = DaemonRelease(self._transport, release)
        self._lookout = Lookout(self._transport)
        self._log_book = LogBook()
        self.waits: dict[Any, float] | None = None
        """The open waits, by their beginning, while somebody shows them (`progress`)."""

    async def ping(self, deadline: Deadline) -> PingInfo:
        """Ask the daemon for its version and name."""
        ping = partial(self.ping_once, deadline)
        return await self._transport.retrying(methods.PING, ping, deadline)

    async def ping_once(self, deadline: Deadline) -> PingInfo:
        """Ping without a retry."""
        return decode_ping(await self._transport.unary(methods.PING, requests.ping(), deadline))

    async def create_sandbox(
        self, new: NewSandbox, deadline: Deadline, remains: Remains
    ) -> SandboxHandle:
        """Request a sandbox. With an id of ours the call is idempotent and is retried.

        Args:
            new: What to create.
            deadline: When to give up.
            remains: Is told what an interruption may leave behind.

        Returns:
            The accepted sandbox. An id of ours that a crash of the daemon has burnt is replaced
            by another one.

        Raises:
            UnsupportedByDaemonError: The daemon would ignore an argument.
        """
        attempts = _Attempts(methods.CREATE_SANDBOX, self.socket_identity)

        async def create() -> SandboxHandle:
            with concerning(new.sandbox_id):
                release = await self._release.get(deadline)
                dialect = dialect_of(release)
                request = dialect.encode_create(new, release)
                remains.before_create(new.sandbox_id)
                attempts.note(new.sandbox_id)
                try:
                    answer = await self._transport.unary(dialect.create_sandbox, request, deadline)
                except SandboxConflictError:
                    if not new.id_is_ours:  # then it was never requested before
                        remains.sandbox_ids.clear()
                    raise
                sandbox = dialect.decode_sandbox(answer.sandbox)
                _check_id(dialect.create_sandbox, new.sandbox_id, sandbox.sandbox_id)
                return sandbox

        async def read_back() -> SandboxHandle:
            return await self._get_sandbox_once(new.sandbox_id, deadline)

        def renew() -> None:
            nonlocal new
            new = new.with_fresh_id()
            attempts.renew(new.sandbox_id)

        if not new.id_is_ours:
            ask = partial(self._release.get, deadline)
            with concerning(new.sandbox_id):
                await self._transport.retrying(methods.CREATE_SANDBOX, ask, deadline)
            return await create()
        return await self._retrying_or_read_back(attempts, create, read_back, deadline, renew)

    def reopened(self) -> Daemon:
        """Return the same daemon with a connection of its own, after this one was closed."""
        return Daemon(self._address, self._chosen, met=self._transport.met)

    async def get_sandbox(
        self, sandbox_id: str, deadline: Deadline, on_loss: Callable[[], None] = lambda: None
    ) -> SandboxHandle:
        """Read a sandbox; `on_loss` is called when the daemon is unavailable."""
        get = partial(self._get_sandbox_once, sandbox_id, deadline)
        with concerning(sandbox_id):
            return await self._transport.retrying(methods.GET_SANDBOX, get, deadline, on_loss)

    async def _get_sandbox_once(self, sandbox_id: str, deadline: Deadline) -> SandboxHandle:
        request = requests.get_sandbox(sandbox_id)
        dialect = dialect_of(await self._release.get(deadline))
        answer = await self._transport.unary(dialect.get_sandbox, request, deadline)
        sandbox = dialect.decode_sandbox(answer.sandbox)
        _check_id(dialect.get_sandbox, sandbox_id, sandbox.sandbox_id)
        return sandbox

    async def list_sandboxes(
        self,
        include_deleted: bool,
        label_selector: Mapping[str, str] | None,
        deadline: Deadline,
    ) -> list[SandboxHandle]:
        """Read many sandboxes."""
        request = requests.list_sandboxes(include_deleted, label_selector)

        async def list_all() -> list[SandboxHandle]:
            dialect = dialect_of(await self._release.get(deadline))
            answer = await self._transport.unary(dialect.list_sandboxes, request, deadline)
            return [dialect.decode_sandbox(sandbox) for sandbox in answer.sandboxes]

        return await self._transport.retrying(methods.LIST_SANDBOXES, list_all, deadline)

    async def resume_sandbox(self, sandbox_id: str, deadline: Deadline) -> None:
        """Request a resume."""
        request = requests.resume_sandbox(sandbox_id)
        await self._transport.unary(methods.RESUME_SANDBOX, request, deadline)

    async def stop_sandbox(self, sandbox_id: str, deadline: Deadline) -> None:
        """Request a stop."""
        request = requests.stop_sandbox(sandbox_id)
        await self._transport.unary(methods.STOP_SANDBOX, request, deadline)

    async def delete_sandbox(
        self, sandbox_id: str, deadline: Deadline, on_loss: Callable[[], None] = lambda: None
    ) -> None:
        """Request a delete; `on_loss` is called when the daemon is unavailable."""
        request = requests.delete_sandbox(sandbox_id)
        delete = partial(self._transport.unary, methods.DELETE_SANDBOX, request, deadline)
        await self._transport.retrying(methods.DELETE_SANDBOX, delete, deadline, on_loss)

    async def delete_sandboxes(
        self, label_selector: Mapping[str, str], deadline: Deadline
    ) -> DeleteSandboxesResult:
        """Request a delete by labels."""
        request = requests.delete_sandboxes(label_selector)
        return decode_deleted(
            await self._transport.unary(methods.DELETE_SANDBOXES, request, deadline)
        )

    def subscribe_sandbox_events(
        self, sequence: EventSequence, deadline: Deadline, *, watched: bool
    ) -> ResponseStream[SandboxEvent]:
        """Open one stream of a sandbox's events, from the position of the sequence.

        Args:
            sequence: Which events are wanted.
            deadline: How long the stream may last.
            watched: Whether it lets go of a daemon that shuts down.
        """
        request = requests.subscribe_sandbox_events(
            sequence.sandbox_id, sequence.position, sequence.wants_snapshot
        )
        socket_file = self._transport.socket_identity() if watched else None
        stream = self._transport.stream(
            methods.SUBSCRIBE_SANDBOX_EVENTS, request, decode_event, deadline
        )
        if watched:
            self._lookout.watch(stream, socket_file)
        return stream

    def stream_timeout(self, deadline: Deadline) -> OperationTimeoutError:
        """Make the error of a stream of events whose deadline has passed."""
        return stream_timeout(methods.SUBSCRIBE_SANDBOX_EVENTS, deadline)

    async def create_exec(
        self, new: NewExec, deadline: Deadline, remains: Remains
    ) -> tuple[str, LogPaths]:
        """Request an exec. With an id of ours the call is idempotent and is retried.

        Args:
            new: What to run.
            deadline: When to give up.
            remains: Is told what an interruption may leave behind.

        Returns:
            Its id, and its log paths: if the answer was lost and the exec was read back, those
            that follow from other execs. An id of ours that a crash of the daemon has burnt is
            replaced by another one.
        """
        attempts = _Attempts(methods.CREATE_EXEC, self.socket_identity)

        async def create() -> tuple[str, LogPaths]:
            remains.id = new.exec_id
            remains.note = f"exec {new.exec_id} may be running: check with get_exec"
            with concerning(new.sandbox_id, new.exec_id):
                request = requests.create_exec(new)
                attempts.note(new.exec_id)
                answer = await self._transport.unary(methods.CREATE_EXEC, request, deadline)
                _check_id(methods.CREATE_EXEC, new.exec_id, answer.exec_id)
                logs = decode_log_paths(answer)
                return new.exec_id, self._log_book.note(new.sandbox_id, new.exec_id, logs)

        async def read_back() -> tuple[str, LogPaths]:
            with concerning(new.sandbox_id, new.exec_id):
                await self._get_exec_once(new.exec_id, deadline, NO_LOGS)
                return new.exec_id, self._log_book.note_lost(new.sandbox_id, new.exec_id)

        def renew() -> None:
            nonlocal new
            new = new.with_fresh_id()
            attempts.renew(new.exec_id)

        if not new.id_is_ours:
            return await create()
        return await self._retrying_or_read_back(attempts, create, read_back, deadline, renew)

    async def cancel_exec(self, exec_id: str, deadline: Deadline) -> None:
        """Request the cancellation of an exec."""
        request = requests.cancel_exec(exec_id)
        attempts = _Attempts(methods.CANCEL_EXEC, self.socket_identity)

        async def cancel() -> bool:
            attempts.note(exec_id)
            await self._transport.unary(methods.CANCEL_EXEC, request, deadline)
            return True

        async def read_back() -> bool:
            handle = await self._get_exec_once(exec_id, deadline, NO_LOGS)
            return handle.state is ExecState.CANCELLED

        await self._retrying_or_read_back(attempts, cancel, read_back, deadline)

    async def get_exec(
        self,
        exec_id: str,
        deadline: Deadline,
        logs: LogPaths = NO_LOGS,
        on_loss: Callable[[], None] = lambda: None,
    ) -> ExecHandle:
        """Read an exec, as `get_sandbox` reads.

        The answer does not contain its log paths: they are `logs` or what the client knows.
        """
        get = partial(self._get_exec_once, exec_id, deadline, logs)
        with concerning(exec_id=exec_id):
            return await self._transport.retrying(methods.GET_EXEC, get, deadline, on_loss)

    async def _get_exec_once(self, exec_id: str, deadline: Deadline, logs: LogPaths) -> ExecHandle:
        request = requests.get_exec(exec_id)
        answer = await self._transport.unary(methods.GET_EXEC, request, deadline)
        _check_id(methods.GET_EXEC, exec_id, answer.exec.exec_id)
        return self._decode_exec(answer.exec, logs)

    async def list_active_execs(
        self, sandbox_id: str | None, deadline: Deadline
    ) -> list[ExecHandle]:
        """Read the running execs of one sandbox, or of all."""
        request = requests.list_active_execs(sandbox_id)

        async def list_all() -> list[ExecHandle]:
            answer = await self._transport.unary(methods.LIST_ACTIVE_EXECS, request, deadline)
            return [self._decode_exec(status) for status in answer.execs]

        return await self._transport.retrying(methods.LIST_ACTIVE_EXECS, list_all, deadline)

    def where_logs_are(self, handle: ExecHandle) -> LogPaths:
        """Return the paths at which the logs of an exec are, or would be if there were any.

        Raises:
            OutputUnavailableError: The daemon keeps none, or they are unknown.
        """
        given = LogPaths(handle.stdout_log_path, handle.stderr_log_path)
        return (
            self._log_book.where(handle.sandbox_id, handle.exec_id) if given == NO_LOGS else given
        )

    def _decode_exec(self, status: pb.ExecStatus, logs: LogPaths = NO_LOGS) -> ExecHandle:
        if logs == NO_LOGS:
            logs = self._log_book.find(status.sandbox_id, status.exec_id)
        return decode_exec(status, logs)

    def may_recover(self, error: DaemonUnavailableError) -> bool:
        """Whether a retry could find the daemon."""
        return self._transport.may_recover(error)

    def unavailable(self, detail: str) -> DaemonUnavailableError:
        """Make the error of an unavailable daemon for a reason that gRPC does not know."""
        return self._transport.unavailable(detail)

    def socket_identity(self) -> object:
        """A value that changes when the daemon restarts; None while there is no socket file."""
        return self._transport.socket_identity()

    async def pause(self, seconds: float) -> None:
        """Pause, but end the pause early if the client is closed."""
        await self._transport.pause(seconds)

    def when_gone(self, owner: object, function: Callable[[], None]) -> object:
        """Call a quick function soon after an object has been collected; see `Channel`."""
        return self._transport.when_gone(owner, function)

    async def aclose(self) -> None:
        """End every call and refuse new ones. Safe to repeat."""
        await self._transport.aclose()
        await self._lookout.aclose()

    def describe(self) -> str:
        """Describe the daemon and the connection as far as they are known; no I/O."""
        path, release = self._transport.socket_path, self._release.known
        return (
            f"socket={shown(path, 200) if path else 'default'} "
            f"release={release or 'unknown'} {'closed' if self._transport.closed else 'open'}"
        )

    async def _retrying_or_read_back(
        self,
        attempts: _Attempts,
        send: Call[AnswerT],
        read_back: Call[AnswerT],
        deadline: Deadline,
        renew: Callable[[], None] | None = None,
    ) -> AnswerT:
        """Retry a request that cannot take effect twice.

        If a retry is refused, an earlier attempt may have succeeded and only its answer was lost.
        Then `read_back` returns what that attempt made, or raises or returns False.

        Args:
            attempts: Those to send the request.
            send: Takes note of an attempt and sends the request.
            read_back: Reads what an earlier attempt made, without a retry.
            deadline: When to give up.
            renew: Replaces the id that the request creates. A daemon that is killed between the
                reservation of an id and the storing of its record has burnt it: it is taken, but
                nothing was created.
        """

        async def send_or_read_back() -> AnswerT:
            while True:
                try:
                    answer = await send()
                except _REFUSALS as refusal:
                    if attempts.number < 2:
                        raise
                    attempts.report_resend()
                    taken = renew is not None and isinstance(refusal, SandboxConflictError)
                    # Only a crash burns an id, and after it there is another socket file, unless
                    # that is forwarded. The same daemon is still about to store what the first
                    # attempt creates.
                    to_come = attempts.same_daemon if taken else lambda: False
                    made = await self._none_if_missing(read_back, deadline, to_come)
                    if made:
                        attempts.report_success()
                        return made
                    if renew is None or not taken:
                        raise
                    if attempts.same_daemon():
                        add_note(refusal, "the SDK has made this id: a new call gets another one")
                        raise
                else:
                    attempts.report_resend()
                    return answer
                renew()

        return await self._transport.retrying(attempts.method, send_or_read_back, deadline)

    async def _none_if_missing(
        self, read_back: Call[AnswerT], deadline: Deadline, to_come: Callable[[], bool]
    ) -> AnswerT | None:
        """Read what was made: as long as it is to come, until the deadline, and once more.

        The first attempt may be between the reservation of its id and the record just now.
        """
        backoff = Backoff()
        missing = False
        while True:
            patient = to_come()
            try:
                return await read_back()
            except (SandboxNotFoundError, ExecNotFoundError):
                if deadline.expired() or (missing and not patient):
                    return None
                missing = True
            except OperationTimeoutError:
                if not missing:
                    raise
                return None
            await self.pause(backoff.pause(deadline) if patient else READ_BACK_PAUSE)


class _Attempts:
    """The attempts to send a request that cannot take effect twice.

    Args:
        method: The RPC.
        socket_identity: See `Daemon.socket_identity`.
    """

    def __init__(
        self, method: methods.Method[Any, Any], socket_identity: Callable[[], object]
    ) -> None:
        self.method = method
        self._socket_identity = socket_identity
        self._first_socket: object = None
        self._id = ""
        self.number = 0

    def note(self, own_id: str) -> None:
        """Take note of one that is about to be made, for the sandbox or exec with this id."""
        if self.number == 0:
            self._first_socket = self._socket_identity()
        self._id = own_id
        self.number += 1

    def report_resend(self) -> None:
        """Report the last one, which has reached the daemon, unless it is the first."""
        if self.number > 1:
            reports.sent_again(self.method.call, self._id, self.number)

    def report_success(self) -> None:
        """Report that an earlier one has succeeded."""
        reports.read_back(self.method.call, self._id)

    def same_daemon(self) -> bool:
        """Whether the daemon of the first one still lives."""
        return self._first_socket == self._socket_identity()

    def renew(self, fresh: str) -> None:
        """Begin with another request, which has another id."""
        reports.id_renewed(self.method.call, self._id, fresh)
        self.number = 0


def _check_id(method: methods.Method[Any, Any], requested: str, answered: str) -> None:
    if answered != requested:
        raise ProtocolError(
            f"{method.call}: the answer names {shown(answered)} instead of "
            f"{shown(requested)}: the peer is broken or is not an agents-sandbox daemon"
        )


# Not only conflicts of ids: the sandbox or a file of the host may have changed since the first
# attempt, so that a retry is refused for another reason.
_REFUSALS = (
    SandboxConflictError,
    SandboxNotReadyError,
    SandboxNotFoundError,
    InvalidArgumentError,
    ExecAlreadyTerminalError,
)
