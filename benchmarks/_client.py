"""The load: a bare grpc.aio client that creates, follows, executes and deletes.

It runs in its own process and shares neither memory nor an interpreter with the measured
daemon. Each public coroutine of `Client` is a command for `_remote`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import grpc
import grpc.aio

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire.methods import Method

LIVE = pb.SANDBOX_SERVICE_READY
"""The type of the live event. The benchmark's sandboxes have no services that send it."""
GAP = "GAP"
"""The end of a stream that skipped or repeated a sequence."""

_IMAGE = "example.test/primary:1"
_IN_FLIGHT = 64
"""Number of sandboxes processed concurrently."""
_OPTIONS = (
    ("grpc.default_authority", "localhost"),
    # Without it, channels to the same address share one connection.
    ("grpc.use_local_subchannel_pool", 1),
)


class StreamEndedError(Exception):
    """A stream ended before the expected event; the argument is its status."""


class Stream:
    """One subscription from the first event, read until it ends or is closed."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._types: set[int] = set()
        self._changed = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> str:
        last = 0
        try:
            async for event in self._call:
                if event.sequence != last + 1:
                    return GAP
                last = event.sequence
                self._types.add(event.event_type)
                self._changed.set()
        except grpc.aio.AioRpcError as error:
            return error.code().name
        else:
            return "OK"
        finally:
            self._changed.set()

    @property
    def ended(self) -> bool:
        """Whether the stream has ended."""
        return self._reader.done()

    async def seen(self, event_type: int) -> None:
        """Wait for the first event of a type.

        Raises:
            StreamEndedError: The stream ended without one.
        """
        while event_type not in self._types:
            if self.ended:
                raise StreamEndedError(self._reader.result())
            self._changed.clear()
            await self._changed.wait()

    async def end(self) -> str:
        """Wait until the daemon ends the stream, and return the name of its status."""
        return await self._reader

    async def close(self) -> None:
        """Cancel the stream and wait until it has ended."""
        self._call.cancel()
        await asyncio.wait([self._reader])


class Client:
    """Calls one daemon over several connections."""

    def __init__(self, socket_path: str, connections: int) -> None:
        self._channels = [
            grpc.aio.insecure_channel(f"unix:{socket_path}", options=_OPTIONS)
            for _ in range(connections)
        ]
        self._streams: list[Stream] = []
        self._turn = 0

    async def create(self, sandbox_ids: Sequence[str]) -> None:
        """Create sandboxes and wait until each is READY."""
        await _for_each(sandbox_ids, self._create)

    async def _create(self, sandbox_id: str) -> None:
        spec = pb.CreateSpec(image=_IMAGE)
        await self._call(methods.CREATE_SANDBOX, sandbox_id=sandbox_id, create_spec=spec)
        stream = self._subscribe(sandbox_id)
        await stream.seen(pb.SANDBOX_READY)
        await stream.close()

    async def open_streams(self, sandbox_ids: Sequence[str]) -> Counter[str]:
        """Open a stream on each sandbox and keep it open; wait until each has its history.

        Returns:
            The number of streams that ended before that, by status.
        """
        self._streams = [self._subscribe(sandbox_id) for sandbox_id in sandbox_ids]
        return await self._ends_before(pb.SANDBOX_READY)

    async def live_events(self) -> Counter[str]:
        """Wait until each open stream has received the live event.

        Returns:
            The number of streams that ended before that, by status.
        """
        return await self._ends_before(LIVE)

    async def _ends_before(self, event_type: int) -> Counter[str]:
        ends = await asyncio.gather(*(_end_before(stream, event_type) for stream in self._streams))
        return Counter(end for end in ends if end is not None)

    async def close_streams(self) -> Counter[str]:
        """Close all streams; return the number that had already ended, by status."""
        streams, self._streams = self._streams, []
        ends = [await stream.end() for stream in streams if stream.ended]
        await asyncio.gather(*(stream.close() for stream in streams))
        return Counter(ends)

    async def live_and_die(self, sandbox_ids: Sequence[str]) -> None:
        """Create each sandbox, run an exec, delete it; keep one stream on each open."""
        self._streams = []
        await _for_each(sandbox_ids, self._live_and_die)

    async def _live_and_die(self, sandbox_id: str) -> None:
        spec = pb.CreateSpec(image=_IMAGE)
        await self._call(methods.CREATE_SANDBOX, sandbox_id=sandbox_id, create_spec=spec)
        stream = self._subscribe(sandbox_id)
        self._streams.append(stream)
        await stream.seen(pb.SANDBOX_READY)
        await self._call(methods.CREATE_EXEC, sandbox_id=sandbox_id, command=("true",))
        await stream.seen(pb.EXEC_FINISHED)
        await self._call(methods.DELETE_SANDBOX, sandbox_id=sandbox_id)
        await stream.seen(pb.SANDBOX_DELETED)

    async def stream_ends(self) -> Counter[str]:
        """Wait until the daemon has ended all open streams; return their number by status."""
        ends = await asyncio.gather(*(stream.end() for stream in self._streams))
        self._streams = []
        return Counter(ends)

    async def aclose(self) -> None:
        """Close all connections."""
        for channel in self._channels:
            await channel.close()

    def _channel(self) -> grpc.aio.Channel:
        self._turn += 1
        return self._channels[self._turn % len(self._channels)]

    async def _call(self, method: Method[Any, Any], **fields: Any) -> Any:
        call = self._channel().unary_unary(
            method.path,
            request_serializer=method.request_type.SerializeToString,
            response_deserializer=method.response_type.FromString,
        )
        return await call(method.request_type(**fields))

    def _subscribe(self, sandbox_id: str) -> Stream:
        method = methods.SUBSCRIBE_SANDBOX_EVENTS
        call = self._channel().unary_stream(
            method.path,
            request_serializer=method.request_type.SerializeToString,
            response_deserializer=method.response_type.FromString,
        )
        return Stream(call(method.request_type(sandbox_id=sandbox_id)))


async def _end_before(stream: Stream, event_type: int) -> str | None:
    try:
        await stream.seen(event_type)
    except StreamEndedError as error:
        return str(error)
    return None


async def _for_each(items: Iterable[str], work: Callable[[str], Awaitable[None]]) -> None:
    slots = asyncio.Semaphore(_IN_FLIGHT)

    async def limited(item: str) -> None:
        async with slots:
            await work(item)

    await asyncio.gather(*(limited(item) for item in items))
