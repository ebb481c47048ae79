"""Plans for the next calls of an RPC."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import grpc

from ..._shared.shown import shown
from .._checks import check_count
from .._protocol.refusals import StatusError, status_details
from .._protocol.rpcs import STREAMS, check_method
from .kinds import Answer, Call, Fault, MakeFailure, Proceed


@dataclass
class CallPlan:
    """The planned outcome of a number of calls."""

    function: str
    """The method of `Faults` that made the plan."""
    method: str
    outcome: Callable[[], Answer]
    """Returns the answer, or raises the failure."""
    times: int
    optional: bool
    place: str
    """Where the test made the plan, as `file:line`."""
    used: int = 0

    def __str__(self) -> str:
        uses = f"used {self.used} of {self.times} times"
        return f"{self.function}({shown(self.method)}) at {self.place}: {uses}"


def failure_maker(
    code: str,
    message: str,
    reason: str | None,
    domain: str,
    metadata: Mapping[str, str] | None,
    details: bytes | None,
) -> MakeFailure:
    """Check the parts of a failure and return a function that makes it.

    Raises:
        ValueError: The code is not a gRPC status, or is OK.
    """
    if code == "OK" or code not in grpc.StatusCode.__members__:
        raise ValueError(
            f"{shown(code)} is not the name of a gRPC error status, such as UNAVAILABLE"
        )
    status = grpc.StatusCode[code]
    if details is None and reason is not None:
        details = status_details(
            status, message, reason=reason, domain=domain, metadata=metadata or {}
        )
    return functools.partial(StatusError, status, message, details)


def failure_plan(
    method: str, failure: MakeFailure, *, times: int, optional: bool, place: str
) -> CallPlan:
    """Plan that the next `times` calls fail.

    Raises:
        TypeError: `times` is not an integer.
        ValueError: There is no such RPC, or `times` is less than 1.
    """
    check_method(method)
    check_count("times", times)

    def fail() -> Answer:
        raise failure()

    return CallPlan("fail_next", method, fail, times, optional, place)


def answer_plan(method: str, answer: bytes, *, optional: bool, place: str) -> CallPlan:
    """Plan the answer of the next call.

    Raises:
        ValueError: There is no such RPC, or it is a stream.
    """
    check_method(method)
    if STREAMS[method]:
        raise ValueError(f"{method} is a stream: send events with emit() instead")
    return CallPlan("answer_next", method, lambda: answer, 1, optional, place)


class PlannedCalls(Fault):
    """Applies the plans of each RPC in the order in which they were made; always active."""

    def __init__(self) -> None:
        super().__init__()
        self._plans: list[CallPlan] = []

    def add(self, plan: CallPlan) -> None:
        """Append a plan."""
        self._plans.append(plan)

    def clear(self) -> None:
        """Drop all plans."""
        self._plans.clear()

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Apply the oldest plan for the RPC, or proceed if there is none."""
        plan = next((plan for plan in self._plans if plan.method == call.method), None)
        if plan is None:
            return await proceed()
        plan.used += 1
        if plan.used == plan.times:
            self._plans.remove(plan)
        return plan.outcome()

    def unused(self) -> list[str]:
        """Return the plans that are not optional and not used up."""
        return [str(plan) for plan in self._plans if not plan.optional]
