"""What tests plan for the very next calls of an RPC."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import grpc

from .._checks import check_count
from .._protocol.refusals import StatusError, status_details
from .rules import STREAMS, Answer, Call, Fault, MakeFailure, Proceed, check_method


@dataclass
class CallPlan:
    """What happens to a number of calls."""

    verb: str
    method: str
    outcome: Callable[[], Answer]
    """Returns the answer, or raises the failure."""
    times: int
    optional: bool
    place: str
    """Where the test has made it, as `file:line`."""
    used: int = 0

    def __str__(self) -> str:
        uses = f"used {self.used} of {self.times} times"
        return f"{self.verb}({self.method!r}) at {self.place}: {uses}"


def failure_maker(
    code: str,
    message: str,
    reason: str | None,
    domain: str,
    metadata: Mapping[str, str] | None,
    details: bytes | None,
) -> MakeFailure:
    """Check what a failure shall look like.

    Raises:
        ValueError: The code is no gRPC status, or is OK.
    """
    if code == "OK" or code not in grpc.StatusCode.__members__:
        raise ValueError(f"{code!r} is not the name of a gRPC status that means failure")
    status = grpc.StatusCode[code]
    if details is None and reason is not None:
        details = status_details(
            status, message, reason=reason, domain=domain, metadata=metadata or {}
        )
    return functools.partial(StatusError, status, message, details)


def failure_plan(
    method: str, failure: MakeFailure, *, times: int, optional: bool, place: str
) -> CallPlan:
    """CallPlan that the next `times` calls fail.

    Raises:
        TypeError: `times` is no integer.
        ValueError: There is no such method, or `times` is less than 1.
    """
    check_method(method)
    check_count("times", times)

    def fail() -> Answer:
        raise failure()

    return CallPlan("fail_next", method, fail, times, optional, place)


def answer_plan(method: str, answer: bytes, *, optional: bool, place: str) -> CallPlan:
    """CallPlan that the next call answers this.

    Raises:
        ValueError: There is no such method, or it streams its answers.
    """
    check_method(method)
    if STREAMS[method]:
        raise ValueError(f"{method} streams its answers: use emit() instead")
    return CallPlan("answer_next", method, lambda: answer, 1, optional, place)


class PlannedCalls(Fault):
    """Carries out the plans of each RPC in the order they were made; always on."""

    def __init__(self) -> None:
        super().__init__()
        self._plans: list[CallPlan] = []

    def add(self, plan: CallPlan) -> None:
        """Put a plan behind the earlier ones."""
        self._plans.append(plan)

    async def on_call(self, call: Call, proceed: Proceed) -> Answer:
        """Do what is planned in place of the call."""
        plan = next((plan for plan in self._plans if plan.method == call.method), None)
        if plan is None:
            return await proceed()
        plan.used += 1
        if plan.used == plan.times:
            self._plans.remove(plan)
        return plan.outcome()

    def unused(self) -> list[str]:
        """The plans that were not optional and are not used up."""
        return [str(plan) for plan in self._plans if not plan.optional]
