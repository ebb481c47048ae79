"""protobuf alone: no gRPC, no server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire import v04_pb2 as v04

from .. import messages
from .obeying import obey
from .raw_messages import read_event, read_sandbox, read_sandbox_v04

EVENT = next(messages.history(1))


def decode_sandbox_v02(data: bytes) -> tuple[Any, ...]:
    """Decode and read a sandbox of dialect 0.2."""
    return read_sandbox(pb.GetSandboxResponse.FromString(data).sandbox)


def decode_sandbox_v04(data: bytes) -> tuple[Any, ...]:
    """Decode and read a sandbox of dialect 0.4."""
    return read_sandbox_v04(v04.GetSandboxResponse.FromString(data).sandbox)


def decode_event(data: bytes) -> tuple[Any, ...]:
    """Decode and read an event."""
    return read_event(pb.SandboxEvent.FromString(data))


def on_prepared(
    sandbox_v02: Callable[[bytes], object],
    sandbox_v04: Callable[[bytes], object],
    event: Callable[[bytes], object],
) -> dict[str, Callable[[], object]]:
    """Bind decoders to the bytes that the server would send."""
    v02 = pb.GetSandboxResponse(sandbox=messages.sandbox_v02()).SerializeToString()
    newer = v04.GetSandboxResponse(sandbox=messages.sandbox_v04()).SerializeToString()
    return {
        "decode_sandbox_v02": lambda: sandbox_v02(v02),
        "decode_sandbox_v04": lambda: sandbox_v04(newer),
        "decode_event": lambda: event(EVENT),
    }


if __name__ == "__main__":
    obey(on_prepared(decode_sandbox_v02, decode_sandbox_v04, decode_event))
