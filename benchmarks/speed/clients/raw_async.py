"""gRPC's raw asyncio stub."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import grpc.aio

from agents_sandbox._wire import v02_pb2 as pb

from ..facts import EVENTS_ID, IMAGE, SANDBOX_ID, TIMEOUT, TOGETHER
from .obeying import obey_in_loop
from .raw_messages import read_event, read_exec, read_sandbox
from .raw_stub import OPTIONS, Stub, target


class Raw:
    """What a program without an SDK would do.

    Args:
        stub: The stub.
    """

    def __init__(self, stub: Stub) -> None:
        self._stub = stub

    async def ping(self) -> tuple[str, str]:
        """Ping."""
        answer = await self._stub.ping(pb.PingRequest(), timeout=TIMEOUT)
        return answer.version, answer.daemon

    async def get_sandbox(self) -> tuple[Any, ...]:
        """Read a sandbox with services and labels."""
        return await self._read(SANDBOX_ID)

    async def list_sandboxes(self) -> list[tuple[Any, ...]]:
        """Read many sandboxes."""
        answer = await self._stub.list_sandboxes(pb.ListSandboxesRequest(), timeout=TIMEOUT)
        return [read_sandbox(sandbox) for sandbox in answer.sandboxes]

    async def read_events(self, count: int) -> None:
        """Read the first events of a sandbox."""
        request = pb.SubscribeSandboxEventsRequest(sandbox_id=EVENTS_ID)
        stream = self._stub.subscribe(request, timeout=TIMEOUT)
        try:
            async for event in stream:
                read_event(event)
                if event.sequence == count:
                    return
        finally:
            stream.cancel()

    async def create_sandbox(self) -> tuple[Any, ...]:
        """Create a sandbox and wait until it is READY: create, subscribe, get."""
        sandbox_id = str(uuid.uuid4())
        spec = pb.CreateSpec(image=IMAGE)
        create = pb.CreateSandboxRequest(sandbox_id=sandbox_id, create_spec=spec)
        accepted = (await self._stub.create_sandbox(create, timeout=TIMEOUT)).sandbox
        subscribe = pb.SubscribeSandboxEventsRequest(
            sandbox_id=sandbox_id, from_sequence=accepted.last_event_sequence
        )
        stream = self._stub.subscribe(subscribe, timeout=TIMEOUT)
        try:
            async for event in stream:
                if event.sandbox_state == pb.SANDBOX_STATE_READY:
                    break
        finally:
            stream.cancel()
        return await self._read(sandbox_id)

    async def run_execs(self, together: int) -> None:
        """Run many commands in one sandbox at once: one subscription, two gets for each."""
        sandbox_id = f"execs-{uuid.uuid4()}"
        running: dict[str, asyncio.Event] = {}
        created = asyncio.Event()

        async def run() -> None:
            exec_id = str(uuid.uuid4())
            running[exec_id] = asyncio.Event()
            create = pb.CreateExecRequest(
                sandbox_id=sandbox_id,
                command=("true",),
                exec_id=exec_id,
                env_overrides={TOGETHER: str(together)},
            )
            await self._stub.create_exec(create, timeout=TIMEOUT)
            created.set()
            get = pb.GetExecRequest(exec_id=exec_id)
            read_exec((await self._stub.get_exec(get, timeout=TIMEOUT)).exec)
            await running[exec_id].wait()
            read_exec((await self._stub.get_exec(get, timeout=TIMEOUT)).exec)

        async def follow() -> None:
            await created.wait()  # the server knows the sandbox then
            request = pb.SubscribeSandboxEventsRequest(sandbox_id=sandbox_id)
            stream = self._stub.subscribe(request, timeout=TIMEOUT)
            left = together
            try:
                async for event in stream:
                    if event.event_type == pb.EXEC_FINISHED:
                        running[event.exec.exec_id].set()
                        left -= 1
                        if left == 0:
                            return
            finally:
                stream.cancel()

        await asyncio.gather(follow(), *(run() for _ in range(together)))

    async def _read(self, sandbox_id: str) -> tuple[Any, ...]:
        request = pb.GetSandboxRequest(sandbox_id=sandbox_id)
        return read_sandbox((await self._stub.get_sandbox(request, timeout=TIMEOUT)).sandbox)


async def main() -> None:
    """Obey."""
    async with grpc.aio.insecure_channel(target(), options=OPTIONS) as channel:
        raw = Raw(Stub(channel))
        await obey_in_loop(
            {
                "ping": raw.ping,
                "get_sandbox": raw.get_sandbox,
                "list_sandboxes": raw.list_sandboxes,
                "read_events": raw.read_events,
                "create_sandbox": raw.create_sandbox,
                "run_execs": raw.run_execs,
            }
        )


if __name__ == "__main__":
    asyncio.run(main())
