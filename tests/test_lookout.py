"""When the lookout pings the daemon, and which streams it lets go of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast
from weakref import ref

import pytest

from agents_sandbox import DaemonError, DaemonUnavailableError
from agents_sandbox._aio import Reader
from agents_sandbox._async import _lookout as _async_lookout
from agents_sandbox._async._lookout import Lookout as AsyncLookout
from agents_sandbox._sync_generated import _lookout
from agents_sandbox._sync_generated._lookout import Lookout

GONE = DaemonUnavailableError("gone")


class Stream:
    """An event stream."""

    def __init__(self) -> None:
        self.loss: DaemonUnavailableError | None = None
        self.on_end: Callable[[Any], None] = lambda _: None

    def abandon(self, loss: DaemonUnavailableError) -> None:
        self.loss = loss
        self.on_end(self)


class Transport:
    """A connection to a daemon, as the lookout sees it."""

    def __init__(self) -> None:
        self.closed = self.in_touch = False
        self.socket_file: object = "first"
        self.pings = 0
        self.during_ping: Callable[[], object] = lambda: None

    def socket_identity(self) -> object:
        return self.socket_file

    def unary(self, *_: object) -> None:
        self.pings += 1
        self.during_ping()

    def unavailable(self, detail: str) -> DaemonUnavailableError:
        return DaemonUnavailableError(detail)


class NeverLooks:
    """Replaces the background reader, so that the tests decide when the lookout looks."""

    def __init__(self, *_: object) -> None:
        self.stopped = False

    def alive(self) -> bool:
        return not self.stopped

    def stop(self) -> None:
        self.stopped = True

    def ended(self) -> None:
        assert self.stopped


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def lookout(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(_lookout, "Reader", NeverLooks)
    replaced: Any = transport
    return Lookout(replaced)


def watched(lookout: Any) -> Stream:
    stream = Stream()
    lookout.watch(stream, lookout._transport.socket_file)
    return stream


def fail(error: Exception) -> None:
    raise error


def test_it_pings_if_no_call_has_reached_the_daemon_for_a_while(
    lookout: Any, transport: Transport
) -> None:
    stream = watched(lookout)
    lookout._look_once()
    assert (transport.pings, stream.loss) == (1, None)


def test_it_does_not_ping_while_calls_reach_the_daemon(lookout: Any, transport: Transport) -> None:
    stream = watched(lookout)
    transport.in_touch = True
    lookout._look_once()
    assert (transport.pings, stream.loss) == (0, None)


@pytest.mark.parametrize("socket_file", ["another", None])
def test_another_socket_file_or_none_is_a_reason_to_ping(
    lookout: Any, transport: Transport, socket_file: object
) -> None:
    stream = watched(lookout)
    transport.in_touch, transport.socket_file = True, socket_file
    lookout._look_once()
    assert transport.pings == 1
    stream.on_end(stream)


def test_it_lets_go_of_an_unavailable_daemon(lookout: Any, transport: Transport) -> None:
    streams = [watched(lookout), watched(lookout)]
    transport.during_ping = lambda: fail(GONE)
    lookout._look_once()
    assert [stream.loss for stream in streams] == [GONE, GONE]
    assert lookout._is_done()


def test_it_keeps_streams_that_are_opened_during_the_ping(
    lookout: Any, transport: Transport
) -> None:
    """They may be of the next daemon."""
    late: list[Stream] = []
    early = watched(lookout)

    def subscribe_and_fail() -> None:
        late.append(watched(lookout))
        raise GONE

    transport.during_ping = subscribe_and_fail
    lookout._look_once()
    assert (early.loss, [stream.loss for stream in late]) == (GONE, [None])
    assert not lookout._is_done()


def test_it_lets_go_of_a_daemon_whose_successor_answers(lookout: Any, transport: Transport) -> None:
    old = watched(lookout)
    transport.socket_file = "second"
    new = watched(lookout)
    lookout._look_once()
    assert "another daemon has taken its place" in str(old.loss)
    assert new.loss is None


def test_streams_that_are_dropped_during_the_ping_are_gone(
    lookout: Any, transport: Transport
) -> None:
    streams = [watched(lookout)]

    def drop_and_fail() -> None:
        streams.clear()
        raise GONE

    transport.during_ping = drop_and_fail
    lookout._look_once()
    assert lookout._is_done()


def test_a_close_ends_the_reader(lookout: Any, transport: Transport) -> None:
    stream = watched(lookout)
    (reader,) = lookout._readers
    lookout.close()
    assert (reader.stopped, stream.loss) == (True, None)
    lookout.close()


class AsyncTransport(Transport):
    """The same of the async client."""

    async def unary(self, *_: object) -> None:  # type: ignore[override]  # it replaces a coroutine
        self.pings += 1


async def test_the_async_client_lets_go_of_a_daemon_whose_successor_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agents_sandbox._async._lookout.Reader", NeverLooks)
    transport, stream = AsyncTransport(), Stream()
    lookout = AsyncLookout(cast("Any", transport))
    lookout.watch(cast("Any", stream), "first")
    transport.socket_file = "second"
    await lookout._look_once()
    assert (transport.pings, "another daemon has taken its place" in str(stream.loss)) == (1, True)


async def test_the_async_client_does_not_ping_without_a_stream(transport: Transport) -> None:
    await AsyncLookout(cast("Any", transport))._look_once()
    assert transport.pings == 0


async def test_a_close_of_the_async_client_waits_for_its_reader() -> None:
    lookout = AsyncLookout(cast("Any", Transport()))
    reader = Reader(asyncio.Event().wait, lambda: None)  # type: ignore[arg-type]  # never ends
    lookout._readers = [reader]
    await lookout.aclose()
    assert not reader.alive()


def test_a_removed_socket_file_alone_ends_no_stream(lookout: Any, transport: Transport) -> None:
    stream = watched(lookout)
    transport.socket_file = None
    lookout._look_once()
    assert stream.loss is None


def test_a_daemon_that_is_only_slow_keeps_its_streams(lookout: Any, transport: Transport) -> None:
    stream = watched(lookout)
    transport.during_ping = lambda: fail(DaemonError("busy"))
    lookout._look_once()
    assert stream.loss is None


def test_nobody_looks_for_the_daemon_without_a_stream(lookout: Any, transport: Transport) -> None:
    stream = watched(lookout)
    stream.on_end(stream)
    stream.on_end(stream)  # it may be told more than once
    lookout._look_once()
    assert transport.pings == 0
    assert lookout._is_done()


def test_nobody_looks_for_the_daemon_of_a_closed_client(lookout: Any, transport: Transport) -> None:
    stream = watched(lookout)
    transport.closed = True
    lookout._look_once()
    assert (transport.pings, stream.loss) == (0, None)
    assert lookout._is_done()


def test_streams_of_a_parent_process_or_a_closed_loop_do_not_count(
    lookout: Any, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = watched(lookout)
    monkeypatch.setattr(NeverLooks, "alive", lambda _: False)
    ours = watched(lookout)
    transport.during_ping = lambda: fail(GONE)
    lookout._look_once()
    assert (foreign.loss, ours.loss) == (None, GONE)


@pytest.mark.parametrize("module", [_async_lookout, _lookout])
def test_a_stream_that_is_gone_needs_no_end(module: Any) -> None:
    kept = Stream()
    for stream in (ref(kept), ref(Stream())):
        module._abandon(stream, GONE)
    assert kept.loss is GONE
