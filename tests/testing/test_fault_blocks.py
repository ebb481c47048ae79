"""Faults that last as long as a block."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire.status import decode_error_info
from agents_sandbox._wire.status_pb2 import ErrorInfo, Status
from agents_sandbox.testing import FakeDaemon, Fault, Faults
from agents_sandbox.testing._expectations import Blocks
from agents_sandbox.testing._faults import kinds
from agents_sandbox.testing._faults.kinds import HalfOpen
from agents_sandbox.testing._faults.stack import FaultStack
from agents_sandbox.testing._server.handlers import Handlers
from agents_sandbox.testing._server.recorder import Recorder

from .raw import IMAGE, TIMEOUT, Raw, Refusal, connected, not_found
from .trouble import DROPPED, Clock, sequences, until_failure

pytestmark = pytest.mark.once

SUBSCRIBE = "SubscribeSandboxEvents"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def faults(daemon: FakeDaemon, clock: Clock) -> Faults:
    """The daemon's faults, with a clock that the test controls."""
    return Faults(daemon._engine, Blocks(), sleep=clock.sleep)


def test_failing_lasts_as_long_as_its_block(raw: Raw) -> None:
    with raw.daemon.faults.failing(message="gone") as fault:
        assert isinstance(fault, Fault)
        assert fault.hits == 0
        for _ in range(2):
            assert raw.refused(methods.PING) == Refusal("UNAVAILABLE", "gone")
        with raw.stream() as stream:
            assert until_failure(stream) == ([], Refusal("UNAVAILABLE", "gone"))
        assert fault.hits == 3
    raw(methods.PING)
    assert fault.hits == 3
    assert [call.method for call in raw.daemon.calls] == ["Ping", "Ping", SUBSCRIBE, "Ping"]


def test_failing_calls_have_no_other_effect(raw: Raw) -> None:
    with raw.daemon.faults.failing():
        spec = pb.CreateSpec(image=IMAGE)
        refused = raw.refused(methods.CREATE_SANDBOX, sandbox_id="box-1", create_spec=spec)
    assert refused == Refusal("UNAVAILABLE", "injected failure")
    assert raw.create().sandbox_id == "box-1"


def test_failing_of_one_method_a_number_of_times(raw: Raw) -> None:
    with raw.daemon.faults.failing(
        "ABORTED", "m", method="Ping", times=2, reason="WHY", domain="d", metadata={"k": "v"}
    ) as fault:
        assert raw.refused(methods.GET_SANDBOX, sandbox_id="ghost") == not_found("ghost")
        for _ in range(2):
            assert raw.refused(methods.PING) == Refusal("ABORTED", "m", "WHY", "d", {"k": "v"})
        raw(methods.PING)
        assert fault.hits == 2


def test_fault_ends_with_a_block_that_raises(raw: Raw) -> None:
    with pytest.raises(ZeroDivisionError), raw.daemon.faults.failing():
        raise ZeroDivisionError
    raw(methods.PING)


def test_inner_block_acts_first_and_plans_act_last(raw: Raw) -> None:
    faults = raw.daemon.faults
    faults.fail_next("Ping", code="ABORTED")
    with faults.failing("INTERNAL", times=2) as outer:
        with faults.failing("UNKNOWN", times=1):
            assert raw.refused(methods.PING).code == "UNKNOWN"
            assert raw.refused(methods.PING).code == "INTERNAL"
        assert raw.refused(methods.PING).code == "INTERNAL"
        assert raw.refused(methods.PING).code == "ABORTED"
    assert outer.hits == 2
    raw(methods.PING)


def test_block_can_be_entered_before_the_daemon_starts() -> None:
    daemon = FakeDaemon()
    with daemon.faults.failing(method="Ping") as fault, daemon, connected(daemon) as raw:
        assert raw.refused(methods.PING).code == "UNAVAILABLE"
        assert fault.hits == 1


def test_call_with_a_lost_answer_is_executed(raw: Raw) -> None:
    with raw.daemon.faults.losing_answers(times=1) as fault:
        spec = pb.CreateSpec(image=IMAGE)
        refused = raw.refused(methods.CREATE_SANDBOX, sandbox_id="box-1", create_spec=spec)
        assert refused == DROPPED
        assert raw.get().sandbox_id == "box-1"
        assert fault.hits == 1


