"""The daemon as the client sees it: creates and snapshots, in whichever wire dialect."""

from __future__ import annotations

from .._address import DaemonAddress
from .._deadline import Deadline
from .._releases import Release
from .._wire import requests
from .._wire import v02_pb2 as pb
from .._wire.codec import decode_exec
from .._wire.creates import NewSandbox
from .._wire.dialects import dialect_of
from .._wire.methods import GET_EXEC
from ..errors import SandboxClientError, UnsupportedByDaemonError
from ..models import ExecHandle, SandboxHandle
from ._release import DaemonRelease
from ._transport import Transport


class Daemon:
    """One daemon: the way to it, and its dialect.

    Args:
        address: Its socket.
        release: Its release, if the caller says; None to find out.
    """

    def __init__(self, address: DaemonAddress, release: Release | None) -> None:
        self.transport = Transport(address)
        self._release = DaemonRelease(self.transport, address, release)

    async def create_sandbox(self, new: NewSandbox, deadline: Deadline) -> SandboxHandle:
        """Ask for a sandbox.

        Raises:
            UnsupportedByDaemonError: It asks for what the daemon would ignore.
        """
        release = await self._known_release(deadline, new.sandbox_id)
        dialect = dialect_of(release)
        try:
            request = dialect.encode_create(new, release)
        except UnsupportedByDaemonError as error:
            error.sandbox_id = new.sandbox_id
            raise
        answer = await self.transport.unary(dialect.create_sandbox, request, deadline)
        return dialect.decode_sandbox(answer.sandbox)

    async def read_sandbox(self, sandbox_id: str, deadline: Deadline) -> SandboxHandle:
        """Read a sandbox."""
        request = requests.get_sandbox(sandbox_id)
        dialect = dialect_of(await self._known_release(deadline, sandbox_id))
        answer = await self.transport.unary(dialect.get_sandbox, request, deadline)
        return dialect.decode_sandbox(answer.sandbox)

    async def list_sandboxes(
        self, request: pb.ListSandboxesRequest, deadline: Deadline
    ) -> list[SandboxHandle]:
        """Read many sandboxes."""
        dialect = dialect_of(await self._release.get(deadline))
        answer = await self.transport.unary(dialect.list_sandboxes, request, deadline)
        return [dialect.decode_sandbox(sandbox) for sandbox in answer.sandboxes]

    async def read_exec(
        self, exec_id: str, deadline: Deadline, logs: pb.CreateExecResponse | None = None
    ) -> ExecHandle:
        """Read an exec; the answer that created it adds the log paths."""
        request = requests.get_exec(exec_id)
        return decode_exec((await self.transport.unary(GET_EXEC, request, deadline)).exec, logs)

    # Whatever goes wrong then is an error of the call that has to know.
    async def _known_release(self, deadline: Deadline, sandbox_id: str) -> Release:
        try:
            return await self._release.get(deadline)
        except SandboxClientError as error:
            error.sandbox_id = sandbox_id
            raise
