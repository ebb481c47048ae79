"""Goals of waits: what each state, event and end means for each goal."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from agents_sandbox import (
    CompanionContainerSpec,
    DaemonUnavailableError,
    ExecEventDetails,
    ExecHandle,
    ExecState,
    OperationTimeoutError,
    SandboxClientError,
    SandboxEvent,
    SandboxEventType,
    SandboxFailedError,
    SandboxHandle,
    SandboxInvalidStateError,
    SandboxNotReadyError,
    SandboxPhaseDetails,
    SandboxState,
    ServiceEventDetails,
    ServiceSpec,
)
from agents_sandbox._deadline import Deadline
from agents_sandbox._goals import (
    BECOME_READY,
    BecomeDeleted,
    BecomeStopped,
    ExecEnd,
    ReadyWithCompanions,
    SandboxGoal,
    SeeStopped,
    become_ready,
    reach,
)

UNKNOWN = SandboxState(99)
S = SandboxState

GOALS: dict[str, Callable[[], SandboxGoal | BecomeStopped]] = {
    "ready": lambda: BECOME_READY,
    "stopped": BecomeStopped,
}

# True: reached. False: not yet. An error: it can never be reached.
JUDGEMENTS: dict[str, dict[tuple[SandboxState, str | None], object]] = {
    "ready": {
        (S.UNSPECIFIED, None): False,
        (S.PENDING, None): False,
        (S.READY, None): True,
        (S.FAILED, "SANDBOX_CREATE_FAILED"): SandboxFailedError,
        (S.FAILED, "CONTAINER_DIED"): SandboxFailedError,
        (S.FAILED, None): SandboxFailedError,
        (S.STOPPED, None): SandboxNotReadyError,
        (S.DELETING, None): SandboxNotReadyError,
        (S.DELETED, None): SandboxNotReadyError,
        (UNKNOWN, None): False,
    },
    "stopped": {
        (S.UNSPECIFIED, None): False,
        (S.PENDING, None): False,
        (S.READY, None): False,
        # Daemons 0.2 pass through these states; 0.2.0 reports no code.
        (S.FAILED, "CONTAINER_DIED"): False,
        (S.FAILED, "CONTAINER_OOM"): False,
        (S.FAILED, None): False,
        (S.FAILED, "SANDBOX_STOP_FAILED"): SandboxFailedError,
        (S.FAILED, "CONTAINER_NOT_RUNNING"): SandboxFailedError,
        (S.STOPPED, None): True,
        # A delete during a stop: STOPPED still follows.
        (S.DELETING, None): False,
        (S.DELETED, None): SandboxInvalidStateError,
        (UNKNOWN, None): False,
    },
}
TABLE = [
    pytest.param(GOALS[name], state, code, expected, id=f"{name}-{state.name}-{code or 'no code'}")
    for name, rows in JUDGEMENTS.items()
    for (state, code), expected in rows.items()
]


def sandbox(
    state: SandboxState, code: str | None = None, message: str | None = None
) -> SandboxHandle:
    return SandboxHandle("box-1", state, 4, (), (), {}, None, "img", code, message)


def an_exec(state: ExecState = ExecState.RUNNING) -> ExecHandle:
    return ExecHandle("exec-1", "box-1", state, ("ls",), "", {}, None, None, 4)


def event(
    state: SandboxState = S.UNSPECIFIED,
    kind: SandboxEventType = SandboxEventType.UNSPECIFIED,
    **details: Any,
) -> SandboxEvent:
    return SandboxEvent("box-1-5", 5, "box-1", kind, None, True, False, state, **details)


def judge(goal: SandboxGoal | BecomeStopped, observed: SandboxHandle | SandboxEvent) -> object:
    """Return the goal's judgement, or the class of the error that it raises."""
    try:
        if isinstance(observed, SandboxHandle):
            return goal.judge(observed)
        return goal.see(observed)
    except SandboxClientError as error:
        named = error.sandbox_id == "box-1" and "box-1" in str(error)
        return type(error) if named else error


