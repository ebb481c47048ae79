"""Everything that can go wrong with a fake daemon, each as a context manager."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, get_args, get_type_hints

import grpc

from agents_sandbox._wire.methods import METHODS_V02
from agents_sandbox.errors import REASONS
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._faults.faults import Faults

Block: TypeAlias = Callable[[FakeDaemon], AbstractContextManager[Any]]
"""Makes something go wrong with a daemon while a block lasts."""


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong.

    Attributes:
        kind: What causes it: the name of a method of the fake daemon or of its `faults`.
        begin: The block in which it happens.
        strike: Called during the block, while calls are in progress.
    """

    kind: str
    begin: Block
    strike: Callable[[FakeDaemon], object] | None = None


CODES = [code.name for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
UNARY = [method.name for method in METHODS_V02 if not method.streams]

STREAM = "SubscribeSandboxEvents"
# The first RPC of a call to an unknown daemon, and RPCs that come late in a call.
LATE = ("Ping", "GetSandbox", "GetExec", "DeleteSandbox", "DeleteSandboxes", STREAM)
# Codes that the client treats specially, and one other.
SPECIAL = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "INVALID_ARGUMENT", "INTERNAL")


def fault(kind: str, *args: Any, **options: Any) -> Trouble:
    return Trouble(kind, lambda daemon: getattr(daemon.faults, kind)(*args, **options))


@contextmanager
def _planned(plan: Callable[[FakeDaemon], None], daemon: FakeDaemon) -> Iterator[None]:
    plan(daemon)
    yield


def _fail_each(daemon: FakeDaemon) -> None:
    for method in METHODS_V02:
        daemon.faults.fail_next(method.name, code="DATA_LOSS", reason="A_NEW_REASON", optional=True)


def _answer_each(answer: bytes, daemon: FakeDaemon) -> None:
    for method in UNARY:
        for _ in range(4):
            daemon.faults.answer_next(method, answer, optional=True)


@contextmanager
def _malformed(kind: Any, daemon: FakeDaemon) -> Iterator[Any]:
    faults = daemon.faults
    with faults.failing("NOT_FOUND", reason="SANDBOX_NOT_FOUND"), faults.malformed_details(kind):
        yield None


@contextmanager
def _chaos(seed: int, daemon: FakeDaemon) -> Iterator[Any]:
    with daemon.faults.chaos(
        seed,
        unavailable=0.1,
        lose_answer=0.1,
        burn=0.1,
        deadline=0.05,
        delay=(0.1, 0.05),
        drop=0.1,
        duplicate=0.2,
        skip=0.2,
        restart=(0.05, lambda: restart(daemon)),
    ) as chaos:
        yield chaos


def restart(daemon: FakeDaemon) -> None:
    daemon.kill()
    daemon.start()


# Calls that are in progress then wait until the end.
def midst(kind: str, strike: Callable[[FakeDaemon], object]) -> Trouble:
    return Trouble(kind, lambda daemon: daemon.paused(), strike=strike)


MALFORMATIONS: tuple[str, ...] = get_args(get_type_hints(Faults.malformed_details)["kind"])

REFUSALS: dict[str, Trouble] = {
    **{code: fault("failing", code) for code in CODES},
    **{f"{code}, new reason": fault("failing", code, reason="A_NEW_REASON") for code in CODES},
    **{reason: fault("failing", "UNKNOWN", reason=reason) for reason in REASONS},
    **{
        f"{kind} details": Trouble("malformed_details", partial(_malformed, kind))
        for kind in MALFORMATIONS
    },
}
"""Troubles in which no call can succeed."""

TROUBLES: dict[str, Trouble] = {
    **{f"{code} {rpc}": fault("failing", code, method=rpc) for code in SPECIAL for rpc in LATE},
    "fail_next": Trouble("fail_next", partial(_planned, _fail_each)),
    "no answers": Trouble("answer_next", partial(_planned, partial(_answer_each, b"\xff\xff"))),
    "empty answers": Trouble("answer_next", partial(_planned, partial(_answer_each, b""))),
    "lost answers": fault("losing_answers"),
    "burnt ids": fault("burning_ids"),
    "the daemon's deadlines": fault("ending_at_deadlines"),
    "late answers": fault("delaying", 60.0),
    "half open": fault("half_open"),
    "no streams": fault("dropping_streams", after=0),
    "short streams": fault("dropping_streams", after=1),
    "duplicates": fault("duplicating_events"),
    "gaps": fault("skipping_events", every=2),
    "no events": fault("skipping_events"),
    **{f"chaos {seed}": Trouble("chaos", partial(_chaos, seed)) for seed in range(3)},
    "streams drop": midst("drop_streams", lambda daemon: daemon.faults.drop_streams()),
    "streams end": midst("end_streams", lambda daemon: daemon.faults.end_streams()),
    "killed": midst("kill", lambda daemon: daemon.kill()),
    "killed, and gone": midst("kill", lambda daemon: daemon.kill(stale_socket=False)),
    "terminated": midst("terminate", lambda daemon: daemon.terminate()),
    "restarted": midst("start", restart),
    "down": Trouble("down", lambda daemon: daemon.down()),
}
"""Troubles in which calls may succeed or fail."""


def kinds_of_faults() -> set[str]:
    """Every fault that the fake daemon can inject."""
    return {name for name in vars(Faults) if not name.startswith("_")}


def kinds_of_chaos() -> set[str]:
    """Every fault that chaos can inject."""
    return set(inspect.signature(Faults.chaos).parameters) - {"self", "seed", "method"}
