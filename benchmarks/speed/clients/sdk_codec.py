"""Our decoding alone: no gRPC, no server."""

from __future__ import annotations

from collections.abc import Callable

from agents_sandbox import SandboxEvent, SandboxHandle
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire.codec import decode_event
from agents_sandbox._wire.dialects import dialect_of
from agents_sandbox._wire.releases import chosen_release

from .obeying import obey
from .raw_codec import on_prepared


def sandbox_decoder(version: str) -> Callable[[bytes], SandboxHandle]:
    """What decodes the answer of a release to `GetSandbox`."""
    dialect = dialect_of(chosen_release(version))
    parse = dialect.get_sandbox.response_type.FromString
    return lambda data: dialect.decode_sandbox(parse(data).sandbox)


def decode(data: bytes) -> SandboxEvent:
    """Decode an event."""
    return decode_event(pb.SandboxEvent.FromString(data))


if __name__ == "__main__":
    obey(on_prepared(sandbox_decoder("0.2.1"), sandbox_decoder("0.4.3"), decode))
