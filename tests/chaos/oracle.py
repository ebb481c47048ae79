"""The judge: which outcomes each call of a run may have, given what really happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agents_sandbox import (
    DaemonUnavailableError,
    SandboxClientError,
    SandboxConflictError,
    SandboxEventType,
    SandboxFailedError,
    SandboxHandle,
    SandboxInvalidStateError,
    SandboxNotFoundError,
    SandboxNotReadyError,
    SandboxState,
    ScopeClosedError,
)

from .exec_oracle import judge_cancel, judge_exec
from .plan import Plan
from .records import CallRecord
from .tallies import sandboxes_made, sent_once
from .truth import History, Truth, Window
from .verdicts import Complaints, fresh, unavailable

_GONE = {SandboxState.DELETING, SandboxState.DELETED}


def judge(plan: Plan, calls: list[CallRecord], truth: Truth) -> list[str]:
    """Return what is wrong with the outcomes of a run's calls."""
    wrong = [
        f"{complaint}: {call}"
        for call in calls
        for complaint in _JUDGES[call.method](call, Case(plan, calls, truth))
    ]
    return [*wrong, *sandboxes_made(calls, truth), *sent_once(calls, truth)]


class Case:
    """The context of a call."""

    def __init__(self, plan: Plan, calls: list[CallRecord], truth: Truth) -> None:
        self.plan = plan
        self.calls = calls
        self.truth = truth

    def history(self, sandbox_id: str | None) -> History | None:
        """What happened to a sandbox; None if it never existed."""
        return self.truth.histories.get(sandbox_id or "")


def window_of(call: CallRecord) -> Window:
    """The time during which a call was in progress."""
    return Window(call.begun, call.ended)


def _done(call: CallRecord, case: Case, state: SandboxState, kind: SandboxEventType) -> Complaints:
    """Judge the result of a call that brings a sandbox into a state."""
    yield from _snapshot(call, case, call.result)
    if call.waits:
        yield from _reached(call, case, state, kind)


def _create(call: CallRecord, case: Case) -> Complaints:
    own_id = call.arguments.get("sandbox_id")
    if call.error is None:
        if own_id not in (None, call.result.sandbox_id):
            yield "it is not the requested sandbox"
        if call.result.labels != call.arguments["labels"]:
            yield "the labels are not the requested ones"
        yield from _done(call, case, SandboxState.READY, SandboxEventType.SANDBOX_READY)
    elif isinstance(call.error, SandboxConflictError):
        if own_id is None:
            yield "refused as a conflict, but no other caller knows the id"
        others = (other for other in case.calls if other is not call)
        if not any(other.arguments.get("sandbox_id") == own_id for other in others):
            yield "no other caller used the id"
        yield from _carried_out_by_another(call, case)
    else:
        yield from unavailable(call, may_be=own_id is not None)
        yield from _lifted(call, case)


def _block(call: CallRecord, case: Case) -> Complaints:
    """Judge a create whose sandbox is deleted at the end, whatever happened."""
    if call.result is not None:
        if call.error is not None:
            yield "the end of a block with a daemon always succeeds"
        if not call.arguments["labels"].items() <= dict(call.result.labels).items():
            yield "the labels are not the requested ones"
        yield from _done(call, case, SandboxState.READY, SandboxEventType.SANDBOX_READY)
    elif not isinstance(call.error, ScopeClosedError):
        yield from unavailable(call, may_be=call.arguments["sandbox_id"] is not None)
        yield from _lifted(call, case)
    for sandbox_id, history in case.truth.histories.items():
        ours = history.handle.labels["call"] == call.arguments["labels"]["call"]
        if ours and history.handle.state is not SandboxState.DELETED:
            yield f"{sandbox_id} was left behind"


def _carried_out_by_another(call: CallRecord, case: Case) -> Complaints:
    """A create that was refused has not made the sandbox: another one has, or burnt its id."""
    history = case.history(call.arguments["sandbox_id"])
    if history is None:
        made = bool(case.truth.hits.get("CreateSandbox", {}).get("burn"))
    else:
        made = history.handle.labels != call.arguments["labels"]
    if not made:
        yield "refused, and no other caller made it"


