"""The gRPC handlers of the service, made from the method table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from ..._wire import v02_pb2 as pb
from ..._wire.methods import SERVICE, Method
from ..._wire.status import TRAILER
from .._faults.kinds import Answer, Call
from .._faults.stack import FaultStack
from .._protocol.refusals import StatusError, shutting_down
from .._sandboxes.events import EventStream
from .recorder import RecordedCall, Recorder
from .service import Service

_MANY = 1_000_000

OPTIONS = (
    # The daemon's own limit.
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
    # By default the C core sheds calls once about a thousand are waiting.
    ("grpc.server.max_pending_requests", _MANY),
    ("grpc.server.max_pending_requests_hard_limit", _MANY),
    # By default, on a busy host, it cancels calls that have waited for 30 seconds.
    ("grpc.server_max_unrequested_time_in_server", _MANY),
)

Context = grpc.aio.ServicerContext[Any, Any]


class Handlers:
    """Serves the RPCs, records each call and applies the faults."""

    def __init__(self, service: Service, recorder: Recorder, faults: FaultStack) -> None:
        self._service = service
        self._recorder = recorder
        self._faults = faults
        self._refusing = False
        self._closed = False
        self._in_progress: set[asyncio.Future[None]] = set()
        self._unary: set[asyncio.Future[None]] = set()

    def generic(self) -> grpc.GenericRpcHandler:
        """Return one handler for all RPCs of the service; others are UNIMPLEMENTED."""
        handlers = {method.name: self._handler(method) for method in self._service.methods}
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    @property
    def in_progress(self) -> int:
        """How many calls are in progress, open event streams included."""
        return len(self._in_progress)

    def refuse_calls(self) -> None:
        """Refuse new calls; calls in progress continue."""
        self._refusing = True

    def close(self) -> None:
        """Refuse new calls, and calls that a fault delays before they take effect.

        Faults release the calls that they delay: gRPC would cancel them and print tracebacks.
        """
        self.refuse_calls()
        self._closed = True
        self._faults.release()

    async def drain(self, timeout: float | None = None) -> None:
        """Wait up to `timeout` seconds until all calls in progress are answered."""
        if self._in_progress:
            await asyncio.wait(self._in_progress, timeout=timeout)

    async def drain_unary(self) -> None:
        """Wait until all unary calls in progress are answered."""
        while self._unary:
            await asyncio.wait(self._unary)

    # Any: gRPC's type stubs accept no function as a callback.
    def _track(self, context: Any, *, unary: bool) -> None:
        answered = asyncio.get_running_loop().create_future()
        for calls in (self._in_progress, self._unary)[: 1 + unary]:
            calls.add(answered)
            answered.add_done_callback(calls.discard)
        # gRPC calls this once the answer is sent, which is after the handler returns.
        context.add_done_callback(lambda _: answered.set_result(None))

    def _handler(self, method: Method[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        rpc = getattr(self._service, method.call)

        async def serve(request: Message, context: Context) -> Answer:
            self._track(context, unary=not method.streams)
            self._recorder.add_call(_recorded(method, request, context))
            call = Call(method.name, request, context.time_remaining())

            async def proceed() -> Answer:
                if self._closed:
                    raise shutting_down()
                answer: Message | EventStream = rpc(request)
                if isinstance(answer, EventStream):
                    await self._send_events(call, answer, context)
                    return None
                return answer

            try:
                if self._refusing:
                    raise shutting_down()
                return await self._faults.serve(call, proceed)
            except StatusError as failure:
                await context.abort(failure.code, failure.message, _trailers(failure))

        # gRPC itself also accepts a coroutine function that writes. The interceptors that tracing
        # libraries add to every server iterate over what this returns.
        async def serve_stream(request: Message, context: Context) -> AsyncIterator[Message]:
            await serve(request, context)
            return
            yield  # the events are written: this only makes it an async generator

        make, behavior = (
            (grpc.unary_stream_rpc_method_handler, serve_stream)
            if method.streams
            else (grpc.unary_unary_rpc_method_handler, serve)
        )
        return make(
            behavior,
            request_deserializer=method.request_type.FromString,
            response_serializer=_serialize,
        )

    async def _send_events(self, call: Call, stream: EventStream, context: Context) -> None:
        async def send(event: pb.SandboxEvent) -> None:
            await context.write(event)
            call.sent += 1

        self._recorder.stream_opened(call.request.sandbox_id)
        try:
            async with aclosing(stream.events()) as events:
                async for event in events:
                    await self._faults.send(call, event, send)
        finally:
            stream.close()
            self._recorder.stream_closed(call.request.sandbox_id)


def _recorded(method: Method[Any, Any], request: Message, context: Context) -> RecordedCall:
    return RecordedCall(
        method=method.name,
        message=request,
        metadata=tuple((key, value) for key, value in context.invocation_metadata() or ()),
        time_remaining=context.time_remaining(),
    )


def _trailers(failure: StatusError) -> tuple[tuple[str, bytes], ...]:
    return () if failure.details is None else ((TRAILER, failure.details),)


def _serialize(answer: Message | bytes) -> bytes:
    return answer if isinstance(answer, bytes) else answer.SerializeToString()
