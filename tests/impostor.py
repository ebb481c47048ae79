"""A peer that speaks gRPC and answers the daemon's RPCs as a test defines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import grpc

from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire import v04_pb2 as v04
from agents_sandbox._wire.methods import SUBSCRIBE_SANDBOX_EVENTS

Answer: TypeAlias = Callable[[bytes, grpc.ServicerContext], Any]
"""Takes the request; returns the answer's bytes, or yields those of a stream's answers."""


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._answers = answers

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        name = handler_call_details.method.rpartition("/")[2]
        answer = self._answers.get(name)
        if answer is None:
            return None
        if name == SUBSCRIBE_SANDBOX_EVENTS.name:
            return grpc.unary_stream_rpc_method_handler(answer)
        return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def impostor(path: Path, answers: Mapping[str, Answer]) -> Iterator[Path]:
    """Make a peer listen at a path while the block lasts.

    Args:
        path: The path of its socket.
        answers: Its answers by the names of the RPCs; all other RPCs are UNIMPLEMENTED.
    """
    options = [("grpc.max_send_message_length", -1)]
    with ThreadPoolExecutor(16) as threads:
        server = grpc.server(threads, handlers=[_Handler(answers)], options=options)
        # The path must be absolute, as pytest's paths are.
        server.add_insecure_port(f"unix://{path}")
        server.start()
        try:
            yield path
        finally:
            server.stop(None).wait()


def always(answer: Any) -> Answer:
    """Answer every request with this."""
    wire: bytes = answer if isinstance(answer, bytes) else answer.SerializeToString()
    return lambda request, context: wire


def refusing(code: str) -> Answer:
    """End every call immediately with this code."""

    def refuse(request: bytes, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode[code], "said so")

    return refuse


def streaming(*events: Any) -> Answer:
    """Send these events, messages or bytes, and end the stream cleanly."""
    wire = [one if isinstance(one, bytes) else one.SerializeToString() for one in events]
    return lambda request, context: iter(wire)


def repeating(event: Any) -> Answer:
    """Send the same event until the stream is cancelled."""
    wire: bytes = event.SerializeToString()

    def repeat(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        while context.is_active():
            yield wire

    return repeat


def counting(**fields: Any) -> Answer:
    """Send new events until the stream is cancelled."""

    def count(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        sequence = 0
        while context.is_active():
            sequence += 1
            yield an_event(sequence, **fields).SerializeToString()

    return count


def an_event(sequence: int, sandbox_id: str = "box-1", **fields: Any) -> pb.SandboxEvent:
    """An event as the daemon sends it."""
    return pb.SandboxEvent(
        event_id=f"event-{sequence}", sequence=sequence, sandbox_id=sandbox_id, **fields
    )


PENDING = v04.SandboxHandle(
    sandbox_id="box-1", state=pb.SANDBOX_STATE_PENDING, last_event_sequence=1, image="a:1"
)
RUNNING = pb.ExecStatus(
    exec_id="exec-1", sandbox_id="box-1", state=pb.EXEC_STATE_RUNNING, last_event_sequence=1
)
PLAUSIBLE: Mapping[str, Answer] = {
    "Ping": always(pb.PingResponse(version="0.4.3", daemon="agboxd")),
    "CreateSandbox": always(v04.CreateSandboxResponse(sandbox=PENDING)),
    "GetSandbox": always(v04.GetSandboxResponse(sandbox=PENDING)),
    "ListSandboxes": always(v04.ListSandboxesResponse(sandboxes=[PENDING])),
    "CreateExec": always(pb.CreateExecResponse(exec_id="exec-1")),
    "GetExec": always(pb.GetExecResponse(exec=RUNNING)),
}
"""Answers of a daemon 0.4.3 whose only sandbox never becomes READY and whose exec never ends."""