@pytest.mark.parametrize("name", JUDGEMENTS)
def test_the_table_is_complete(name: str) -> None:
    assert {state for state, _ in JUDGEMENTS[name]} == {*SandboxState, UNKNOWN}


@pytest.mark.parametrize(("goal", "state", "code", "expected"), TABLE)
def test_snapshots(
    goal: Callable[[], SandboxGoal], state: SandboxState, code: str | None, expected: object
) -> None:
    assert judge(goal(), sandbox(state, code)) == expected


@pytest.mark.parametrize(("goal", "state", "code", "expected"), TABLE)
def test_events(
    goal: Callable[[], SandboxGoal], state: SandboxState, code: str | None, expected: object
) -> None:
    failed = event(state, sandbox_phase=SandboxPhaseDetails(error_code=code))
    assert judge(goal(), failed) == expected
    if code is None:
        assert judge(goal(), event(state)) == expected


@pytest.mark.parametrize("goal", GOALS.values(), ids=GOALS)
def test_events_of_execs_and_services_settle_nothing(goal: Callable[[], SandboxGoal]) -> None:
    assert not goal().see(event(exec=ExecEventDetails("exec-1", 1, ExecState.FAILED)))
    failed_service = ServiceEventDetails("db", "CONTAINER_DIED", "service container die")
    assert not goal().see(event(S.PENDING, service=failed_service))


def test_a_failure_names_the_daemons_reason_and_what_to_do() -> None:
    with pytest.raises(SandboxFailedError) as caught:
        BECOME_READY.judge(sandbox(S.FAILED, "SANDBOX_CREATE_FAILED", "no such image"))
    error = caught.value
    assert (error.error_code, error.error_message) == ("SANDBOX_CREATE_FAILED", "no such image")
    assert str(error) == (
        "sandbox box-1 failed: SANDBOX_CREATE_FAILED: no such image. "
        "Delete it and create another one"
    )


def test_a_failure_without_a_code_says_so() -> None:
    with pytest.raises(SandboxFailedError, match="no error code: no message") as caught:
        BECOME_READY.judge(sandbox(S.FAILED))
    assert (caught.value.error_code, caught.value.error_message) == (None, None)


def test_a_dead_end_names_both_states_and_a_likely_cause() -> None:
    with pytest.raises(
        SandboxNotReadyError, match=r"is STOPPED and will not become READY.*idle_ttl intervened"
    ):
        BECOME_READY.judge(sandbox(S.STOPPED))


def test_a_delete_is_concerned_with_all_states() -> None:
    goal = BecomeDeleted()
    assert not goal.concerns(event())
    assert not goal.concerns(event(exec=ExecEventDetails("exec-1", 1, ExecState.FAILED)))
    assert all(goal.concerns(event(state)) for state in [*S, UNKNOWN] if state is not S.UNSPECIFIED)


@pytest.mark.parametrize("target", [S.READY, S.STOPPED, S.FAILED])
def test_a_state_to_reach_is_concerned_with_what_decides(target: SandboxState) -> None:
    goal: Any = reach(target)
    for state in [*S, UNKNOWN]:
        seen = event(state)
        try:
            decided = goal.see(seen)
        except SandboxClientError:
            decided = True
        assert goal.concerns(seen) is decided