def test_failures_and_streams_have_no_answer_to_lose(raw: Raw) -> None:
    raw.ready()
    with raw.daemon.faults.losing_answers() as fault:
        assert raw.refused(methods.GET_SANDBOX, sandbox_id="ghost") == not_found("ghost")
        with raw.stream() as stream:
            raw.daemon.wait_for_streams(1)
            raw.daemon.faults.end_streams()
            assert len(list(stream)) <= 3
        assert fault.hits == 0


def test_call_with_a_delayed_answer_is_executed_immediately(
    raw: Raw, faults: Faults, clock: Clock, elsewhere: ThreadPoolExecutor
) -> None:
    with faults.delaying(3.5, method="CreateSandbox") as fault:
        create = elsewhere.submit(raw.create)
        seconds, wake = clock.sleeper()
        assert (seconds, fault.hits) == (3.5, 1)
        assert raw.get().sandbox_id == "box-1"
        assert not create.done()
        wake()
        assert create.result(TIMEOUT).sandbox_id == "box-1"


def test_delayed_refusal(
    raw: Raw, faults: Faults, clock: Clock, elsewhere: ThreadPoolExecutor
) -> None:
    with faults.delaying(1):
        get = elsewhere.submit(raw.refused, methods.GET_SANDBOX, sandbox_id="ghost")
        _, wake = clock.sleeper()
        assert not get.done()
        wake()
        assert get.result(TIMEOUT) == not_found("ghost")


def test_delayed_stream_is_complete(
    raw: Raw, faults: Faults, clock: Clock, elsewhere: ThreadPoolExecutor
) -> None:
    raw.ready()
    with faults.delaying(1, times=1):
        events = elsewhere.submit(sequences, raw, 3)
        _, wake = clock.sleeper()
        assert raw.daemon.open_streams == 0
        wake()
        assert events.result(TIMEOUT) == [1, 2, 3]
        raw(methods.PING)


def test_end_of_the_block_ends_its_delays(
    raw: Raw, faults: Faults, clock: Clock, elsewhere: ThreadPoolExecutor
) -> None:
    with faults.delaying(3600):
        ping = elsewhere.submit(raw, methods.PING)
        clock.sleeper()
        assert not ping.done()
    assert ping.result(TIMEOUT).version == "0.2.1"
    assert clock.cancelled.is_set()


def test_delayed_call_can_be_cancelled(
    raw: Raw, faults: Faults, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    with faults.delaying(3600), grpc.insecure_channel(f"unix:{raw.daemon.socket_path}") as channel:
        ping: Any = channel.unary_unary(methods.PING.path)
        call = ping.future(b"")
        clock.sleeper()
        call.cancel()
        assert clock.cancelled.wait(TIMEOUT)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("fault", ["delaying", "half_open"])
def test_stop_does_not_wait_for_faults(fault: str, capfd: pytest.CaptureFixture[str]) -> None:
    blocks: dict[str, Callable[[Faults], AbstractContextManager[Fault]]] = {
        "delaying": lambda faults: faults.delaying(3600),
        "half_open": lambda faults: faults.half_open(),
    }
    with FakeDaemon() as daemon, connected(daemon) as raw, ThreadPoolExecutor() as elsewhere:
        raw.ready()
        with raw.stream(from_sequence=3) as stream:
            daemon.wait_for_streams(1)
            with blocks[fault](daemon.faults):
                ping = elsewhere.submit(raw, methods.PING)
                daemon.wait_for_call("Ping")
                daemon.stop()
                ping.exception(TIMEOUT)
                assert until_failure(stream)[1] == Refusal("UNAVAILABLE", "shutting down")
    assert "Traceback" not in capfd.readouterr().err


async def test_call_during_the_shutdown_is_not_held(daemon: FakeDaemon) -> None:
    faults = FaultStack()
    faults.add(HalfOpen())
    handlers = Handlers(daemon._engine._service, Recorder(), faults)
    handlers.close()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers.generic(),))
    address = f"unix:{daemon.socket_path}2"
    server.add_insecure_port(address)
    await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        ping: Any = channel.unary_unary(methods.PING.path)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ping(b"", timeout=TIMEOUT)
    await server.stop(None)
    assert caught.value.details() == "shutting down"


def details_of(raw: Raw) -> bytes:
    """Make a call that fails with error details, and return them."""
    with pytest.raises(grpc.RpcError) as caught:
        raw(methods.GET_SANDBOX, sandbox_id="ghost")
    error: Any = caught.value
    assert (error.code().name, error.details()) == ("NOT_FOUND", "sandbox ghost was not found")
    (trailer,) = error.trailing_metadata()
    assert trailer.key == "grpc-status-details-bin"
    assert isinstance(trailer.value, bytes)
    return trailer.value


