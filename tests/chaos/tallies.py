"""Sums that must be right over all calls of a run."""

from __future__ import annotations

from collections.abc import Iterator

from agents_sandbox import DaemonUnavailableError, ScopeClosedError

from .records import CallRecord
from .truth import Truth

# The RPC of each call that is sent only once and whose loss the caller must learn.
_SENT_ONCE = {
    "stop_sandbox": "StopSandbox",
    "resume_sandbox": "ResumeSandbox",
    "delete_sandboxes": "DeleteSandboxes",
}
_LOSSES = ("restart", "unavailable", "lose_answer", "burn")
_SENT_ONCE_WITH_OWN_ID = {
    "create_sandbox": ("CreateSandbox", "sandbox_id"),
    "sandbox": ("CreateSandbox", "sandbox_id"),
    "create_exec": ("CreateExec", "exec_id"),
    "run": ("CreateExec", "exec_id"),
}


def sandboxes_made(calls: list[CallRecord], truth: Truth) -> Iterator[str]:
    """No create may act twice, and every create that succeeded must have acted."""
    made = [history.handle.labels["call"] for history in truth.histories.values()]
    for token in set(made):
        if made.count(token) > 1:
            yield f"create {token} has made {made.count(token)} sandboxes"
    for call in calls:
        succeeded = call.method in ("create_sandbox", "sandbox") and call.result is not None
        if succeeded and call.arguments["labels"]["call"] not in made:
            yield f"another call made the sandbox: {call}"


def sent_once(calls: list[CallRecord], truth: Truth) -> Iterator[str]:
    """Each loss of a call that is sent once must be reported, and nothing else as a loss.

    A restart can lose further calls; only a stop is requested again after one.
    """
    for name in dict.fromkeys(_rpc_sent_once(call) for call in calls):
        if name is None or (truth.restarts and name == "StopSandbox"):
            continue
        ours = [call for call in calls if _rpc_sent_once(call) == name]
        told = sum(isinstance(call.error, DaemonUnavailableError) for call in ours)
        hits = sum(truth.hits[name][kind] for kind in _LOSSES)
        if told < hits or (told > hits and not truth.restarts):
            yield f"{name} was lost {hits} times, its callers were told {told} times"
        sent = truth.requests[name]
        if sent > len(ours) or (sent < len(ours) and not truth.restarts):
            yield f"{name} was called {len(ours)} times, but sent {sent} times"


def _rpc_sent_once(call: CallRecord) -> str | None:
    if isinstance(call.error, ScopeClosedError):
        return None  # it was too late to send it
    rpc, argument = _SENT_ONCE_WITH_OWN_ID.get(call.method, (None, ""))
    if call.arguments.get(argument) is not None:
        return rpc
    return _SENT_ONCE.get(call.method)
