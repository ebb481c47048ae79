"""Random faults."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import grpc
import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import Chaos, FakeDaemon, Faults
from agents_sandbox.testing._expectations import Blocks

from .raw import IMAGE, TIMEOUT, Raw, refusal
from .trouble import DROPPED, Clock, sequences, until_failure

NOTHING = dict.fromkeys(
    (
        *("restart", "unavailable", "burn", "deadline", "delay", "lose_answer"),
        *("skip", "duplicate", "drop"),
    ),
    0,
)


def outcomes(raw: Raw, calls: int) -> str:
    """Ping repeatedly; return which calls were served (.) and which failed (x)."""
    return "".join(outcome(raw) for _ in range(calls))


def outcome(raw: Raw) -> str:
    try:
        raw(methods.PING)
    except grpc.RpcError as error:
        return "x" if refusal(error) == DROPPED else str(error)
    return "."


def test_same_seed_gives_the_same_faults(raw: Raw) -> None:
    def play(seed: int | str) -> str:
        with raw.daemon.faults.chaos(seed, unavailable=0.5) as chaos:
            seen = outcomes(raw, 40)
        assert chaos.counts == {**NOTHING, "unavailable": seen.count("x")}
        assert chaos.hits == seen.count("x")
        return seen

    assert play(7) == play(7)
    assert play("seven") == play("seven")
    assert len({play(7), play(8), play("seven")}) == 3
    assert set(play(7)) == {".", "x"}


def test_seeds_give_the_same_faults_in_every_python(raw: Raw) -> None:
    with raw.daemon.faults.chaos(1, unavailable=0.5):
        assert outcomes(raw, 20) == "..xxxxxx.x.x.xxx.x.."


def test_other_calls_do_not_change_the_faults(raw: Raw) -> None:
    raw.ready()
    with raw.daemon.faults.chaos(7, unavailable=0.5):
        alone = outcomes(raw, 20)
    with raw.daemon.faults.chaos(7, unavailable=0.5):
        among = ""
        for _ in range(20):
            among += outcome(raw)
            with raw.stream():
                pass
            with ThreadPoolExecutor() as elsewhere:
                elsewhere.submit(raw, methods.GET_SANDBOX, sandbox_id="box-1").exception()
    assert among == alone


def test_no_fault_is_injected_without_a_probability(raw: Raw) -> None:
    raw.ready()
    with raw.daemon.faults.chaos(7) as chaos:
        assert isinstance(chaos, Chaos)
        assert outcomes(raw, 20) == "." * 20
        assert sequences(raw, 3) == [1, 2, 3]
    assert chaos.counts == NOTHING
    assert chaos.hits == 0


def test_chaos_of_one_method(raw: Raw) -> None:
    raw.ready()
    with raw.daemon.faults.chaos(7, method="Ping", unavailable=1, drop=1) as chaos:
        assert outcomes(raw, 2) == "xx"
        assert raw.get().sandbox_id == "box-1"
        assert sequences(raw, 3) == [1, 2, 3]
    assert chaos.hits == 2


def test_lost_answers(raw: Raw) -> None:
    with raw.daemon.faults.chaos(7, method="CreateSandbox", lose_answer=1) as chaos:
        with pytest.raises(grpc.RpcError) as caught:
            raw.create()
        assert refusal(caught.value) == DROPPED
    assert chaos.counts == {**NOTHING, "lose_answer": 1}
    assert raw.get().sandbox_id == "box-1"


def test_streams_have_no_answer_to_lose(raw: Raw) -> None:
    raw.ready()
    with raw.daemon.faults.chaos(7, lose_answer=1) as chaos, raw.stream() as stream:
        raw.daemon.wait_for_streams(1)
        raw.daemon.faults.end_streams()
        assert len(list(stream)) <= 3
    assert chaos.hits == 0


def test_delays(daemon: FakeDaemon, raw: Raw) -> None:
    def play() -> list[float]:
        clock = Clock()
        seen = []
        with (
            Faults(daemon._engine, Blocks(), sleep=clock.sleep).chaos(7, delay=(1, 3.0)) as chaos,
            ThreadPoolExecutor() as elsewhere,
        ):
            for _ in range(5):
                ping = elsewhere.submit(raw, methods.PING)
                seconds, wake = clock.sleeper()
                seen.append(seconds)
                assert not ping.done()
                wake()
                ping.result(TIMEOUT)
        assert chaos.counts == {**NOTHING, "delay": 5}
        return seen

    seen = play()
    assert play() == seen
    assert len(set(seen)) == 5
    assert all(0 <= seconds <= 3 for seconds in seen)


@pytest.mark.parametrize(
    ("odds", "events"),
    [({"duplicate": 1}, [1, 1, 2, 2, 3, 3]), ({"drop": 1}, [1]), ({"drop": 1, "skip": 1}, [])],
)
def test_events(raw: Raw, odds: dict[str, float], events: list[int]) -> None:
    raw.ready()
    chosen: Any = odds
    with raw.daemon.faults.chaos(7, **chosen) as chaos:
        if "drop" in odds:
            with raw.stream() as stream:
                assert until_failure(stream) == (events, DROPPED)
        else:
            assert sequences(raw, len(events)) == events
    assert {kind for kind, count in chaos.counts.items() if count} == set(odds)


def test_same_seed_gives_the_same_events(raw: Raw) -> None:
    raw.ready()
    for number in range(5):
        raw.start(exec_id=f"exec-{number}")
        raw.finished(f"exec-{number}")

    def play() -> list[int]:
        with (
            raw.daemon.faults.chaos(20, duplicate=0.3, skip=0.3, drop=0.05),
            raw.stream() as stream,
        ):
            return until_failure(stream)[0]

    assert play() == [1, 1, 2, 3, 4, 5, 6, 6, 7, 8, 8, 12]
    assert play() == [1, 1, 2, 3, 4, 5, 6, 6, 7, 8, 8, 12]


def test_streams_opened_before_the_block_are_not_affected(raw: Raw) -> None:
    raw.ready()
    with raw.stream() as stream:
        assert next(stream).sequence == 1
        with raw.daemon.faults.chaos(7, skip=1, drop=1) as chaos:
            raw.start()
            assert [next(stream).sequence for _ in range(3)] == [2, 3, 4]
    assert chaos.hits == 0


def test_restarts(raw: Raw) -> None:
    restarted = threading.Event()
    threads: list[threading.Thread] = []

    def restart() -> None:
        # A real restart waits for the daemon's thread to end, so it must not run in it.
        raw.daemon._engine.call(lambda: None)
        threads.append(threading.current_thread())
        restarted.set()

    with raw.daemon.faults.chaos(7, method="Ping", restart=(1, restart)) as chaos:
        assert outcome(raw) == "x"
        assert restarted.wait(TIMEOUT)
    assert chaos.counts == {**NOTHING, "restart": 1}
    (thread,) = threads
    assert not thread.is_alive()


def test_burnt_ids(raw: Raw) -> None:
    with raw.daemon.faults.chaos(7, burn=1) as chaos:
        spec = pb.CreateSpec(image=IMAGE)
        codes = [
            raw.refused(methods.CREATE_SANDBOX, sandbox_id="box-1", create_spec=spec).code
            for _ in range(2)
        ]
    assert codes == ["UNAVAILABLE", "ALREADY_EXISTS"]
    assert chaos.counts == {**NOTHING, "burn": 1}


def test_deadlines(raw: Raw, early_deadlines: None) -> None:
    raw.ready()
    ends = Counter[str]()
    with raw.daemon.faults.chaos(7, method="SubscribeSandboxEvents", deadline=1) as chaos:
        for _ in range(6):
            with raw.stream() as stream, suppress(grpc.RpcError):
                list(stream)
            ends[stream.code().name] += 1
    assert set(ends) == {"OK", "CANCELLED"}
    assert chaos.counts == {**NOTHING, "deadline": 6}


def test_failed_restart_is_not_hidden(raw: Raw) -> None:
    def restart() -> None:
        raise ZeroDivisionError

    with (
        pytest.raises(ZeroDivisionError),
        raw.daemon.faults.chaos(7, method="Ping", restart=(1, restart)),
    ):
        assert outcome(raw) == "x"


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (lambda faults: faults.chaos(1, method="Pong"), "'Pong' is not one of the RPCs"),
        (lambda faults: faults.chaos(1, drop=1.5), "drop must be a prob.* from 0 to 1, not 1.5"),
        (lambda faults: faults.chaos(1, skip=-1), "skip must be a prob.* from 0 to 1, not -1"),
        (lambda faults: faults.chaos(1, unavailable=float("nan")), "unavailable must be a prob"),
        (lambda faults: faults.chaos(1, delay=(1, -1)), "delay must be 0 or more, not -1"),
    ],
)
def test_bad_arguments(daemon: FakeDaemon, block: Callable[[Faults], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        block(daemon.faults).__enter__()