def test_each_kind_of_malformed_details(raw: Raw) -> None:
    found: dict[str, bytes] = {}
    kinds: Any = ("truncated", "wrong_type", "not_utf8", "noise")
    for kind in kinds:
        with raw.daemon.faults.malformed_details(kind) as fault:
            found[kind] = details_of(raw)
            assert fault.hits == 1
        assert decode_error_info(found[kind]) is None
    for broken in ("truncated", "noise"):
        with pytest.raises(DecodeError):
            Status.FromString(found[broken])
    Status.FromString(found["truncated"] + b"\0")
    (detail,) = Status.FromString(found["wrong_type"]).details
    assert detail.type_url == "type.googleapis.com/agbox.v1.Nonsense"
    (detail,) = Status.FromString(found["not_utf8"]).details
    assert detail.type_url == "type.googleapis.com/google.rpc.ErrorInfo"
    with pytest.raises((DecodeError, UnicodeDecodeError)):
        _ = ErrorInfo.FromString(detail.value).reason


def test_malformed_details_apply_to_failures_of_other_faults_only(raw: Raw) -> None:
    faults = raw.daemon.faults
    with faults.malformed_details("noise", method="Ping", times=1) as fault:
        raw(methods.PING)
        assert raw.refused(methods.GET_SANDBOX, sandbox_id="ghost") == not_found("ghost")
        assert fault.hits == 0
        faults.fail_next("Ping", code="ABORTED", times=2)
        with pytest.raises(DecodeError):
            raw.refused(methods.PING)
        assert raw.refused(methods.PING) == Refusal("ABORTED", "")


def test_malformed_details_apply_to_streams(raw: Raw) -> None:
    raw.ready()
    with (
        raw.daemon.faults.malformed_details(),
        raw.stream(from_sequence=99) as stream,
        pytest.raises(DecodeError),
    ):
        until_failure(stream)


def test_burnt_ids_stay_taken_and_name_nothing(raw: Raw) -> None:
    raw.create("box-2")
    spec = pb.CreateSpec(image=IMAGE)
    with raw.daemon.faults.burning_ids(times=1) as fault:
        taken = raw.refused(methods.CREATE_SANDBOX, sandbox_id="box-2", create_spec=spec)
        raw(methods.CREATE_SANDBOX, create_spec=spec)  # the daemon makes the id
        assert (taken.code, fault.hits) == ("ALREADY_EXISTS", 0)
        refused = raw.refused(methods.CREATE_SANDBOX, sandbox_id="box-1", create_spec=spec)
        raw.create("box-3")
    assert (refused, fault.hits) == (DROPPED, 1)
    assert raw.refused(methods.GET_SANDBOX, sandbox_id="box-1") == not_found("box-1")
    with raw.daemon.down():
        pass
    with connected(raw.daemon) as later:
        again = later.refused(methods.CREATE_SANDBOX, sandbox_id="box-1", create_spec=spec)
        assert again.code == "ALREADY_EXISTS"
        assert later.refused(methods.GET_SANDBOX, sandbox_id="box-1") == not_found("box-1")


def test_burnt_ids_of_execs_stay_taken_and_name_nothing(raw: Raw) -> None:
    raw.ready()
    fields: dict[str, Any] = {"sandbox_id": "box-1", "command": ["true"], "exec_id": "exec-1"}
    with raw.daemon.faults.burning_ids("CreateExec") as fault:
        assert raw.refused(methods.CREATE_EXEC, **fields) == DROPPED
        assert raw.refused(methods.CREATE_EXEC, **fields).reason == "EXEC_ID_ALREADY_EXISTS"
    assert fault.hits == 1
    assert raw.refused(methods.GET_EXEC, exec_id="exec-1").reason == "EXEC_NOT_FOUND"
    assert raw.history()[3:] == []