T = SandboxEventType
ACCEPTED = (T.SANDBOX_ACCEPTED, S.PENDING)
PREPARING = (T.SANDBOX_PREPARING, S.PENDING)
READY = (T.SANDBOX_READY, S.READY)
FAILED_SANDBOX = (T.SANDBOX_FAILED, S.FAILED)
STOPPED = (T.SANDBOX_STOPPED, S.STOPPED)
DELETING = (T.SANDBOX_DELETE_REQUESTED, S.DELETING)
DELETED = (T.SANDBOX_DELETED, S.DELETED)
STEPS = {
    "plain": ([DELETING, DELETED], S.DELETED, True),
    "from the beginning": ([ACCEPTED, PREPARING, READY, DELETING, DELETED], S.DELETED, True),
    "before the Docker work": ([ACCEPTED, DELETING, DELETED], S.DELETED, True),
    "on the way": ([ACCEPTED, PREPARING, READY, DELETING], S.DELETING, False),
    "unseen so far": ([], S.DELETED, False),
    "a create is in progress": ([ACCEPTED, PREPARING, DELETING, DELETED], S.DELETED, False),
    "it came back": ([ACCEPTED, PREPARING, DELETING, DELETED, READY], S.READY, None),
    "it came back failed": (
        [ACCEPTED, PREPARING, DELETING, DELETED, FAILED_SANDBOX],
        S.FAILED,
        None,
    ),
    "it comes back and goes": (
        [ACCEPTED, PREPARING, DELETING, DELETED, READY, DELETING],
        S.DELETING,
        False,
    ),
    "it came back and went": (
        [ACCEPTED, PREPARING, DELETING, DELETED, READY, DELETING, DELETED],
        S.DELETED,
        True,
    ),
    "a create fails during the delete": (
        [ACCEPTED, PREPARING, DELETING, FAILED_SANDBOX, DELETED],
        S.DELETED,
        True,
    ),
    "a stop ends during the delete": ([DELETING, STOPPED, DELETED], S.DELETED, True),
    "a stop ends after it": ([DELETING, DELETED, STOPPED], S.STOPPED, None),
}


@pytest.mark.parametrize(("steps", "state", "expected"), STEPS.values(), ids=STEPS)
def test_deleted_is_meant_for_good(
    steps: list[tuple[SandboxEventType, SandboxState]], state: SandboxState, expected: bool | None
) -> None:
    goal = BecomeDeleted()
    for sequence, (kind, after) in enumerate(steps, 1):
        goal.see(dataclasses.replace(event(after, kind), sequence=sequence))
    # None: it must be requested again.
    assert goal.detect_loss(sandbox(state), restarted=False) is (expected is None)
    assert goal.judge(sandbox(state)) is (expected is True)


@pytest.mark.parametrize("settles", [DELETED, READY])
def test_a_snapshot_is_due_when_a_sandbox_is_gone_or_back(
    settles: tuple[SandboxEventType, SandboxState],
) -> None:
    goal = BecomeDeleted()
    assert not goal.see(event(PREPARING[1], PREPARING[0]))
    assert not goal.see(event(DELETING[1], DELETING[0]))
    assert goal.see(event(S.DELETED, T.SANDBOX_DELETED))
    assert goal.see(event(settles[1], settles[0]))


def test_a_restart_ends_the_create_that_could_bring_a_sandbox_back() -> None:
    goal = BecomeDeleted()
    for kind, state in (PREPARING, DELETING, DELETED):
        goal.see(event(state, kind))
    assert not goal.judge(sandbox(S.DELETED))
    assert not goal.detect_loss(sandbox(S.DELETED), restarted=True)
    assert goal.judge(sandbox(S.DELETED))


@pytest.mark.parametrize("state", [S.STOPPED, S.FAILED])
def test_a_delete_that_a_restart_lost_is_requested_again(state: SandboxState) -> None:
    goal = BecomeDeleted()
    for kind, new in (DELETING, STOPPED):
        goal.see(event(new, kind))
    assert not goal.detect_loss(sandbox(state), restarted=False)
    assert goal.detect_loss(sandbox(state), restarted=True)


def test_a_purged_sandbox_is_deleted_for_good() -> None:
    goal = BecomeDeleted()
    goal.see(event(PREPARING[1], PREPARING[0]))
    goal.purged = True
    assert goal.judge(sandbox(S.DELETED))


