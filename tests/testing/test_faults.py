"""Planned faults, recorded calls, and pauses."""

from __future__ import annotations

import threading
from typing import Any

import grpc
import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import FakeDaemon, RecordedCall

from .raw import IMAGE, TIMEOUT, Raw, Refusal, refusal

pytestmark = pytest.mark.once


def test_planned_number_of_calls_fails_without_another_effect(raw: Raw) -> None:
    raw.daemon.faults.fail_next("CreateSandbox", code="UNAVAILABLE", message="gone", times=2)
    for _ in range(2):
        refused = raw.refused(
            methods.CREATE_SANDBOX, sandbox_id="box-1", create_spec=pb.CreateSpec(image=IMAGE)
        )
        assert refused == Refusal("UNAVAILABLE", "gone")
    assert raw.create().sandbox_id == "box-1"


def test_failure_with_error_info(raw: Raw) -> None:
    raw.daemon.faults.fail_next(
        "Ping", code="ABORTED", reason="WHY", domain="d", metadata={"k": "v"}
    )
    raw.daemon.faults.fail_next("Ping", code="ABORTED", message="m", reason="WHY")

    assert raw.refused(methods.PING) == Refusal("ABORTED", "", "WHY", "d", {"k": "v"})
    assert raw.refused(methods.PING) == Refusal("ABORTED", "m", "WHY", "agents-sandbox", {})


def test_failure_with_raw_details(raw: Raw) -> None:
    raw.daemon.faults.fail_next("Ping", code="INTERNAL", reason="ignored", details=b"\xff\xff")
    with pytest.raises(grpc.RpcError) as caught:
        raw(methods.PING)
    assert isinstance(caught.value, grpc.Call)
    (trailer,) = caught.value.trailing_metadata()
    assert (trailer.key, trailer.value) == ("grpc-status-details-bin", b"\xff\xff")


def test_failure_of_a_stream(raw: Raw) -> None:
    raw.ready()
    raw.daemon.faults.fail_next("SubscribeSandboxEvents", code="UNAVAILABLE")
    with raw.stream() as stream, pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert refusal(caught.value).code == "UNAVAILABLE"


@pytest.mark.parametrize("code", ["OK", "NONSENSE", "not_found"])
def test_failure_needs_a_status(daemon: FakeDaemon, code: str) -> None:
    with pytest.raises(ValueError, match=f"'{code}' is not the name of a gRPC error"):
        daemon.faults.fail_next("Ping", code=code)


def test_failure_needs_a_method_and_a_count(daemon: FakeDaemon) -> None:
    with pytest.raises(ValueError, match="'Pong' is not one of the RPCs: Ping, CreateSandbox,"):
        daemon.faults.fail_next("Pong", code="INTERNAL")
    with pytest.raises(ValueError, match="times must be at least 1: 0"):
        daemon.faults.fail_next("Ping", code="INTERNAL", times=0)


def test_next_answer_is_replaced_once(raw: Raw) -> None:
    raw.daemon.faults.answer_next("Ping", pb.PingResponse(version="9"))
    raw.daemon.faults.answer_next("Ping", pb.PingResponse(version="10").SerializeToString())

    assert [raw(methods.PING).version for _ in range(3)] == ["9", "10", "0.2.1"]


def test_next_answer_can_be_garbage(raw: Raw) -> None:
    raw.daemon.faults.answer_next("Ping", b"\xff")
    assert raw.refused(methods.PING).code == "INTERNAL"


def test_streams_have_no_next_answer(daemon: FakeDaemon) -> None:
    with pytest.raises(ValueError, match="Events is a stream: send events with emit"):
        daemon.faults.answer_next("SubscribeSandboxEvents", b"")
    with pytest.raises(ValueError, match="'Pong' is not one of the RPCs"):
        daemon.faults.answer_next("Pong", b"")


