"""A daemon that accepts connections and never answers."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon

from .raw import TIMEOUT, Raw, connected

pytestmark = pytest.mark.once


def test_half_open_stalls_calls_and_events(raw: Raw, elsewhere: ThreadPoolExecutor) -> None:
    raw.ready()
    with raw.stream(from_sequence=2) as stream:
        assert next(stream).sequence == 3
        with raw.daemon.faults.half_open() as fault:
            create = elsewhere.submit(raw.create, "box-2")
            raw.daemon.wait_for_call("CreateSandbox", count=2)
            raw.daemon.emit("box-1", pb.SandboxEvent(event_type=pb.SANDBOX_SERVICE_FAILED))
            event = elsewhere.submit(next, stream)
            assert (
                raw.refused_in(0.2, methods.GET_SANDBOX, sandbox_id="box-2") == "DEADLINE_EXCEEDED"
            )
            assert not create.done()
            assert not event.done()
            assert fault.hits == 3
        assert create.result(TIMEOUT).sandbox_id == "box-2"
        assert event.result(TIMEOUT).sequence == 4


def test_half_open_accepts_new_connections_and_never_answers(raw: Raw) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(TIMEOUT)
        with raw.daemon.faults.half_open():
            peer.connect(raw.daemon.socket_path)
        # gRPC's server greets every new connection; this socket does not.
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(TIMEOUT)
        peer.connect(raw.daemon.socket_path)
        assert peer.recv(1)


def test_client_that_connects_to_a_half_open_daemon_is_served_later(
    daemon: FakeDaemon,
) -> None:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 100)]
    with grpc.insecure_channel(f"unix:{daemon.socket_path}", options) as channel:
        ping: Any = channel.unary_unary(methods.PING.path)
        with daemon.faults.half_open():
            call = ping.future(b"", timeout=TIMEOUT, wait_for_ready=True)
            with pytest.raises(grpc.FutureTimeoutError):
                call.result(timeout=0.1)
            assert daemon.calls == ()
        assert pb.PingResponse.FromString(call.result(TIMEOUT)).version == "0.2.1"


def test_half_open_blocks_can_be_nested(raw: Raw) -> None:
    path = raw.daemon.socket_path
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(TIMEOUT)
        with raw.daemon.faults.half_open():
            with raw.daemon.faults.half_open():
                pass
            peer.connect(path)
            assert raw.refused_in(0.1, methods.PING) == "DEADLINE_EXCEEDED"
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
    with connected(raw.daemon) as other:
        other(methods.PING)


def test_socket_of_a_half_open_daemon_cannot_be_taken(raw: Raw) -> None:
    second = FakeDaemon(socket_path=raw.daemon.socket_path)
    with (
        raw.daemon.faults.half_open(),
        pytest.raises(OSError, match="a daemon is already listening"),
    ):
        second.start()
    raw(methods.PING)


def test_half_open_needs_a_running_daemon() -> None:
    daemon = FakeDaemon()
    with pytest.raises(RuntimeError, match="the fake daemon is not listening on"):
        daemon.faults.half_open().__enter__()
    with daemon:
        pass
