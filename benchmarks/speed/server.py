"""A bare server: it answers with prepared bytes, so that it costs little and all alike.

    python -m benchmarks.speed.server --list 10000 --events 20000

It plays a daemon well enough for the clients' checks, and no better: any sandbox can be read, and
is READY. For those who follow its events, a new one becomes READY when the benchmark says so. The
server listens where all clients look by default, below XDG_RUNTIME_DIR. It prints a line of JSON
once it listens, and another with its counters after each order on its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire.methods import SERVICE

from . import messages
from .facts import EVENTS_ID, HOLD, MAKE_READY, SANDBOX_ID, TOGETHER, VERSION

_MANY = 10**6
_OPTIONS = (
    # By default gRPC sheds calls once a thousand wait to be accepted.
    ("grpc.server.max_pending_requests", _MANY),
    ("grpc.server.max_pending_requests_hard_limit", _MANY),
)

Handler = Callable[[bytes, object], Awaitable[bytes]]


class Execs:
    """The execs of one sandbox, which end together once each has been read while it ran."""

    def __init__(self, sandbox_id: str, together: int) -> None:
        self._sandbox_id = sandbox_id
        self._together = together
        self._read: set[str] = set()
        self._ids: list[str] = []
        self.events: list[bytes] = []
        self.changed = asyncio.Condition()

    async def start(self, exec_id: str) -> None:
        """Start an exec."""
        self._ids.append(exec_id)
        await self._note(exec_id, pb.EXEC_STARTED, pb.EXEC_STATE_RUNNING)

    async def read(self, exec_id: str) -> pb.ExecStatus:
        """Return the state of an exec."""
        ended = len(self._read) >= self._together
        status = pb.ExecStatus(
            exec_id=exec_id,
            sandbox_id=self._sandbox_id,
            state=pb.EXEC_STATE_FINISHED if ended else pb.EXEC_STATE_RUNNING,
            command=("true",),
            last_event_sequence=len(self.events),
        )
        if not ended:
            self._read.add(exec_id)
            if len(self._read) >= self._together:
                for each in self._ids:
                    await self._note(each, pb.EXEC_FINISHED, pb.EXEC_STATE_FINISHED)
        return status

    async def _note(self, exec_id: str, event_type: pb.EventType, state: pb.ExecState) -> None:
        sequence = len(self.events) + 1
        self.events.append(
            messages.exec_event(self._sandbox_id, sequence, event_type, exec_id, state)
        )
        async with self.changed:
            self.changed.notify_all()


class BareServer:
    """The RPCs that the benchmark calls.

    Args:
        sandboxes: How many sandboxes a list shows.
        events: How many events the sandbox with a long history has.
    """

    def __init__(self, sandboxes: int, events: int) -> None:
        self._ping = pb.PingResponse(version=VERSION, daemon="agboxd").SerializeToString()
        self._sandbox = pb.GetSandboxResponse(sandbox=messages.sandbox_v02()).SerializeToString()
        self._list = pb.ListSandboxesResponse(
            sandboxes=[messages.sandbox_v02(f"bench-{number:05}") for number in range(sandboxes)]
        ).SerializeToString()
        self._history = list(messages.history(events))
        self._ready = asyncio.Event()
        self._execs: dict[str, Execs] = {}
        self._sandbox_of_exec: dict[str, str] = {}
        self.counters: Counter[str] = Counter(streams=0, events=0, waiting=0)

    async def ping(self, _request: bytes, _context: object) -> bytes:
        """Answer `Ping`."""
        return self._ping

    async def get_sandbox(self, request: bytes, _context: object) -> bytes:
        """Answer `GetSandbox`: it is READY."""
        sandbox_id = pb.GetSandboxRequest.FromString(request).sandbox_id
        if sandbox_id == SANDBOX_ID:
            return self._sandbox
        sandbox = messages.plain_sandbox(sandbox_id, pb.SANDBOX_STATE_READY, 3)
        return pb.GetSandboxResponse(sandbox=sandbox).SerializeToString()

    async def list_sandboxes(self, _request: bytes, _context: object) -> bytes:
        """Answer `ListSandboxes`."""
        return self._list

    async def create_sandbox(self, request: bytes, _context: object) -> bytes:
        """Answer `CreateSandbox`: it is PENDING."""
        message = pb.CreateSandboxRequest.FromString(request)
        sandbox = messages.plain_sandbox(message.sandbox_id, pb.SANDBOX_STATE_PENDING, 1)
        return pb.CreateSandboxResponse(sandbox=sandbox).SerializeToString()

    async def subscribe(self, request: bytes, _context: object) -> AsyncIterator[bytes]:
        """Answer `SubscribeSandboxEvents`; such a stream ends when the client cancels it."""
        message = pb.SubscribeSandboxEventsRequest.FromString(request)
        self.counters["streams"] += 1
        async for event in self._events(message.sandbox_id, message.from_sequence):
            self.counters["events"] += 1
            yield event
        await asyncio.Event().wait()

    async def _events(self, sandbox_id: str, after: int) -> AsyncIterator[bytes]:
        if sandbox_id == EVENTS_ID:
            for event in self._history[after:]:
                yield event
        elif sandbox_id in self._execs:
            execs, sent = self._execs[sandbox_id], after
            while True:
                for event in execs.events[sent:]:
                    sent += 1
                    yield event
                async with execs.changed:
                    if sent == len(execs.events):
                        await execs.changed.wait()
        else:
            async for event in self._start_of(sandbox_id):
                yield event

    async def _start_of(self, sandbox_id: str) -> AsyncIterator[bytes]:
        """The events of a create after its acceptance."""
        yield messages.state_event(sandbox_id, 2, pb.SANDBOX_PREPARING, pb.SANDBOX_STATE_PENDING)
        self.counters["waiting"] += 1
        await self._ready.wait()
        yield messages.state_event(sandbox_id, 3, pb.SANDBOX_READY, pb.SANDBOX_STATE_READY)

    def obey(self, order: str) -> None:
        """Obey the benchmark."""
        if order == HOLD:
            self._ready.clear()
            self.counters["waiting"] = 0
        elif order == MAKE_READY:
            self._ready.set()

    async def create_exec(self, request: bytes, _context: object) -> bytes:
        """Answer `CreateExec`."""
        message = pb.CreateExecRequest.FromString(request)
        execs = self._execs.get(message.sandbox_id)
        if execs is None:
            together = int(message.env_overrides[TOGETHER])
            execs = self._execs[message.sandbox_id] = Execs(message.sandbox_id, together)
        self._sandbox_of_exec[message.exec_id] = message.sandbox_id
        await execs.start(message.exec_id)
        return pb.CreateExecResponse(exec_id=message.exec_id).SerializeToString()

    async def get_exec(self, request: bytes, _context: object) -> bytes:
        """Answer `GetExec`."""
        exec_id = pb.GetExecRequest.FromString(request).exec_id
        execs = self._execs[self._sandbox_of_exec[exec_id]]
        return pb.GetExecResponse(exec=await execs.read(exec_id)).SerializeToString()

    def handlers(self) -> grpc.GenericRpcHandler:
        """What gRPC needs to know; without serializers it hands bytes through."""
        unary: dict[str, Handler] = {
            "Ping": self.ping,
            "GetSandbox": self.get_sandbox,
            "ListSandboxes": self.list_sandboxes,
            "CreateSandbox": self.create_sandbox,
            "CreateExec": self.create_exec,
            "GetExec": self.get_exec,
        }
        table: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(each) for name, each in unary.items()
        }
        table["SubscribeSandboxEvents"] = grpc.unary_stream_rpc_method_handler(self.subscribe)
        return grpc.method_handlers_generic_handler(SERVICE, table)


def socket_path() -> Path:
    """Where the clients look for a daemon."""
    return Path(os.environ["XDG_RUNTIME_DIR"]) / "agbox" / "agboxd.sock"


async def serve(sandboxes: int, events: int) -> None:
    """Serve until the end of the standard input."""
    bare = BareServer(sandboxes, events)
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((bare.handlers(),))
    path = socket_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    print(json.dumps({"listening": str(path)}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        bare.obey(json.loads(line))
        print(json.dumps(bare.counters), flush=True)
    await server.stop(None)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.server")
    parser.add_argument("--list", type=int, default=0, help="sandboxes in a list; default: 0")
    parser.add_argument("--events", type=int, default=0, help="events of a history; default: 0")
    options = parser.parse_args()
    asyncio.run(serve(options.list, options.events))


if __name__ == "__main__":
    main()
