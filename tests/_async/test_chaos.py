"""Lives of sandboxes under random faults: nothing is lost, duplicated, wrong or left open.

To replay one run: `pytest <this file> --chaos-seed SEED --chaos-runs 1`. Concurrent steps can still
happen in another order.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from agents_sandbox import AgentsSandboxClient, _deadline
from agents_sandbox._deadline import Backoff
from agents_sandbox.testing import FakeDaemon, Recorder

from .._aio import off_loop
from ..chaos.account import Account
from ..chaos.oracle import judge
from ..chaos.plan import Plan, make_plan
from ..chaos.truth import Truth
from .chaos import CALL_SECONDS, Faults, Life, read_truth
from .chaos_programs import PROGRAMS


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pauses and other waiting times shorter, because thousands of runs add up."""
    monkeypatch.setattr(Backoff, "_FIRST", 0.002)
    monkeypatch.setattr(Backoff, "_LONGEST", 0.05)
    monkeypatch.setattr(_deadline, "GRACE_SECONDS", 1.0)
    monkeypatch.setattr(_deadline, "DYING_SECONDS", 1.0)
    # So often that shutdowns are noticed, and that streams meet their deadlines.
    monkeypatch.setattr(_deadline, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(_deadline, "IN_TOUCH_SECONDS", 0.03)
    monkeypatch.setattr(_deadline, "SILENCE_SECONDS", 0.3)


@pytest.mark.slow
async def test_chaos(chaos_seed: int, chaos_accounts: dict[str, Account]) -> None:
    plan = make_plan(chaos_seed, tuple(PROGRAMS))
    account = chaos_accounts.setdefault(AgentsSandboxClient.__name__, Account())
    account.begin(chaos_seed)
    with plan.daemon() as daemon:
        life, truth = await live(plan, daemon)
        wrong = account.add(life.calls, truth, judge(plan, life.calls, truth))
        assert not wrong, f"{plan}\n" + "\n".join(wrong)
        daemon.assert_no_leaks()
    account.passed()


@pytest.mark.slow
async def test_chaos_through_the_recorder(
    recorded_seed: int, chaos_accounts: dict[str, Account], tmp_path: Path
) -> None:
    plan = make_plan(recorded_seed, tuple(PROGRAMS))
    name = AgentsSandboxClient.__name__ + ", recorded"
    account = chaos_accounts.setdefault(name, Account())
    account.begin(recorded_seed)
    cassette = tmp_path / "chaos.json"
    with plan.daemon() as daemon:
        recorder = Recorder(daemon.socket_path, cassette=cassette)
        await off_loop(recorder.start)
        try:
            life, truth = await live(plan, daemon, recorder.socket_path)
            wrong = account.add(life.calls, truth, judge(plan, life.calls, truth))
            assert not wrong, f"{plan}\n" + "\n".join(wrong)
            daemon.assert_no_leaks()
        finally:
            await off_loop(recorder.close)
    with FakeDaemon(cassette=cassette):
        account.passed()


async def live(
    plan: Plan, daemon: FakeDaemon, socket_path: str | None = None
) -> tuple[Life, Truth]:
    """Run a plan under its faults, then read the truth without them."""
    async with AgentsSandboxClient(
        socket_path or daemon.socket_path,
        timeout_seconds=CALL_SECONDS,
        operation_timeout_seconds=CALL_SECONDS,
        exec_timeout_seconds=CALL_SECONDS,
    ) as client:
        # A daemon that is restarting before the first contact counts as not started.
        await client.ping()
        faults = Faults(plan, daemon)
        life = Life(plan, daemon, client)
        try:
            await PROGRAMS[plan.program](life)
            await life.end()
        finally:
            await off_loop(faults.end)
        leaked = await off_loop(streams_left, daemon)
        truth = await read_truth(daemon, faults.restarts)
    truth.hits, truth.followed, truth.leaked_streams = faults.hits, life.followed, leaked
    return life, truth


def streams_left(daemon: FakeDaemon) -> int:
    """How many event streams stay open although nothing reads them any more."""
    try:
        daemon.wait_for_streams(0)
    except TimeoutError:
        return daemon.open_streams
    return 0
