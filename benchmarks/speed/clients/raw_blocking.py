"""gRPC's raw blocking stub."""

from __future__ import annotations

from typing import Any

import grpc

from agents_sandbox._wire import v02_pb2 as pb

from ..facts import EVENTS_ID, SANDBOX_ID, TIMEOUT
from .obeying import obey
from .raw_messages import read_event, read_sandbox
from .raw_stub import OPTIONS, Stub, target


class Raw:
    """What a program without an SDK would do.

    Args:
        stub: The stub.
    """

    def __init__(self, stub: Stub) -> None:
        self._stub = stub

    def ping(self) -> tuple[str, str]:
        """Ping."""
        answer = self._stub.ping(pb.PingRequest(), timeout=TIMEOUT)
        return answer.version, answer.daemon

    def get_sandbox(self) -> tuple[Any, ...]:
        """Read a sandbox with services and labels."""
        request = pb.GetSandboxRequest(sandbox_id=SANDBOX_ID)
        return read_sandbox(self._stub.get_sandbox(request, timeout=TIMEOUT).sandbox)

    def list_sandboxes(self) -> list[tuple[Any, ...]]:
        """Read many sandboxes."""
        answer = self._stub.list_sandboxes(pb.ListSandboxesRequest(), timeout=TIMEOUT)
        return [read_sandbox(sandbox) for sandbox in answer.sandboxes]

    def read_events(self, count: int) -> None:
        """Read the first events of a sandbox."""
        request = pb.SubscribeSandboxEventsRequest(sandbox_id=EVENTS_ID)
        stream = self._stub.subscribe(request, timeout=TIMEOUT)
        try:
            for event in stream:
                read_event(event)
                if event.sequence == count:
                    return
        finally:
            stream.cancel()


def main() -> None:
    """Obey."""
    with grpc.insecure_channel(target(), options=OPTIONS) as channel:
        raw = Raw(Stub(channel))
        obey(
            {
                "ping": raw.ping,
                "get_sandbox": raw.get_sandbox,
                "list_sandboxes": raw.list_sandboxes,
                "read_events": raw.read_events,
            }
        )


if __name__ == "__main__":
    main()
