"""Reading the authoritative state, once."""

from __future__ import annotations

from .._deadline import Deadline
from .._wire import requests
from .._wire import v02_pb2 as pb
from .._wire.codec import decode_exec, decode_sandbox
from .._wire.methods import GET_EXEC, GET_SANDBOX
from ..models import ExecHandle, SandboxHandle
from ._transport import Transport


async def read_sandbox(transport: Transport, sandbox_id: str, deadline: Deadline) -> SandboxHandle:
    """Read a sandbox."""
    request = requests.get_sandbox(sandbox_id)
    return decode_sandbox((await transport.unary(GET_SANDBOX, request, deadline)).sandbox)


async def read_exec(
    transport: Transport,
    exec_id: str,
    deadline: Deadline,
    logs: pb.CreateExecResponse | None = None,
) -> ExecHandle:
    """Read an exec; the answer that created it adds the log paths."""
    request = requests.get_exec(exec_id)
    return decode_exec((await transport.unary(GET_EXEC, request, deadline)).exec, logs)