def test_what_the_daemon_refuses_burns_no_id(raw: Raw) -> None:
    raw.ready()
    spec = pb.CreateSpec(image=IMAGE)
    with (
        raw.daemon.faults.burning_ids() as sandboxes,
        raw.daemon.faults.burning_ids("CreateExec") as execs,
    ):
        assert raw.why_refused(image="") == "create_spec.image is required"
        raw.refused(methods.CREATE_EXEC, sandbox_id="box-9", command=["true"], exec_id="exec-1")
        raw.refused(methods.CREATE_EXEC, sandbox_id="box-1", command=[], exec_id="exec-1")
        raw(methods.STOP_SANDBOX, sandbox_id="box-1")
        raw.wait_for(pb.SANDBOX_STOPPED)
        refused = raw.refused(
            methods.CREATE_EXEC, sandbox_id="box-1", command=["true"], exec_id="exec-1"
        )
        assert refused.reason == "SANDBOX_NOT_READY"
        assert (sandboxes.hits, execs.hits) == (0, 0)
    raw.ready("box-2")
    raw(methods.CREATE_SANDBOX, sandbox_id="box-3", create_spec=spec)
    raw.start(sandbox_id="box-2")


@pytest.mark.parametrize("code", ["OK", "CANCELLED"])
def test_calls_end_before_their_deadline(raw: Raw, code: Any, early_deadlines: None) -> None:
    raw.ready()
    with (
        raw.daemon.faults.delaying(60, method="Ping"),
        raw.daemon.faults.ending_at_deadlines(code) as fault,
    ):
        with raw.stream() as stream, suppress(grpc.RpcError):
            list(stream)
        assert stream.code().name == code
        assert fault.hits == 1
        # A unary call cannot end with OK and without an answer.
        ended = raw.refused_in(0.1, methods.PING)
        expected = {"OK": ("DEADLINE_EXCEEDED", 1), "CANCELLED": ("CANCELLED", 2)}
        assert (ended, fault.hits) == expected[code]


def test_calls_that_end_before_their_deadline_do_not_count(
    raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        raw.daemon.faults.delaying(60, method="ListSandboxes"),
        raw.daemon.faults.ending_at_deadlines(times=1) as fault,
    ):
        raw(methods.PING)
        assert raw.refused(methods.GET_SANDBOX, sandbox_id="ghost") == not_found("ghost")
        assert fault.hits == 0
        monkeypatch.setattr(kinds, "_BEFORE_DEADLINE", 2 * TIMEOUT)  # gRPC rounds up
        first, second = (raw.begin(methods.LIST_SANDBOXES) for _ in range(2))
        raw.daemon.wait_for_call("ListSandboxes", count=2)
        raw(methods.PING)  # both calls are past what the daemon takes for their deadline
        assert fault.hits == 1
    # One was ended; the end of the delay answers the other.
    assert {first.code().name, second.code().name} == {"CANCELLED", "OK"}


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (lambda faults: faults.failing("OK"), "'OK' is not the name of a gRPC error"),
        (lambda faults: faults.burning_ids("Ping"), "CreateSandbox or CreateExec, not 'Ping'"),
        (lambda faults: faults.ending_at_deadlines("NO"), "OK or CANCELLED, not 'NO'"),
        (lambda faults: faults.failing(method="Pong"), "'Pong' is not one of the RPCs"),
        (lambda faults: faults.failing(times=0), "times must be at least 1: 0"),
        (lambda faults: faults.losing_answers(method="Pong"), "'Pong' is not one of the RPCs"),
        (lambda faults: faults.delaying(-1), "seconds must be finite and not negative: -1"),
        (lambda faults: faults.delaying(float("nan")), "seconds must be a number: nan"),
        (lambda faults: faults.malformed_details("odd"), "kind must be one of .*, not 'odd'"),
        (lambda faults: faults.delaying(float("inf")), "seconds must be finite .*: inf"),
        (lambda faults: faults.dropping_streams(after=-1), "after must be at least 0: -1"),
        (lambda faults: faults.duplicating_events(every=0), "every must be at least 1: 0"),
        (lambda faults: faults.skipping_events(every=0), "every must be at least 1: 0"),
    ],
)
def test_bad_arguments(daemon: FakeDaemon, block: Callable[[Faults], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        block(daemon.faults)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (lambda faults: faults.fail_next("Ping", code="INTERNAL", times=1.5), r"times .* not 1\.5"),
        (lambda faults: faults.failing(times=True), "times must be an integer, not True"),
        (lambda faults: faults.delaying("1"), "seconds must be a number, not '1'"),
        (lambda faults: faults.dropping_streams(after="1"), "after must be an integer, not '1'"),
        (lambda faults: faults.skipping_events(every=None), "every must be an integer, not None"),
    ],
)
def test_arguments_of_another_type(
    daemon: FakeDaemon, block: Callable[[Faults], object], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        block(daemon.faults)
