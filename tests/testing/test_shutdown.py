"""A daemon that shuts down: what it completes, what it refuses, and when it ends."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._server import socket_file

from .raw import TIMEOUT, Raw, connected

OK, UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE
MANY = 100
"""Concurrent calls: more than a daemon answers before its shutdown begins."""

# HTTP/2 frames: RFC 9113, section 6.5.
SETTINGS = bytes.fromhex("000000 04 00 00000000")
SETTINGS_ACK = bytes.fromhex("000000 04 01 00000000")

Delay = Callable[[FakeDaemon], AbstractContextManager[Any]]
DELAYS: list[Delay] = [
    lambda daemon: daemon.faults.delaying(60, method="ListSandboxes"),
    lambda daemon: daemon.faults.half_open(),
]


@pytest.mark.parametrize("end", [FakeDaemon.kill, FakeDaemon.terminate, FakeDaemon.stop])
def test_concurrent_calls_are_answered_or_unavailable(
    raw: Raw, daemon: FakeDaemon, end: Callable[[FakeDaemon], None]
) -> None:
    raw(methods.PING)
    before = [raw.begin(methods.PING) for _ in range(MANY)]
    end(daemon)
    after = [raw.begin(methods.PING) for _ in range(MANY)]
    assert {call.code() for call in before} <= {OK, UNAVAILABLE}
    assert {call.code() for call in after} == {UNAVAILABLE}


def test_terminate_waits_for_open_streams(raw: Raw, daemon: FakeDaemon) -> None:
    raw.ready()
    with raw.stream() as stream, connected(daemon) as other:
        next(stream)
        before = [raw.begin(methods.PING) for _ in range(MANY)]
        daemon.terminate()
        after = [raw.begin(methods.PING) for _ in range(MANY)]
        assert {call.code() for call in before} <= {OK, UNAVAILABLE}
        assert {call.code() for call in after} == {UNAVAILABLE}
        daemon.terminate()
        with pytest.raises(TimeoutError, match=r"within 0\.01 s: 1 calls are in progress, 1 of"):
            daemon.wait_until_ended(timeout=0.01)
        with pytest.raises(RuntimeError, match="the fake daemon is already running"):
            daemon.start()
        assert other.refused(methods.PING).code == "UNAVAILABLE"
        assert next(stream).sequence == 2
        daemon.emit("box-1", pb.SandboxEvent())
        assert [next(stream).sequence for _ in range(2)] == [3, 4]
    daemon.wait_until_ended()
    assert not daemon.running
    daemon.start()


def test_terminate_waits_for_open_streams_for_a_minute() -> None:
    with FakeDaemon(virtual_time=True) as daemon, connected(daemon) as raw:
        raw.ready()
        with raw.stream() as stream:
            for _ in range(3):
                next(stream)
            daemon.terminate()
            daemon.advance(59)
            assert daemon.open_streams == 1
            daemon.advance(1)
            daemon.wait_until_ended()
            assert (stream.code(), stream.details()) == (UNAVAILABLE, "Socket closed")


def test_work_in_progress_goes_on_during_a_shutdown_and_is_recorded() -> None:
    with FakeDaemon(virtual_time=True, ready_delay=5, stop_delay=5, version="0.4.3") as daemon:
        with connected(daemon) as raw:
            for sandbox_id in ("box-1", "box-2"):
                raw.create(sandbox_id)
            daemon.advance(5)
            raw.create("box-3")
            raw(methods.STOP_SANDBOX, sandbox_id="box-1")
            daemon.on_exec(("make",)).after(5).exit(2)
            raw.start("make", sandbox_id="box-2")
            with raw.stream() as stream:
                for _ in range(4):
                    next(stream)
                daemon.terminate()
                daemon.advance(5)
                assert next(stream).event_type == pb.SANDBOX_STOPPED
            daemon.wait_until_ended()
        daemon.start()
        with connected(daemon) as raw:
            assert raw.get("box-1").state == pb.SANDBOX_STATE_STOPPED
            assert raw.get("box-3").state == pb.SANDBOX_STATE_READY
            assert raw.exec().exit_code == 2


async def test_terminate_with_an_asynchronous_client(daemon: FakeDaemon) -> None:
    with connected(daemon) as raw:
        raw.ready()
    async with grpc.aio.insecure_channel(f"unix:{daemon.socket_path}") as channel:
        ping: Any = channel.unary_unary(methods.PING.path)
        subscribe: Any = channel.unary_stream(methods.SUBSCRIBE_SANDBOX_EVENTS.path)
        request = pb.SubscribeSandboxEventsRequest(sandbox_id="box-1").SerializeToString()
        stream = subscribe(request, timeout=TIMEOUT)
        events = [await stream.read()]
        before = [ping(b"", timeout=TIMEOUT) for _ in range(MANY)]
        await asyncio.sleep(0)  # a turn of the loop, not time
        daemon.terminate()
        after = [ping(b"", timeout=TIMEOUT) for _ in range(MANY)]
        assert {await call.code() for call in before} <= {OK, UNAVAILABLE}
        assert {await call.code() for call in after} == {UNAVAILABLE}
        events += [await stream.read() for _ in range(2)]
        assert [pb.SandboxEvent.FromString(event).sequence for event in events] == [1, 2, 3]
        stream.cancel()
        daemon.wait_until_ended()


def test_a_daemon_without_streams_ends_immediately(raw: Raw, daemon: FakeDaemon) -> None:
    raw(methods.PING)
    daemon.terminate()
    assert not Path(daemon.socket_path).exists()
    daemon.wait_until_ended()
    assert not daemon.running


def test_clients_reconnect_and_keep_their_streams(daemon: FakeDaemon) -> None:
    idle = threading.Event()

    def observe(state: grpc.ChannelConnectivity) -> None:
        if state is grpc.ChannelConnectivity.IDLE:
            idle.set()

    with grpc.insecure_channel(f"unix:{daemon.socket_path}") as channel:
        raw = Raw(daemon, channel)
        raw.ready()
        with raw.stream() as stream:
            next(stream)
            channel.subscribe(observe)
            daemon.terminate()
            assert idle.wait(TIMEOUT)
            with FakeDaemon(version="0.2.0", socket_path=daemon.socket_path):
                assert raw(methods.PING).version == "0.2.0"
                assert [next(stream).sequence for _ in range(2)] == [2, 3]
            channel.unsubscribe(observe)


def test_terminate_raises_no_signal_for_a_connection_that_is_not_read(daemon: FakeDaemon) -> None:
    signals: list[int] = []
    before = signal.signal(signal.SIGPIPE, lambda number, _: signals.append(number))
    try:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(TIMEOUT)
            peer.connect(daemon.socket_path)
            peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS)
            seen = b""
            while SETTINGS_ACK not in seen:
                seen += peer.recv(1024)
            peer.sendall(SETTINGS_ACK)
            peer.shutdown(socket.SHUT_RD)
            daemon.terminate()
            daemon.wait_until_ended()
    finally:
        signal.signal(signal.SIGPIPE, before)
    assert signals == []


def test_large_answers_in_progress_are_complete(daemon: FakeDaemon) -> None:
    big = pb.PingResponse(version="x" * 3_000_000)
    for count in range(1, 6):
        with connected(daemon) as raw:
            daemon.faults.answer_next("Ping", big)
            call = raw.begin(methods.PING)
            daemon.wait_for_call("Ping", count=count)
            daemon.terminate()
            assert call.result() == big
            daemon.wait_until_ended()
        daemon.start()


@pytest.mark.parametrize("delay", DELAYS, ids=["delaying", "half_open"])
def test_calls_in_progress_are_answered(raw: Raw, daemon: FakeDaemon, delay: Delay) -> None:
    raw(methods.PING)
    with delay(daemon):
        call = raw.begin(methods.LIST_SANDBOXES)
        daemon.wait_for_call("ListSandboxes")
        daemon.terminate()
        assert raw.refused(methods.PING).code == "UNAVAILABLE"
        assert daemon.running
        with pytest.raises(TimeoutError, match=r"[1-9]\d* calls are in progress, 0 of"):
            daemon.wait_until_ended(timeout=0.01)
    assert call.result() == pb.ListSandboxesResponse()
    daemon.wait_until_ended()


@pytest.mark.parametrize("delay", DELAYS, ids=["delaying", "half_open"])
@pytest.mark.parametrize("end", [FakeDaemon.kill, FakeDaemon.stop])
def test_a_terminating_daemon_can_be_ended_immediately(
    raw: Raw, daemon: FakeDaemon, delay: Delay, end: Callable[[FakeDaemon], None]
) -> None:
    raw.ready()
    with raw.stream() as stream, ExitStack() as delays:
        for _ in range(3):
            next(stream)
        delays.enter_context(delay(daemon))
        call = raw.begin(methods.LIST_SANDBOXES)
        daemon.wait_for_call("ListSandboxes")
        daemon.terminate()
        end(daemon)
        assert not daemon.running
        daemon.wait_until_ended()
        assert stream.code() is UNAVAILABLE
        assert call.code() in (OK, UNAVAILABLE)


@pytest.mark.parametrize(
    ("delay", "outcome"),
    [(DELAYS[0], (OK, "")), (DELAYS[1], (UNAVAILABLE, "shutting down"))],
    ids=["delaying", "half_open"],
)
def test_stop_answers_delayed_calls(
    raw: Raw, daemon: FakeDaemon, delay: Delay, outcome: tuple[grpc.StatusCode, str]
) -> None:
    raw(methods.PING)
    with delay(daemon):
        call = raw.begin(methods.LIST_SANDBOXES)
        daemon.wait_for_call("ListSandboxes")
        daemon.stop()
        assert (call.code(), call.details()) == outcome


@pytest.mark.parametrize("end", [FakeDaemon.terminate, FakeDaemon.stop])
def test_ends_without_a_list_of_its_connections(
    raw: Raw,
    daemon: FakeDaemon,
    end: Callable[[FakeDaemon], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def out_of_descriptors() -> Iterator[socket.socket]:
        raise OSError(errno.EMFILE, "Too many open files")

    raw(methods.PING)
    monkeypatch.setattr(socket_file, "_sockets", out_of_descriptors)
    end(daemon)
    daemon.wait_until_ended()
    assert not daemon.running
    assert not Path(daemon.socket_path).exists()
    assert raw.refused(methods.PING).code == "UNAVAILABLE"


def test_a_shutdown_that_cannot_begin_changes_nothing(
    raw: Raw, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_descriptors(_: Path) -> AbstractContextManager[None]:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(socket_file, "locked", out_of_descriptors)
        with pytest.raises(OSError, match="Too many open files"):
            daemon.terminate()
    assert raw(methods.PING).daemon == "agboxd"
    daemon.terminate()
    daemon.wait_until_ended()
    assert not Path(daemon.socket_path).exists()


def test_waiting_for_the_end_needs_a_shutdown(daemon: FakeDaemon) -> None:
    with pytest.raises(RuntimeError, match=r"call terminate\(\) first"):
        daemon.wait_until_ended()
