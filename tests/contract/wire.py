"""Plain gRPC with the messages of one daemon version; callers use protobuf JSON."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message

from agents_sandbox._wire import v02_pb2, v04_pb2
from agents_sandbox._wire.methods import METHODS_V02, METHODS_V04, Method
from agents_sandbox._wire.status import TRAILER
from agents_sandbox._wire.status_pb2 import ErrorInfo, Status

from .transcripts import Json

SUBSCRIBE = "SubscribeSandboxEvents"
CANCELLED = "client cancelled"
CLOSED = "server closed with OK"
ERROR = "error"

_FIRST_OF_DIALECT_04 = (0, 3)
_OPTIONS = [("grpc.default_authority", "localhost"), ("grpc.use_local_subchannel_pool", 1)]


def methods_of(version: str) -> Mapping[str, Method[Any, Any]]:
    """The RPCs of a daemon version by name.

    Raises:
        ValueError: The version is not of the form `0.4.3`.
    """
    major, minor, *_ = (int(part) for part in version.split("."))
    table = METHODS_V04 if (major, minor) >= _FIRST_OF_DIALECT_04 else METHODS_V02
    return {method.name: method for method in table}


def as_json(message: Message) -> Json:
    """A message as in transcripts: proto names, without default values."""
    return MessageToDict(message, preserving_proto_field_name=True)


def error_as_json(error: grpc.RpcError) -> Json:
    """The status of a failed call as in transcripts."""
    assert isinstance(error, grpc.Call)
    told = {"code": error.code().name, "message": error.details() or ""}
    trailers = {item.key: item.value for item in error.trailing_metadata() or ()}
    if TRAILER not in trailers:
        return told
    details = trailers[TRAILER]
    assert isinstance(details, bytes)
    (detail,) = Status.FromString(details).details
    info = ErrorInfo.FromString(detail.value)
    metadata = dict(info.metadata)
    return {**told, "domain": info.domain, "reason": info.reason, "metadata": metadata}


class Wire:
    """A connection to a daemon of a known version."""

    def __init__(self, socket_path: str, version: str, *, patience: float) -> None:
        self.patience = patience
        """Seconds after which an answer or an event counts as missing."""
        self._target = f"unix:{socket_path}"
        self._methods = methods_of(version)
        is_04 = self._methods["CreateSandbox"] in METHODS_V04
        self._event_type = v04_pb2.SandboxEvent if is_04 else v02_pb2.SandboxEvent
        self._channels = [self._connect()]

    def _connect(self) -> grpc.Channel:
        return grpc.insecure_channel(self._target, options=_OPTIONS)

    def reconnect(self) -> None:
        """Open a new connection, as to a restarted daemon."""
        # The old connections stay open: they must still report how their streams ended.
        self._channels.append(self._connect())

    def close(self) -> None:
        """Close all connections."""
        for channel in self._channels:
            channel.close()

    def recorded_response(self, rpc: str, response: Json) -> Json:
        """A recorded answer in this program's own JSON, without foreign fields."""
        return as_json(ParseDict(response, self._methods[rpc].response_type()))

    def recorded_event(self, event: Json) -> Json:
        """A recorded event in this program's own JSON, without foreign fields."""
        return as_json(ParseDict(event, self._event_type()))

    def call(self, rpc: str, request: Json) -> Json:
        """Make a unary call; return its `response` or its `error`, under that name."""
        method = self._methods[rpc]
        call = self._channels[-1].unary_unary(
            method.path,
            request_serializer=method.request_type.SerializeToString,
            response_deserializer=method.response_type.FromString,
        )
        message = ParseDict(request, method.request_type())
        try:
            return {"response": as_json(call(message, timeout=self.patience))}
        except grpc.RpcError as error:
            return {"error": error_as_json(error)}

    def subscribe(self, request: Json, *, deadline: float | None = None) -> EventStream:
        """Open an event stream, with a deadline in seconds if the client had one."""
        method = self._methods[SUBSCRIBE]
        call = self._channels[-1].unary_stream(
            method.path,
            request_serializer=method.request_type.SerializeToString,
            response_deserializer=self._event_type.FromString,
        )
        message = ParseDict(request, method.request_type())
        return EventStream(call(message, timeout=deadline), self.patience)


class EventStream:
    """An open event stream that a thread follows to its end."""

    def __init__(self, call: Any, patience: float) -> None:
        self.events: list[Json] = []
        self.end: str | None = None
        """How it ended, in the terms of the transcripts; None while it is open."""
        self.error: Json = None
        self._call = call
        self._patience = patience
        self._cancelled = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        end, error = CLOSED, None
        try:
            for event in self._call:
                with self._news:
                    self.events.append(as_json(event))
                    self._news.notify_all()
        except grpc.RpcError as failure:
            error = error_as_json(failure)
            own = self._cancelled and error["code"] == "CANCELLED"
            end, error = (CANCELLED, None) if own else (ERROR, error)
        with self._news:
            self.end, self.error = end, error
            self._news.notify_all()

    def wait_until(self, enough: Callable[[EventStream], bool]) -> bool:
        """Block until there are enough events or the stream ended; return if there are enough."""
        with self._news:
            self._news.wait_for(lambda: enough(self) or self.end is not None, self._patience)
            return enough(self)

    def cancel(self) -> None:
        """Cancel the stream if it is open, and wait for its end."""
        self._cancelled = True
        self._call.cancel()
        self._thread.join()