def test_a_resume_is_given_a_moment_to_bring_a_sandbox_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unbound = Deadline(math.inf)
    goal = BecomeDeleted()
    goal.see(event(S.PENDING, T.SANDBOX_ACCEPTED))
    assert goal.snapshot_due(unbound) is unbound
    goal.see(event(S.DELETED, T.SANDBOX_DELETED))
    assert goal.snapshot_due(unbound).bound == 2.0
    assert not goal.judge(sandbox(S.DELETED))
    monkeypatch.setattr(goal, "grace", Deadline(0.0))
    assert goal.judge(sandbox(S.DELETED))


DELETE_FAILED = SandboxPhaseDetails(error_code="SANDBOX_DELETE_FAILED", error_message="busy")


def test_a_removal_that_failed_is_raised() -> None:
    goal = BecomeDeleted()
    assert goal.see(event(S.FAILED, T.SANDBOX_FAILED, sandbox_phase=DELETE_FAILED))
    with pytest.raises(SandboxFailedError) as caught:
        goal.judge(sandbox(S.FAILED))
    assert (caught.value.error_code, caught.value.error_message) == (
        "SANDBOX_DELETE_FAILED",
        "busy",
    )


def test_a_removal_that_failed_before_a_new_request_is_ignored() -> None:
    goal = BecomeDeleted()
    goal.see(event(S.FAILED, T.SANDBOX_FAILED, sandbox_phase=DELETE_FAILED))
    assert not goal.judge(sandbox(S.DELETING))
    assert not goal.see(event(S.DELETING, T.SANDBOX_DELETE_REQUESTED))
    assert not goal.judge(sandbox(S.FAILED))
    assert goal.see(event(S.DELETED, T.SANDBOX_DELETED))
    assert goal.judge(sandbox(S.DELETED))


NOON = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize("microseconds", [0, 3])
def test_a_restart_before_the_request_shows_in_the_time_of_acceptance(
    monkeypatch: pytest.MonkeyPatch, microseconds: int
) -> None:
    goal = BecomeDeleted()
    first = dataclasses.replace(
        event(S.PENDING, T.SANDBOX_ACCEPTED),
        sequence=1,
        occurred_at=NOON + timedelta(microseconds=microseconds),
    )
    for item in (first, event(PREPARING[1], PREPARING[0]), event(DELETED[1], DELETED[0])):
        goal.see(item)
    monkeypatch.setattr(goal, "grace", Deadline(0.0))
    handle = dataclasses.replace(sandbox(S.DELETED), created_at=NOON)
    assert goal.judge(handle) is (microseconds == 0)


def test_a_restart_during_the_delete_ends_the_create() -> None:
    goal = BecomeDeleted()
    goal.see(event(PREPARING[1], PREPARING[0]))
    phase = SandboxPhaseDetails(reason="daemon_restart_cleanup")
    assert goal.see(event(S.DELETED, T.SANDBOX_DELETED, sandbox_phase=phase))
    assert goal.judge(sandbox(S.DELETED))


def test_a_delete_that_times_out_says_what_continues() -> None:
    last = sandbox(S.DELETING)
    goal = BecomeDeleted()
    error = goal.timeout_error("box-1", last, 2.5)
    assert isinstance(error, OperationTimeoutError)
    assert (error.sandbox_id, error.timeout_seconds, error.last_handle) == ("box-1", 2.5, last)
    assert "sandbox box-1 was not deleted for good within 2.5 s, last seen DELETING" in str(error)
    assert "never seen" in str(goal.timeout_error("box-1", None, 2.5))
    for kind, state in (PREPARING, DELETED):
        goal.see(event(state, kind))
    late = goal.timeout_error("box-1", sandbox(S.DELETED), 2.5)
    assert "its create is still in progress and will bring it back: delete it again later" in str(
        late
    )


