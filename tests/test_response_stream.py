"""How one stream of answers ends: by the daemon, by us, at its deadline."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any
from weakref import ref

import pytest

from agents_sandbox import DaemonUnavailableError, OperationTimeoutError, _aio
from agents_sandbox._aio import cancellations
from agents_sandbox._aio import channel as channels
from agents_sandbox._aio.homes import Home
from agents_sandbox._async import _transport
from agents_sandbox._connection.address import DaemonAddress
from agents_sandbox._deadline import Deadline
from agents_sandbox._sync_generated._transport import ResponseStream, Transport
from agents_sandbox._wire.methods import SUBSCRIBE_SANDBOX_EVENTS


class Ended:
    """A call that has ended cleanly."""

    def read(self) -> None:
        pass

    def cancel(self) -> None:
        pass


def ended_at_its_deadline() -> ResponseStream[None]:
    call: Any = Ended()
    transport = Transport(DaemonAddress("/nowhere"))
    request = SUBSCRIBE_SANDBOX_EVENTS.request_type()
    return ResponseStream(
        transport, call, SUBSCRIBE_SANDBOX_EVENTS, request, lambda _: None, Deadline(0.0)
    )


def test_an_end_at_the_deadline_is_a_timeout() -> None:
    with pytest.raises(OperationTimeoutError, match="did not end within 0 s"):
        ended_at_its_deadline().read()


def test_an_end_by_us_is_none() -> None:
    stream = ended_at_its_deadline()
    stream.cancel()
    assert stream.read() is None


def test_each_read_of_an_abandoned_stream_raises_an_error_of_its_own() -> None:
    stream, loss = ended_at_its_deadline(), DaemonUnavailableError("gone")
    stream.abandon(loss)
    raised = []
    for _ in range(2):
        with pytest.raises(DaemonUnavailableError, match="gone") as caught:
            stream.read()
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert [error.__cause__ for error in raised] == [loss, loss]
    assert loss.__traceback__ is None


async def test_a_read_of_an_abandoned_stream_raises_in_the_other_flavour() -> None:
    class AsyncEnded(Ended):
        async def read(self) -> None:  # type: ignore[override]  # it ends at once
            pass

    call: Any = AsyncEnded()
    transport = _transport.Transport(DaemonAddress("/nowhere"))
    request = SUBSCRIBE_SANDBOX_EVENTS.request_type()
    stream = _transport.ResponseStream(
        transport, call, SUBSCRIBE_SANDBOX_EVENTS, request, lambda _: None, Deadline(0.0)
    )
    stream.abandon(DaemonUnavailableError("gone"))
    with pytest.raises(DaemonUnavailableError, match="gone"):
        await stream.read()


class Answerless:
    """A call without an answer; it may end by itself just when its reader is cancelled."""

    def __init__(self, error: type[Exception] | None = None) -> None:
        self.error = error
        self.reading: Any = asyncio.get_running_loop().create_future()

    async def read(self) -> None:
        await self.reading

    def cancel(self) -> None:
        # Its error must not refer to itself.
        reading, self.reading = self.reading, None
        if reading is not None and self.error is not None:
            reading.set_exception(self.error())
        elif reading is not None:
            reading.cancel()


@pytest.fixture(params=[True, False], ids=["counted by Python", "counted by the SDK"])
def counted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who counts the cancellations of a task; on Python 3.10, only the SDK can."""
    monkeypatch.setattr(channels, "COUNTED", request.param and cancellations.COUNTED)
    if not request.param:
        monkeypatch.setattr(
            channels, "cancellations", lambda: cancellations._counts.get(this_task(), 0)
        )


def this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("error", [None, ConnectionError])
async def test_a_task_that_is_cancelled_together_with_its_stream_is_cancelled(
    error: type[Exception] | None,
) -> None:
    channel: Any = _aio.Channel(lambda: "unix:///nowhere")
    call: Any = Answerless(error)
    stream = _aio.Stream(channel, call, Home())
    reader = asyncio.ensure_future(stream.read())
    await asyncio.sleep(0)  # until it has begun
    await asyncio.sleep(0)  # until it reads, which may be in a task of its own
    stream.cancel()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader


@pytest.mark.usefixtures("counted")
async def test_a_stream_that_is_cancelled_does_not_cancel_its_reader() -> None:
    channel: Any = _aio.Channel(lambda: "unix:///nowhere")
    call: Any = Answerless()
    stream = _aio.Stream(channel, call, Home())
    reader = asyncio.ensure_future(stream.read())
    await asyncio.sleep(0)  # until it has begun
    await asyncio.sleep(0)  # until it reads, which may be in a task of its own
    stream.cancel()
    assert await reader is None


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="there, the tests' tasks themselves keep errors alive"
)
@pytest.mark.usefixtures("counted")
async def test_a_read_that_failed_keeps_nothing_alive() -> None:
    channel: Any = _aio.Channel(lambda: "unix:///nowhere")
    call: Any = Answerless(ConnectionError)
    left, stream = ref(call), _aio.Stream(channel, call, Home())
    gc.disable()
    try:
        assert await fail_to_read(stream)
        del call, stream
        await asyncio.sleep(0)  # until the loop forgets the tasks
        assert left() is None
    finally:
        gc.enable()


# `pytest.raises` would keep the error.
async def fail_to_read(stream: _aio.Stream) -> bool:
    reader = asyncio.ensure_future(stream.read())
    await asyncio.sleep(0)  # until it has begun
    await asyncio.sleep(0)  # until it reads, which may be in a task of its own
    stream.cancel()
    try:
        await reader
    except ConnectionError:
        return True
    finally:
        del reader, stream  # the error refers to this frame
    return False


async def test_a_coroutine_needs_no_task_to_ask_for_cancellations() -> None:
    loop = asyncio.get_running_loop()
    asked = loop.create_future()
    loop.call_soon(lambda: asked.set_result(cancellations.cancellations()))
    assert await asked == 0