def _resume(call: CallRecord, case: Case) -> Complaints:
    if call.error is None:
        yield from _done(call, case, SandboxState.READY, SandboxEventType.SANDBOX_READY)
        return
    yield from unavailable(call, may_be=True)
    yield from _refused(call, case, needs=SandboxState.STOPPED)
    yield from _lifted(call, case)


def _lifted(call: CallRecord, case: Case) -> Complaints:
    """Judge the errors of a wait until a sandbox is READY."""
    named = call.error.sandbox_id if isinstance(call.error, SandboxClientError) else None
    history = case.history(named)
    if isinstance(call.error, SandboxFailedError):
        yield from _failed(call, history)
    elif isinstance(call.error, SandboxNotReadyError) and not call.error.reason:
        states = set() if history is None else history.states_in(window_of(call))
        if not states & {SandboxState.STOPPED, *_GONE}:
            yield "no other caller stopped or deleted it"
    elif not isinstance(call.error, (DaemonUnavailableError, SandboxInvalidStateError)):
        yield "not an error of this call"


def _stop(call: CallRecord, case: Case) -> Complaints:
    if call.error is None:
        yield from _done(call, case, SandboxState.STOPPED, SandboxEventType.SANDBOX_STOPPED)
        return
    yield from unavailable(call, may_be=True)
    yield from _refused(call, case, needs=SandboxState.READY)
    history = case.history(call.arguments["sandbox_id"])
    if isinstance(call.error, SandboxFailedError):
        yield from _failed(call, history)
        if history and _stopped_after_failure(call, history):
            yield "a failure that was none: the sandbox was about to be STOPPED"
    elif type(call.error) is SandboxInvalidStateError and not call.error.reason:
        if history is None or not _undone_by_another(call, history):
            yield "no other caller deleted or resumed it"
    elif not isinstance(call.error, (DaemonUnavailableError, SandboxInvalidStateError)):
        yield "not an error of this call"


def _stopped_after_failure(call: CallRecord, history: History) -> bool:
    failures = history.of_type(SandboxEventType.SANDBOX_FAILED, window_of(call))
    stops = history.of_type(SandboxEventType.SANDBOX_STOPPED)
    return any(stop.sequence > failure.sequence for failure in failures[-1:] for stop in stops)


def _undone_by_another(call: CallRecord, history: History) -> bool:
    """Whether the sandbox was deleted during a stop, or resumed after it."""
    kinds = [event.event_type for event in history.within(window_of(call))]
    if SandboxEventType.SANDBOX_STOPPED in kinds:
        kinds = kinds[kinds.index(SandboxEventType.SANDBOX_STOPPED) :]
        if SandboxEventType.SANDBOX_ACCEPTED in kinds:
            return True
    return SandboxState.DELETED in history.states_in(window_of(call))


def _delete(call: CallRecord, case: Case) -> Complaints:
    if call.error is not None:
        yield "a delete of a sandbox that is there always succeeds"
        return
    yield from _snapshot(call, case, call.result)
    history = case.history(call.arguments["sandbox_id"])
    if history is None:
        yield "there is no such sandbox"
    elif not call.waits:
        if not history.head_before(call.ended + 2) or not history.of_type(_DELETE, None):
            yield "the daemon did not receive the request"
    else:
        if call.result.state is not SandboxState.DELETED:
            yield "it is not DELETED"
        yield from _stays_deleted(history, call.ended)


_DELETE = SandboxEventType.SANDBOX_DELETE_REQUESTED


def _stays_deleted(history: History, since: int) -> Complaints:
    head = history.head_before(since + 2)
    later = {history.state_at(event.sequence) for event in history.events[head:]}
    if {history.state_at(head), history.handle.state, *later} != {SandboxState.DELETED}:
        yield "it was not deleted for good"


