"""The gRPC side: generic handlers made from the method table, around the service."""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from .._wire.methods import SERVICE, Method
from ._errors import StatusError
from ._events import EventStream
from ._faults import Faults
from ._recorder import RecordedCall, Recorder
from ._service import Service

_MANY = 1_000_000

OPTIONS = (
    # The daemon's own limit.
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
    # Else the C core sheds calls once about a thousand wait.
    ("grpc.server.max_pending_requests", _MANY),
    ("grpc.server.max_pending_requests_hard_limit", _MANY),
    # Else, on a busy host, it cancels those that have waited for 30 seconds.
    ("grpc.server_max_unrequested_time_in_server", _MANY),
)

Context = grpc.aio.ServicerContext[Any, Any]


class Handlers:
    """Puts recording and faults around each RPC."""

    def __init__(self, service: Service, recorder: Recorder, faults: Faults) -> None:
        self._service = service
        self._recorder = recorder
        self._faults = faults

    def generic(self) -> grpc.GenericRpcHandler:
        """One handler for all RPCs of the service; others are UNIMPLEMENTED."""
        handlers = {method.name: self._handler(method) for method in self._service.methods}
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _handler(self, method: Method[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        rpc = getattr(self._service, _snake_case(method.name))
        make = (
            grpc.unary_stream_rpc_method_handler
            if method.streams
            else grpc.unary_unary_rpc_method_handler
        )

        async def serve(request: Any, context: Context) -> Any:
            self._recorder.add_call(_recorded(method, request, context))
            try:
                planned = self._faults.take(method.name)
                if method.streams:
                    await self._send_events(rpc(request), request.sandbox_id, context)
                    return None
                return rpc(request) if planned is None else planned
            except StatusError as failure:
                await context.abort(failure.code, failure.message, _trailers(failure))

        return make(
            serve,
            request_deserializer=method.request_type.FromString,
            response_serializer=_serialize,
        )

    async def _send_events(
        self, stream: EventStream, sandbox_id: str, context: Context
    ) -> None:
        self._recorder.stream_opened(sandbox_id)
        try:
            async with aclosing(stream.events()) as events:
                async for event in events:
                    await context.write(event)
        finally:
            stream.close()
            self._recorder.stream_closed(sandbox_id)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _recorded(method: Method[Any, Any], request: Message, context: Context) -> RecordedCall:
    return RecordedCall(
        method=method.name,
        request=request,
        metadata=tuple((key, value) for key, value in context.invocation_metadata() or ()),
        time_remaining=context.time_remaining(),
    )


def _trailers(failure: StatusError) -> tuple[tuple[str, bytes], ...]:
    return () if failure.details is None else (("grpc-status-details-bin", failure.details),)


def _serialize(answer: Message | bytes) -> bytes:
    return answer if isinstance(answer, bytes) else answer.SerializeToString()