def test_calls_are_recorded_in_order_with_metadata_and_deadline(daemon: FakeDaemon) -> None:
    with grpc.insecure_channel(f"unix:{daemon.socket_path}") as channel:
        ping = channel.unary_unary(
            methods.PING.path,
            request_serializer=pb.PingRequest.SerializeToString,
            response_deserializer=pb.PingResponse.FromString,
        )
        ping(pb.PingRequest(), timeout=TIMEOUT, metadata=(("x-one", "1"), ("x-two-bin", b"\xff")))
        ping(pb.PingRequest(), wait_for_ready=True)
        get: Any = channel.unary_unary(methods.GET_SANDBOX.path)
        with pytest.raises(grpc.RpcError):
            get(pb.GetSandboxRequest(sandbox_id="ghost").SerializeToString())

    first, second, third = daemon.calls
    assert isinstance(first, RecordedCall)
    assert [call.method for call in daemon.calls] == ["Ping", "Ping", "GetSandbox"]
    assert {("x-one", "1"), ("x-two-bin", b"\xff")} <= set(first.metadata)
    assert first.time_remaining is not None
    assert 0 < first.time_remaining < 2 * TIMEOUT  # gRPC rounds deadlines up
    assert second.time_remaining is None
    assert third.request == pb.GetSandboxRequest(sandbox_id="ghost")


def test_waiting_for_calls(raw: Raw) -> None:
    caller = threading.Thread(target=lambda: [raw(methods.PING) for _ in range(3)])
    caller.start()
    raw.daemon.wait_for_call("Ping", count=3)
    caller.join()
    assert len(raw.daemon.calls) == 3
    raw.daemon.wait_for_call("Ping")
    with pytest.raises(TimeoutError, match=r"after 0\.01 s: Ping was called 3 of 4 times"):
        raw.daemon.wait_for_call("Ping", count=4, timeout=0.01)
    with pytest.raises(ValueError, match="'Pong' is not one of the RPCs"):
        raw.daemon.wait_for_call("Pong")


def test_waiting_for_streams(raw: Raw) -> None:
    raw.daemon.wait_for_streams(0)
    with pytest.raises(TimeoutError, match=r"after 0\.01 s: 0 event streams are open, not 1"):
        raw.daemon.wait_for_streams(1, timeout=0.01)


def test_pause_stops_background_work(raw: Raw) -> None:
    with raw.daemon.paused() as outer:
        with raw.daemon.paused():
            raw.create()
        assert raw.history() == ["SANDBOX_ACCEPTED:PENDING"]
        outer.step()
        assert raw.history()[1:] == ["SANDBOX_PREPARING:PENDING"]
        outer.step()
        assert raw.get().state == pb.SANDBOX_STATE_READY
        raw.daemon.on_exec(["sleep"]).exit(1)
        raw.start("sleep")
        outer.step(2)
        assert raw.exec().state == pb.EXEC_STATE_FAILED
        with pytest.raises(TimeoutError, match=r"nothing more happened within 0\.01 s"):
            outer.step(timeout=0.01)


def test_step_does_not_count_killed_work(raw: Raw) -> None:
    raw.ready()
    raw.ready("box-2")
    with raw.daemon.paused() as pause:
        raw.start()
        pause.step()
        raw.daemon.kill_container("box-1")
        raw(methods.DELETE_SANDBOX, sandbox_id="box-2")
        pause.step(2)
        assert raw.get("box-2").state == pb.SANDBOX_STATE_DELETED


@pytest.mark.parametrize("count", [0, -1])
def test_step_needs_a_count(daemon: FakeDaemon, count: int) -> None:
    with daemon.paused() as pause:
        with pytest.raises(ValueError, match=f"count must be at least 1: {count}"):
            pause.step(count)
        with pytest.raises(TypeError, match=r"count must be an integer, not 1\.5"):
            pause.step(1.5)  # type: ignore[arg-type]  # wrong on purpose


def test_step_needs_a_running_daemon() -> None:
    daemon = FakeDaemon()
    with daemon.paused() as pause, pytest.raises(RuntimeError, match="not running"):
        pause.step()
    daemon.stop()
