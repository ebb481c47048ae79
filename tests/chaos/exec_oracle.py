"""The judge of execs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents_sandbox import (
    DaemonUnavailableError,
    ExecAlreadyTerminalError,
    ExecConflictError,
    ExecHandle,
    ExecNotFoundError,
    ExecState,
    OutputUnavailableError,
    SandboxEventType,
    SandboxNotReadyError,
    SandboxState,
)

from .records import CallRecord
from .truth import History, Window, moment
from .verdicts import Complaints, fresh, unavailable

if TYPE_CHECKING:
    from .oracle import Case

_ENDS_OF_CONTAINER = (
    SandboxEventType.SANDBOX_STOP_REQUESTED,
    SandboxEventType.SANDBOX_DELETE_REQUESTED,
    SandboxEventType.SANDBOX_FAILED,
)

# An exec that was accepted, and whose container was removed before it started.
_NOT_STARTED = "No such container"


def judge_exec(call: CallRecord, case: Case) -> Complaints:
    """Judge a `run` or a `create_exec`."""
    own_id = call.arguments.get("exec_id")
    made = [item for item in case.truth.execs.values() if item.command == call.arguments["command"]]
    if len(made) > 1:
        yield f"it was carried out {len(made)} times"
    if call.error is None:
        if [item.exec_id for item in made] != [call.result.exec_id]:
            yield "it was not carried out"
        elif own_id not in (None, call.result.exec_id):
            yield "it is not the requested exec"
        else:
            yield from _result(call, case, call.result)
            yield from _logs(call, case)
            yield from _played(case, made[0])
    else:
        yield from unavailable(call, may_be=own_id is not None)
        yield from _error(call, case, made)


def _result(call: CallRecord, case: Case, handle: ExecHandle) -> Complaints:
    """The snapshot must show the exec as it was after some event during the call."""
    history = case.history(handle.sandbox_id)
    if history is None:
        yield "there is no such sandbox"
        return
    yield from fresh(call, history, handle.last_event_sequence)
    events = list(history.of_exec(handle.exec_id))
    seen = [event for event in events if event.sequence <= handle.last_event_sequence]
    details = seen[-1].exec if seen else None
    if details is None or details.exec_state is not handle.state:
        yield f"the exec's state after event {handle.last_event_sequence} was another one"
    elif (details.exit_code, details.error_message) != (handle.exit_code, handle.error):
        yield "the exec has ended otherwise"
    waits = call.arguments.get("wait", call.method != "create_exec")
    if waits and not handle.state.is_terminal:
        yield "the exec has not ended"


def _logs(call: CallRecord, case: Case) -> Complaints:
    """Only a lost answer leaves an exec without log paths."""
    lost = case.truth.restarts or case.truth.hits["CreateExec"]["lose_answer"]
    if None in (call.result.stdout_log_path, call.result.stderr_log_path) and not lost:
        yield "the paths of the logs are missing"


def _played(case: Case, truth: ExecHandle) -> Complaints:
    """The exec must have ended as its command says, unless something happened to it."""
    history = case.history(truth.sandbox_id)
    assert history is not None
    (*_, last) = history.of_exec(truth.exec_id)
    assert last.exec is not None
    if truth.state is ExecState.CANCELLED:
        cancels = (call for call in case.calls if call.method == "cancel_exec")
        if all(call.arguments["exec_id"] != truth.exec_id for call in cancels):
            yield "no call cancelled it"
    elif last.exec.error_code == "DAEMON_RESTARTED":
        if not any(moment(last) in restart for restart in case.truth.restarts):
            yield "the daemon was not restarted"
    elif truth.exit_code == 137 or _NOT_STARTED in (truth.error or ""):
        earlier = history.events[: last.sequence]
        if not any(event.event_type in _ENDS_OF_CONTAINER for event in earlier):
            yield "nothing killed it"
    elif truth.state.is_terminal and truth.command[:2] != ("exit", str(truth.exit_code)):
        yield "the command ends with another code"


def _error(call: CallRecord, case: Case, made: list[ExecHandle]) -> Complaints:
    history = case.history(call.arguments["sandbox_id"])
    if isinstance(call.error, SandboxNotReadyError) and call.error.reason:
        states = set() if history is None else history.states_in(Window(call.begun, call.ended))
        if states == {SandboxState.READY}:
            yield "the sandbox was READY all the time"
        if made:
            yield "refused, but it was carried out"
    elif isinstance(call.error, ExecConflictError):
        others = (other for other in case.calls if other is not call)
        own_id = call.arguments.get("exec_id")
        if own_id is None or all(other.arguments.get("exec_id") != own_id for other in others):
            yield "no other caller used the id"
    elif isinstance(call.error, OutputUnavailableError):
        lost = case.truth.hits.get("CreateExec", {}).get("lose_answer")
        removed = any(handle.exit_code == 137 for handle in made)  # with its sandbox
        if "on_stdout" not in call.arguments or not (lost or removed):
            yield "its output was there"
    elif not isinstance(call.error, DaemonUnavailableError):
        # Each exec of these runs reports its end, whatever happens to its sandbox.
        yield "not an error of this call"


def judge_cancel(call: CallRecord, case: Case) -> Complaints:
    """Judge a `cancel_exec`."""
    truth = case.truth.execs.get(call.arguments["exec_id"])
    if call.error is None:
        if truth is None or truth.state is not ExecState.CANCELLED:
            yield "it was not cancelled"
        elif call.result.state is not ExecState.CANCELLED:
            yield "its handle is not CANCELLED"
        else:
            yield from _result(call, case, call.result)
    elif isinstance(call.error, ExecAlreadyTerminalError):
        if truth is None or not _ended_before(case, truth, call):
            yield "it had not ended by itself"
    elif isinstance(call.error, ExecNotFoundError):
        if truth is not None:
            yield "it exists"
    else:
        yield "not an error of this call"


def _ended_before(case: Case, truth: ExecHandle, call: CallRecord) -> bool:
    """Whether an exec had ended, and not because of this call."""
    history = case.history(truth.sandbox_id)
    if not truth.state.is_terminal or not isinstance(history, History):
        return False
    (*_, last) = history.of_exec(truth.exec_id)
    if moment(last) > call.ended + 1:
        return False
    others = (other for other in case.calls if other is not call and other.method == call.method)
    return truth.state is not ExecState.CANCELLED or any(
        other.arguments["exec_id"] == truth.exec_id for other in others
    )
