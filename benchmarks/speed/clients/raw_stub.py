"""gRPC's raw stub, for both flavours: its methods are made once, and called for each request."""

from __future__ import annotations

from typing import Any

from agents_sandbox._wire import methods

from ..server import socket_path

OPTIONS = (
    # Otherwise the percent-encoded path of the socket is sent as the host name.
    ("grpc.default_authority", "localhost"),
    ("grpc.max_receive_message_length", -1),  # a long list is over the default
)


def target() -> str:
    """The server's address."""
    return f"unix:{socket_path()}"


class Stub:
    """The calls that the benchmark makes.

    Args:
        channel: A channel of gRPC, of either flavour.
    """

    def __init__(self, channel: Any) -> None:
        self.ping = _unary(channel, methods.PING)
        self.get_sandbox = _unary(channel, methods.GET_SANDBOX)
        self.list_sandboxes = _unary(channel, methods.LIST_SANDBOXES)
        self.create_sandbox = _unary(channel, methods.CREATE_SANDBOX)
        self.create_exec = _unary(channel, methods.CREATE_EXEC)
        self.get_exec = _unary(channel, methods.GET_EXEC)
        subscribe = methods.SUBSCRIBE_SANDBOX_EVENTS
        self.subscribe = channel.unary_stream(
            subscribe.path,
            request_serializer=subscribe.request_type.SerializeToString,
            response_deserializer=subscribe.response_type.FromString,
        )


def _unary(channel: Any, method: methods.Method[Any, Any]) -> Any:
    return channel.unary_unary(
        method.path,
        request_serializer=method.request_type.SerializeToString,
        response_deserializer=method.response_type.FromString,
    )
