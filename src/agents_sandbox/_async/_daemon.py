"""The daemon as the client sees it: creates and snapshots, in whichever wire dialect."""

from __future__ import annotations

from typing import Any, TypeVar

from .._address import DaemonAddress
from .._aio import Call
from .._deadline import Deadline
from .._enums import ExecState
from .._releases import Release
from .._rpc import concerning
from .._wire import requests
from .._wire import v02_pb2 as pb
from .._wire.codec import decode_exec
from .._wire.creates import NewSandbox
from .._wire.dialects import dialect_of
from .._wire.methods import CANCEL_EXEC, CREATE_EXEC, GET_EXEC, Method
from ..errors import (
    DaemonUnavailableError,
    ExecAlreadyTerminalError,
    ExecNotFoundError,
    InvalidArgumentError,
    ProtocolError,
    SandboxConflictError,
    SandboxNotFoundError,
    SandboxNotReadyError,
)
from ..models import ExecHandle, SandboxHandle
from ._feeds import Feeds
from ._release import DaemonRelease
from ._transport import Transport

AnswerT = TypeVar("AnswerT")


class Daemon:
    """One daemon: the way to it, its dialect, and how its calls survive a lost connection.

    Args:
        address: Its socket.
        release: Its release, if the caller says; None to find out.
        rpc_seconds: How long it may take to answer, in seconds.
    """

    def __init__(self, address: DaemonAddress, release: Release | None, rpc_seconds: float) -> None:
        self.transport = Transport(address)
        self.feeds = Feeds(self.transport, rpc_seconds)
        self._release = DaemonRelease(self.transport, address, release)

    async def create_sandbox(self, new: NewSandbox, deadline: Deadline) -> SandboxHandle:
        """Ask for a sandbox.

        Raises:
            UnsupportedByDaemonError: It asks for what the daemon would ignore.
        """

        async def send() -> SandboxHandle:
            return await self._create_sandbox(new, deadline)

        async def read_back() -> SandboxHandle:
            return await self.read_sandbox(new.sandbox_id, deadline)

        with concerning(new.sandbox_id):
            if not new.id_is_ours:
                return await send()
            return await self._resending(send, read_back, deadline)

    async def _create_sandbox(self, new: NewSandbox, deadline: Deadline) -> SandboxHandle:
        release = await self._release.get(deadline)
        dialect = dialect_of(release)
        request = dialect.encode_create(new, release)
        answer = await self.transport.unary(dialect.create_sandbox, request, deadline)
        _check_id(dialect.create_sandbox, "sandbox", new.sandbox_id, answer.sandbox.sandbox_id)
        return dialect.decode_sandbox(answer.sandbox)

    async def create_exec(
        self, request: pb.CreateExecRequest, id_is_ours: bool, deadline: Deadline
    ) -> pb.CreateExecResponse:
        """Ask for an exec. An answer that was lost, and read back, has no log paths."""

        async def send() -> pb.CreateExecResponse:
            answer = await self.transport.unary(CREATE_EXEC, request, deadline)
            _check_id(CREATE_EXEC, "exec", request.exec_id, answer.exec_id)
            return answer

        async def read_back() -> pb.CreateExecResponse:
            handle = await self.read_exec(request.exec_id, deadline)
            return pb.CreateExecResponse(exec_id=handle.exec_id)

        if not id_is_ours:
            return await send()
        return await self._resending(send, read_back, deadline)

    async def cancel_exec(self, exec_id: str, deadline: Deadline) -> None:
        """Ask to give up an exec."""
        request = requests.cancel_exec(exec_id)

        async def send() -> bool:
            return (await self.transport.unary(CANCEL_EXEC, request, deadline)).accepted

        async def read_back() -> bool:
            return (await self.read_exec(exec_id, deadline)).state is ExecState.CANCELLED

        await self._resending(send, read_back, deadline)

    async def _resending(
        self, send: Call[AnswerT], read_back: Call[AnswerT], deadline: Deadline
    ) -> AnswerT:
        """Send what cannot act twice until it is answered.

        A refusal of what was sent before may mean that it was carried out then, with the answer
        lost: what can be read back is there.
        """
        sent_before = False

        async def send_or_read_back() -> AnswerT:
            nonlocal sent_before
            try:
                return await send()
            except DaemonUnavailableError:
                sent_before = True
                raise
            except _REFUSALS:
                answer = await self._read_back(read_back) if sent_before else None
                if not answer:
                    raise
                return answer

        return await self.transport.repeating(send_or_read_back, deadline)

    @staticmethod
    async def _read_back(read_back: Call[AnswerT]) -> AnswerT | None:
        try:
            return await read_back()
        except (SandboxNotFoundError, ExecNotFoundError):
            return None

    async def read_sandbox(self, sandbox_id: str, deadline: Deadline) -> SandboxHandle:
        """Read a sandbox."""
        request = requests.get_sandbox(sandbox_id)

        async def read() -> SandboxHandle:
            dialect = dialect_of(await self._release.get(deadline))
            answer = await self.transport.once(dialect.get_sandbox, request, deadline)
            _check_id(dialect.get_sandbox, "sandbox", sandbox_id, answer.sandbox.sandbox_id)
            return dialect.decode_sandbox(answer.sandbox)

        with concerning(sandbox_id):
            return await self.transport.repeating(read, deadline)

    async def list_sandboxes(
        self, request: pb.ListSandboxesRequest, deadline: Deadline
    ) -> list[SandboxHandle]:
        """Read many sandboxes."""

        async def read() -> list[SandboxHandle]:
            dialect = dialect_of(await self._release.get(deadline))
            answer = await self.transport.once(dialect.list_sandboxes, request, deadline)
            return [dialect.decode_sandbox(sandbox) for sandbox in answer.sandboxes]

        return await self.transport.repeating(read, deadline)

    async def read_exec(
        self, exec_id: str, deadline: Deadline, logs: pb.CreateExecResponse | None = None
    ) -> ExecHandle:
        """Read an exec; the answer that created it adds the log paths."""
        request = requests.get_exec(exec_id)
        answer = await self.transport.unary(GET_EXEC, request, deadline)
        with concerning(exec_id=exec_id):
            _check_id(GET_EXEC, "exec", exec_id, answer.exec.exec_id)
        return decode_exec(answer.exec, logs)


def _check_id(method: Method[Any, Any], what: str, asked: str, answered: str) -> None:
    if answered != asked:
        raise ProtocolError(
            f"{method.name}: the answer is about {what} {answered!r}, not {asked}: the peer is no "
            "agents-sandbox daemon, or a broken one"
        )


# Besides the id that is taken: the sandbox, or a file of the host, may have changed meanwhile.
_REFUSALS = (
    SandboxConflictError,
    SandboxNotReadyError,
    SandboxNotFoundError,
    InvalidArgumentError,
    ExecAlreadyTerminalError,
)
