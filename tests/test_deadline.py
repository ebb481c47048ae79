"""Deadlines and pauses, on a clock that the tests move."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

import pytest

from agents_sandbox import _deadline
from agents_sandbox._deadline import Backoff, Budget, Deadline
from agents_sandbox._surroundings.clock import grpc_timeout

TEN_YEARS = 315_360_000.0


class Clock:
    """A monotonic clock that stands still until moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_deadline, "clock", clock)
    return clock


def jitter(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Make random numbers fall at one point of their range: 0 is its low end, 1 its high end."""

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * share

    monkeypatch.setattr("random.uniform", uniform)


def test_a_deadline_runs_down_to_zero_and_stays_there(clock: Clock) -> None:
    deadline = Deadline(5.0)
    assert (deadline.bound, deadline.remaining(), deadline.expired()) == (5.0, 5.0, False)
    clock.now += 3.0
    assert (deadline.bound, deadline.remaining(), deadline.expired()) == (5.0, 2.0, False)
    clock.now += 2.0
    assert (deadline.remaining(), deadline.expired()) == (0.0, True)
    clock.now += 100.0
    assert (deadline.remaining(), deadline.expired()) == (0.0, True)


def test_ten_years_are_the_longest_bound(clock: Clock) -> None:
    deadline = Deadline(TEN_YEARS)
    assert (deadline.bound, deadline.remaining()) == (TEN_YEARS, TEN_YEARS)
    clock.now += TEN_YEARS
    assert (deadline.remaining(), deadline.expired()) == (0.0, True)


@pytest.mark.parametrize("seconds", [TEN_YEARS + 1, 1e12, 1e308, math.inf])
def test_a_deadline_further_away_is_none_and_never_expires(clock: Clock, seconds: float) -> None:
    deadline = Deadline(seconds)
    clock.now += 1e9
    assert (deadline.bound, deadline.remaining(), deadline.expired()) == (None, None, False)


@pytest.mark.parametrize(
    ("seconds", "within", "sooner"),
    [
        (5.0, 2.0, 2.0),
        (5.0, 5.0, 5.0),
        (5.0, 9.0, 5.0),
        (5.0, math.inf, 5.0),
        (math.inf, 5.0, 5.0),
        (math.inf, math.inf, None),
        (TEN_YEARS * 2, math.inf, None),
        (TEN_YEARS * 2, 5.0, 5.0),
    ],
)
def test_within_gives_the_earlier_of_two(
    seconds: float, within: float, sooner: float | None
) -> None:
    deadline = Deadline(seconds).within(within)
    assert (deadline.bound, deadline.remaining()) == (sooner, sooner)


def test_within_counts_from_now(clock: Clock) -> None:
    deadline = Deadline(5.0)
    clock.now += 4.0
    assert deadline.within(2.0) is deadline
    assert deadline.within(0.5).remaining() == 0.5
    assert deadline.remaining() == 1.0


def test_a_budget_bounds_each_rpc_and_the_whole(clock: Clock) -> None:
    budget = Budget(None, rpc_seconds=5.0, operation_seconds=60.0, outage_seconds=60.0)
    assert (budget.operation.bound, budget.rpc().bound) == (60.0, 5.0)
    clock.now += 58.0
    assert (budget.operation.remaining(), budget.rpc().remaining()) == (2.0, 2.0)


@pytest.mark.parametrize("explicit", [1.0, 30.0, 600.0])
def test_what_the_caller_gives_bounds_the_rpcs_and_the_wait_together(
    clock: Clock, explicit: float
) -> None:
    budget = Budget(explicit, rpc_seconds=5.0, operation_seconds=60.0, outage_seconds=60.0)
    assert budget.operation.bound == budget.rpc().bound == explicit
    assert budget.outage_seconds == math.inf
    clock.now += 0.5
    assert budget.operation.remaining() == budget.rpc().remaining() == explicit - 0.5


@pytest.mark.parametrize("explicit", [None, math.inf])
def test_without_a_bound_each_rpc_and_each_outage_have_one(explicit: float | None) -> None:
    budget = Budget(explicit, rpc_seconds=5.0, operation_seconds=math.inf, outage_seconds=60.0)
    assert (budget.operation.bound, budget.rpc().bound, budget.outage_seconds) == (None, 5.0, 60.0)


def test_pauses_double_up_to_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    jitter(monkeypatch, 1.0)
    backoff = Backoff()
    pauses = [backoff.pause(Deadline(math.inf)) for _ in range(7)]
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    backoff.reset()
    assert backoff.pause(Deadline(60.0)) == 0.05


def test_chance_shortens_a_pause_by_up_to_half(monkeypatch: pytest.MonkeyPatch) -> None:
    jitter(monkeypatch, 0.0)
    backoff = Backoff()
    assert [backoff.pause(Deadline(60.0)) for _ in range(3)] == [0.025, 0.05, 0.1]


def test_a_pause_ends_with_the_deadline(clock: Clock) -> None:
    deadline = Deadline(5.0)
    clock.now += 4.999
    assert Backoff().pause(deadline) == pytest.approx(0.001)
    clock.now += 1.0
    assert Backoff().pause(deadline) == 0.0


@pytest.mark.parametrize("replacement", [time.monotonic, [0.0].pop, lambda: 0.0])
def test_a_timeout_for_grpc_knows_whether_the_date_is_mocked(
    replacement: Callable[[], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "time_machine", raising=False)
    assert type(grpc_timeout(5.0)) is float
    now = time.time()
    monkeypatch.setattr(time, "time", replacement)
    # gRPC adds it to what it takes for the date.
    assert time.time() + grpc_timeout(5.0) >= now + 5.0
