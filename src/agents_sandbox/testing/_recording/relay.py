"""Passes calls on to a daemon, byte for byte, whatever they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import grpc
import grpc.aio

from .observer import Heard, Observer

OPTIONS = (
    # Limits are the daemon's and the client's own.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.default_authority", "localhost"),
    ("grpc.enable_http_proxy", 0),
    # A connection for each call: none of them waits until gRPC tries again, as one does after a
    # daemon was down.
    ("grpc.use_local_subchannel_pool", 1),
)

_ONE_REQUEST = 0.1
"""Seconds that the end of the requests may come after the first one."""

# gRPC's own, which it sends again.
_OWN_KEYS = ("user-agent",)


class Relay(grpc.GenericRpcHandler):
    """Handles every method.

    Args:
        connect: Opens a channel to the daemon.
        observer: Is told what passes.
        look: Looks whether another daemon listens now; called before anything passes.
    """

    def __init__(
        self,
        connect: Callable[[], grpc.aio.Channel],
        observer: Observer,
        look: Callable[[], None],
    ) -> None:
        self._connect = connect
        self._observer = observer
        self._look = look

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler of a call. On the wire, every other kind is a stream of messages."""
        relay = partial(self._relay, handler_call_details.method)
        return grpc.stream_stream_rpc_method_handler(relay)  # without a codec: bytes

    async def _relay(
        self, method: str, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        self._look()
        heard = self._observer.begin(method)
        sending = _sent(_listening(requests, heard))
        async with self._connect() as channel, sending as (is_one, sent):
            make: Any = channel.unary_stream if is_one else channel.stream_stream
            call: Any = make(method)(
                sent,
                timeout=context.time_remaining(),
                metadata=_passed_on(context.invocation_metadata()),
            )
            try:
                await context.send_initial_metadata(_passed_on(await call.initial_metadata()))
                async for answer in call:
                    self._look()
                    heard.answer(answer)
                    yield answer
                context.set_trailing_metadata(_passed_on(await call.trailing_metadata()))
            except grpc.aio.AioRpcError as error:
                self._look()
                await context.abort(
                    error.code(), error.details() or "", _passed_on(error.trailing_metadata())
                )
            finally:
                call.cancel()


@asynccontextmanager
async def _sent(
    requests: AsyncIterator[bytes],
) -> AsyncIterator[tuple[bool, bytes | AsyncIterator[bytes]]]:
    """Yield whether there is one request, and it, or all.

    If a daemon ends a call before it has read a stream of requests, gRPC reports an internal error
    in place of the status. A single request, and the protocol has no others, is sent together with
    the call.
    """
    first = await anext(requests, None)
    if first is None:
        yield False, requests
        return
    second = asyncio.ensure_future(anext(requests, None))
    # Of a call that ends meanwhile, nobody asks for it.
    second.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait((second,), timeout=_ONE_REQUEST)
    try:
        if second.done() and second.result() is None:
            yield True, first
        else:
            yield False, _joined(first, second, requests)
    finally:
        second.cancel()


async def _joined(
    first: bytes, second: asyncio.Future[bytes | None], others: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    yield first
    if (request := await second) is not None:
        yield request
    async for request in others:
        yield request


async def _listening(requests: AsyncIterator[bytes], heard: Heard) -> AsyncIterator[bytes]:
    async for request in requests:
        heard.request(request)
        yield request


def _passed_on(metadata: Any) -> tuple[tuple[str, str | bytes], ...]:
    return tuple((key, value) for key, value in metadata or () if key not in _OWN_KEYS)