STOP_REQUESTED = (T.SANDBOX_STOP_REQUESTED, S.UNSPECIFIED)
RESUMED = ACCEPTED
STOPS = {
    "plain": ([STOP_REQUESTED], [STOPPED], S.STOPPED, True),
    "on the way": ([STOP_REQUESTED], [], S.READY, False),
    "resumed before it was seen": ([STOP_REQUESTED, STOPPED, RESUMED, READY], [], S.READY, None),
    "resumed after it": ([STOP_REQUESTED], [STOPPED, RESUMED], S.PENDING, None),
    "stopped again": ([STOP_REQUESTED], [STOPPED, RESUMED, READY, STOP_REQUESTED], S.READY, False),
    "another stop came before": (
        [STOP_REQUESTED, STOPPED, RESUMED, READY, STOP_REQUESTED],
        [],
        S.READY,
        False,
    ),
}


@pytest.mark.parametrize(("before", "after", "state", "expected"), STOPS.values(), ids=STOPS)
def test_a_stop_that_was_followed_by_a_resume_is_not_waited_for(
    before: list[tuple[SandboxEventType, SandboxState]],
    after: list[tuple[SandboxEventType, SandboxState]],
    state: SandboxState,
    expected: bool | None,
) -> None:
    goal = BecomeStopped()
    # The first snapshot shows the newest event at the time of the stop request.
    assert not goal.judge(dataclasses.replace(sandbox(S.READY), last_event_sequence=len(before)))
    settled = False
    for sequence, (kind, new) in enumerate([*before, *after], 1):
        told = dataclasses.replace(event(new, kind), sequence=sequence)
        assert goal.concerns(told)
        settled = goal.see(told)
    assert settled is (expected is not False)
    if expected is None:
        with pytest.raises(SandboxInvalidStateError, match="another caller resumed it"):
            goal.judge(sandbox(state))
        # This wait must not stop it once more.
        assert not goal.detect_loss(sandbox(S.READY), restarted=True)
    else:
        assert goal.judge(sandbox(state)) is expected
        assert goal.detect_loss(sandbox(S.READY), restarted=True)


def test_a_failure_that_a_restart_made_final_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    unbound = Deadline(math.inf)
    dying = sandbox(S.FAILED, "CONTAINER_DIED", "primary container die")
    goal = BecomeStopped()
    assert not goal.detect_loss(dying, restarted=False)
    assert goal.snapshot_due(unbound) is unbound
    # The restarted daemon may have accepted the request and be working on it.
    assert not goal.detect_loss(dying, restarted=True)
    assert goal.snapshot_due(unbound).bound == 5.0
    assert not goal.detect_loss(sandbox(S.STOPPED), restarted=True)
    assert goal.snapshot_due(unbound) is unbound
    assert not goal.detect_loss(dying, restarted=True)
    monkeypatch.setattr(goal, "dying", Deadline(0.0))
    with pytest.raises(SandboxFailedError) as caught:
        goal.detect_loss(dying, restarted=True)
    assert caught.value.error_code == "CONTAINER_DIED"


def test_a_stop_that_times_out_says_what_continues() -> None:
    error = BecomeStopped().timeout_error("box-1", sandbox(S.READY), 2.5)
    assert "did not become STOPPED within 2.5 s, last seen READY" in str(error)


def test_a_wait_for_the_stop_of_others_lets_a_failure_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unbound = Deadline(math.inf)
    dying = sandbox(S.FAILED, "CONTAINER_DIED", "primary container die")
    goal = SeeStopped()
    assert not goal.judge(sandbox(S.READY))
    assert goal.snapshot_due(unbound) is unbound
    assert goal.see(event(S.FAILED, sandbox_phase=SandboxPhaseDetails(error_code="CONTAINER_DIED")))
    assert not goal.judge(dying)
    assert goal.snapshot_due(unbound).bound == 5.0
    assert not goal.judge(dying)
    assert not goal.judge(sandbox(S.READY))  # daemons since 0.4.0 start the container again
    assert goal.snapshot_due(unbound) is unbound
    assert not goal.see(event(S.READY))
    assert goal.see(event(S.STOPPED))
    assert goal.judge(sandbox(S.STOPPED))
    monkeypatch.setattr(goal, "dying", Deadline(0.0))
    with pytest.raises(SandboxFailedError) as caught:
        goal.judge(dying)
    assert caught.value.error_code == "CONTAINER_DIED"