def _delete_many(call: CallRecord, case: Case) -> Complaints:
    if call.error is not None:
        yield from unavailable(call, may_be=True)
        if not isinstance(call.error, DaemonUnavailableError):
            yield "not an error of this call"
        return
    begun, selector = list(call.result.deleted_sandbox_ids), call.arguments["label_selector"]
    if begun != sorted(set(begun)) or len(begun) != call.result.deleted_count:
        yield "the ids are not sorted, or not counted"
    for history in case.truth.histories.values():
        sandbox_id = history.handle.sandbox_id
        matches = selector.items() <= dict(history.handle.labels).items()
        asked = history.of_type(_DELETE, window_of(call))
        states = history.states_in(window_of(call))
        if sandbox_id in begun:
            if not matches or not asked:
                yield f"{sandbox_id} should not have been deleted, or another call deleted it"
            if call.waits:
                yield from _stays_deleted(history, call.ended)
        elif matches and not asked and not states & {SandboxState.UNSPECIFIED, *_GONE}:
            yield f"{sandbox_id} was left out"


def _get(call: CallRecord, case: Case) -> Complaints:
    if call.error is None:
        yield from _snapshot(call, case, call.result)
        return
    history = case.history(call.arguments["sandbox_id"])
    if not isinstance(call.error, SandboxNotFoundError):
        yield "not an error of this call"
    elif history is not None and history.head_before(call.begun):
        yield "it was there"


def _list(call: CallRecord, case: Case) -> Complaints:
    if call.error is not None:
        yield "a read always succeeds"
        return
    listed = {handle.sandbox_id for handle in call.result}
    for handle in call.result:
        yield from _snapshot(call, case, handle)
    for sandbox_id, history in case.truth.histories.items():
        states = history.states_in(window_of(call))
        hidden = {SandboxState.UNSPECIFIED, SandboxState.DELETED}
        if sandbox_id not in listed and not states & hidden:
            yield f"{sandbox_id} is missing"


def _snapshot(call: CallRecord, case: Case, handle: SandboxHandle) -> Complaints:
    """The snapshot must show the sandbox after one event that is no older than the call."""
    history = case.history(handle.sandbox_id)
    if history is None:
        yield "there is no such sandbox"
        return
    yield from fresh(call, history, handle.last_event_sequence)
    if handle.state is not history.state_at(handle.last_event_sequence):
        yield f"the state after event {handle.last_event_sequence} was another one"
    if handle.labels != history.handle.labels or handle.image != history.handle.image:
        yield "the snapshot is of another sandbox"


def _reached(
    call: CallRecord, case: Case, state: SandboxState, kind: SandboxEventType
) -> Complaints:
    """The sandbox must have reached the state during the call and be in it at the end."""
    history = case.history(call.result.sandbox_id)
    if call.result.state is not state:
        yield f"it is not {state.name}"
    events = [] if history is None else history.of_type(kind, window_of(call))
    if not any(event.sequence <= call.result.last_event_sequence for event in events):
        yield f"it became {state.name} at no time during the call"


def _failed(call: CallRecord, history: History | None) -> Complaints:
    assert isinstance(call.error, SandboxFailedError)
    kind = SandboxEventType.SANDBOX_FAILED
    events = [] if history is None else history.of_type(kind, window_of(call))
    told = (call.error.error_code, call.error.error_message)
    phases = [event.sandbox_phase for event in events]
    if told not in [(phase.error_code, phase.error_message) for phase in phases if phase]:
        yield "the sandbox did not fail with that"


def _refused(call: CallRecord, case: Case, *, needs: SandboxState) -> Complaints:
    if not isinstance(call.error, SandboxInvalidStateError) or not call.error.reason:
        return
    history = case.history(call.arguments["sandbox_id"])
    if history is None or history.states_in(window_of(call)) == {needs}:
        yield f"it was {needs.name} all the time"


_JUDGES: dict[str, Callable[[CallRecord, Any], Complaints]] = {
    "create_sandbox": _create,
    "sandbox": _block,
    "resume_sandbox": _resume,
    "stop_sandbox": _stop,
    "delete_sandbox": _delete,
    "delete_sandboxes": _delete_many,
    "get_sandbox": _get,
    "list_sandboxes": _list,
    "create_exec": judge_exec,
    "run": judge_exec,
    "cancel_exec": judge_cancel,
}