def test_a_sandbox_wait_that_times_out_says_what_continues() -> None:
    last = sandbox(S.PENDING)
    error = BECOME_READY.timeout_error("box-1", last, 2.5)
    assert isinstance(error, OperationTimeoutError)
    assert (error.sandbox_id, error.exec_id) == ("box-1", None)
    assert (error.timeout_seconds, error.last_handle) == (2.5, last)
    for told in (
        "box-1",
        "did not become READY within 2.5 s",
        "last seen PENDING",
        "wait_for_sandbox",
    ):
        assert told in str(error)
    assert "increase timeout_seconds or operation_timeout_seconds" in str(error)


def test_a_sandbox_goal_keeps_the_deadline() -> None:
    deadline = Deadline(math.inf)
    assert BECOME_READY.snapshot_due(deadline) is deadline


STARTED = SandboxEventType.COMPANION_CONTAINER_READY
FAILED = SandboxEventType.COMPANION_CONTAINER_FAILED


def companion_event(
    name: str, kind: SandboxEventType = STARTED, state: SandboxState = S.READY, code: str = ""
) -> SandboxEvent:
    return event(state, kind, service=ServiceEventDetails(name, code or None, code and "why"))


def accepted(*names: str) -> SandboxHandle:
    companions = tuple(CompanionContainerSpec(name, "img") for name in names)
    return dataclasses.replace(sandbox(S.PENDING), companion_containers=companions)


@pytest.mark.parametrize(
    ("companions", "required", "missing"),
    [
        ((), (), None),
        (("cache",), (), None),
        # Daemons 0.2 have services and wait for them.
        ((), ("db",), None),
        (("db", "cache"), ("db",), {"db"}),
        (("db", "cache"), ("db", "cache"), {"db", "cache"}),
    ],
)
def test_a_create_waits_for_the_required_ones_of_its_companions(
    companions: tuple[str, ...], required: tuple[str, ...], missing: set[str] | None
) -> None:
    services = [ServiceSpec(name, "img") for name in required]
    goal = become_ready(accepted(*companions), services)
    if missing is None:
        assert goal is BECOME_READY
    else:
        assert isinstance(goal, ReadyWithCompanions)
        assert goal.missing == missing


@pytest.mark.parametrize(
    ("events", "settled"),
    [
        ([companion_event("db", state=S.PENDING), event(S.READY)], [False, True]),
        ([event(S.READY), companion_event("db")], [False, True]),
        ([event(S.READY), companion_event("other"), companion_event("db")], [False, False, True]),
        # An unknown event of a newer daemon has no meaning.
        ([companion_event("db", SandboxEventType(99)), event(S.READY)], [False, False]),
        # It was started, and the wait promises no more.
        (
            [companion_event("db", state=S.PENDING), companion_event("db", FAILED, code="E")],
            [False, True],
        ),
        ([event(exec=ExecEventDetails("e", 0, ExecState.FINISHED)), event(S.READY)], [False] * 2),
    ],
)
def test_ready_with_companions(events: list[SandboxEvent], settled: list[bool]) -> None:
    goal = ReadyWithCompanions({"db"})
    assert [goal.see(item) for item in events] == settled
    assert goal.judge(sandbox(S.READY)) is (not goal.missing)
    assert not goal.judge(sandbox(S.PENDING))


@pytest.mark.parametrize("code", ["COMPANION_CONTAINER_FAILED", ""])
def test_a_required_service_that_fails_is_named(code: str) -> None:
    goal = ReadyWithCompanions({"db"})
    assert not goal.see(companion_event("other", FAILED, S.PENDING, code="E"))
    # A delete during the create would not last, so nothing is raised yet.
    assert not goal.see(companion_event("db", FAILED, S.PENDING, code=code))
    assert not goal.judge(sandbox(S.PENDING))
    assert goal.see(event(S.READY))
    with pytest.raises(SandboxFailedError, match="required service db of sandbox box-1") as caught:
        goal.judge(sandbox(S.READY))
    error = caught.value
    assert error.sandbox_id == "box-1"
    assert (error.error_code, error.error_message) == (code or None, code and "why")
    for told in (code or "no error code", code and "why", "delete it and create another one"):
        assert told in str(error)


@pytest.mark.parametrize("state", [S.FAILED, S.STOPPED, S.DELETING, S.DELETED])
def test_a_sandbox_that_ends_ends_the_wait_for_companions(state: SandboxState) -> None:
    for observed in (sandbox(state), event(state)):
        with pytest.raises((SandboxFailedError, SandboxNotReadyError)):
            goal = ReadyWithCompanions({"db"})
            goal.judge(observed) if isinstance(observed, SandboxHandle) else goal.see(observed)


def test_a_wait_for_companions_that_times_out_names_them() -> None:
    last = sandbox(S.READY)
    goal = ReadyWithCompanions({"db", "cache"})
    assert not goal.see(event(S.READY))
    error = goal.timeout_error("box-1", last, 2.5)
    assert isinstance(error, OperationTimeoutError)
    assert str(error).startswith("required services cache, db of sandbox box-1 did not start")
    assert " within 2.5 s. " in str(error)
    assert (error.sandbox_id, error.timeout_seconds) == ("box-1", 2.5)
    assert error.last_handle is last
    pending = ReadyWithCompanions({"db"}).timeout_error("box-1", sandbox(S.PENDING), 2.5)
    assert "did not become READY within 2.5 s, last seen PENDING" in str(pending)


def test_a_wait_for_companions_keeps_the_deadline_and_is_concerned_with_them() -> None:
    deadline = Deadline(math.inf)
    goal = ReadyWithCompanions({"db"})
    assert goal.snapshot_due(deadline) is deadline
    assert goal.concerns(companion_event("db", state=S.UNSPECIFIED))
    assert goal.concerns(event(S.READY))
    assert not goal.concerns(event(exec=ExecEventDetails("e", 0, ExecState.FINISHED)))


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        (ExecState.UNSPECIFIED, False),
        (ExecState.RUNNING, False),
        (ExecState.FINISHED, True),
        (ExecState.FAILED, True),
        (ExecState.CANCELLED, True),
        (ExecState(99), False),
    ],
)
def test_an_exec_is_over_in_its_terminal_states(state: ExecState, ended: bool) -> None:
    goal = ExecEnd("exec-1")
    assert goal.judge(an_exec(state)) is ended
    its_own = event(exec=ExecEventDetails("exec-1", None, state))
    assert goal.concerns(its_own) is ended
    assert not goal.concerns(event(exec=ExecEventDetails("exec-2", None, state)))
    if ended:
        assert goal.see(its_own)
    assert goal.lost_sandbox is None


@pytest.mark.parametrize("state", [*SandboxState, UNKNOWN])
def test_an_exec_is_read_when_its_sandbox_ends(state: SandboxState) -> None:
    goal = ExecEnd("exec-1")
    ended = state in (S.FAILED, S.STOPPED, S.DELETED)
    assert goal.concerns(event(state)) is ended
    if ended:
        assert goal.see(event(state))
        assert goal.lost_sandbox is not None


def test_an_exec_may_end_until_shortly_after_its_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    goal, deadline = ExecEnd("exec-1"), Deadline(math.inf)
    assert goal.snapshot_due(deadline) is deadline
    goal.see(event(S.FAILED))
    shortly = goal.snapshot_due(deadline)
    assert shortly.bound == 2.0
    goal.see(event(S.STOPPED))
    assert goal.snapshot_due(deadline) is shortly, "the grace must not start again with each event"
    assert not goal.judge(an_exec())
    monkeypatch.setattr(goal, "grace", Deadline(0.0))
    assert goal.judge(an_exec(ExecState.FAILED))
    with pytest.raises(SandboxNotReadyError, match="is STOPPED, and the daemon never rep"):
        goal.judge(an_exec())


def test_an_exec_lost_with_a_failed_sandbox_says_why_it_failed() -> None:
    goal = ExecEnd("exec-1")
    goal.see(event(S.FAILED, sandbox_phase=SandboxPhaseDetails(None, "CONTAINER_DIED", "die")))
    error = goal.timeout_error("box-1", an_exec(), 2.0)
    assert isinstance(error, SandboxFailedError)
    assert (error.sandbox_id, error.exec_id) == ("box-1", "exec-1")
    assert (error.error_code, error.error_message) == ("CONTAINER_DIED", "die")


def test_an_exec_lost_with_a_sandbox_that_failed_for_no_reason_says_so() -> None:
    goal = ExecEnd("exec-1")
    goal.see(event(S.FAILED))
    error = goal.timeout_error("box-1", an_exec(), 2.0)
    assert isinstance(error, SandboxFailedError)
    assert (error.error_code, error.error_message) == (None, None)


@pytest.mark.parametrize("state", [S.STOPPED, S.DELETED])
def test_an_exec_lost_with_an_ended_sandbox_says_how_it_ended(state: SandboxState) -> None:
    goal = ExecEnd("exec-1")
    goal.see(event(state))
    error = goal.timeout_error("box-1", an_exec(), 2.0)
    assert isinstance(error, SandboxNotReadyError)
    assert (error.sandbox_id, error.exec_id) == ("box-1", "exec-1")
    assert str(error) == (
        f"sandbox box-1 is {state.name}, and the daemon never reported the end of exec exec-1"
    )


def test_the_last_end_of_a_sandbox_counts() -> None:
    goal = ExecEnd("exec-1")
    goal.see(event(S.FAILED))
    goal.see(event(S.STOPPED))
    assert isinstance(goal.timeout_error("box-1", an_exec(), 2.0), SandboxNotReadyError)


def test_an_exec_wait_that_times_out_says_what_continues() -> None:
    last = an_exec()
    error = ExecEnd("exec-1").timeout_error("box-1", last, 30.0)
    assert isinstance(error, OperationTimeoutError)
    assert (error.sandbox_id, error.exec_id) == ("box-1", "exec-1")
    assert (error.timeout_seconds, error.last_handle) == (30.0, last)
    for told in ("exec-1", "did not end within 30 s", "wait_for_exec", "cancel_exec"):
        assert told in str(error)


def test_a_wait_that_saw_nothing_says_so() -> None:
    missed = BECOME_READY.timeout_error("box-1", None, 5.0)
    assert (missed.sandbox_id, "never seen" in str(missed)) == ("box-1", True)
    unknown = ExecEnd("exec-1").timeout_error(None, None, 5.0)
    assert (unknown.sandbox_id, unknown.exec_id) == (None, "exec-1")


def test_a_wait_without_a_bound_names_none() -> None:
    for error in (
        BECOME_READY.timeout_error("box-1", sandbox(S.PENDING), None),
        ExecEnd("exec-1").timeout_error("box-1", an_exec(), None),
    ):
        assert isinstance(error, OperationTimeoutError)
        assert error.timeout_seconds is None
        assert " so far" in str(error)


@pytest.mark.parametrize("retryable", [True, False])
def test_a_daemon_that_is_unavailable_at_the_end_decides_the_error(retryable: bool) -> None:
    trouble = DaemonUnavailableError(
        "nobody listens", socket_path="/run/x", retryable=retryable, code="UNAVAILABLE"
    )
    error = BecomeStopped().timeout_error("box-1", sandbox(S.READY), 2.5, trouble)
    assert isinstance(error, DaemonUnavailableError)
    assert "within 2.5 s, last seen READY, and the daemon is unavailable: nobody" in str(error)
    assert (error.socket_path, error.retryable, error.code, error.sandbox_id) == (
        *("/run/x", retryable, "UNAVAILABLE", "box-1"),
    )
