"""What a daemon leaves open: the order of some events, and who sees a deadline first.

Events whose order is open are brought into one order; all others stay as they are.

Each such window is listed in `transcripts/README.md`. Another timing-dependent part listed there is
the FAILED during a stop by a daemon of dialect 0.2. Every recorded stop and every stop of the fake
daemon has it, so it is compared like any other event.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from .transcripts import Event, Json, Transcript
from .wire import CLOSED

_RACING_FIELDS = ("optional_services", "companion_containers")
STARTS = (
    "SANDBOX_SERVICE_READY",
    "SANDBOX_SERVICE_FAILED",
    "COMPANION_CONTAINER_READY",
    "COMPANION_CONTAINER_FAILED",
)


_CODES_AT_DEADLINE = ("DEADLINE_EXCEEDED", "CANCELLED")


def may_end_at_deadline(recorded: Json, end: str | None, error: Json) -> bool:
    """Whether a stream may end like this, given the recorded error if it had a deadline.

    The daemon sees the deadline, too: of 200 streams it ended 63 with OK and 31 with CANCELLED
    before the client's own DEADLINE_EXCEEDED. The fake daemon leaves all of them to the client.
    """
    if recorded is None or recorded["code"] != "DEADLINE_EXCEEDED":
        return False
    return end == CLOSED if error is None else error["code"] in _CODES_AT_DEADLINE


def racing_containers(transcript: Transcript) -> dict[str, set[str]]:
    """The side containers of each sandbox whose start its create does not wait for."""
    handles = (step["response"].get("sandbox", {}) for step in transcript.steps if _answered(step))
    return {
        handle["sandbox_id"]: {
            item["name"] for field in _RACING_FIELDS for item in handle.get(field, ())
        }
        for handle in handles
        if handle
    }


def _answered(step: Event) -> bool:
    return step.get("rpc") == "CreateSandbox" and "response" in step


def settled(events: Sequence[Event], racing: Collection[str]) -> list[Event]:
    """A stream's events in one order, which represents all orders that a daemon may choose.

    Args:
        events: The events of one sandbox in order of arrival.
        racing: Its side containers whose start its create does not wait for.
    """
    snapshot = [event for event in events if event.get("snapshot")]
    history = [event for event in events if not event.get("snapshot")]
    ordered = _ends_before_deletion(_starts_after_readiness(history, racing))
    return [*_snapshot_by_exec(snapshot), *_renumbered(ordered, history)]


def _snapshot_by_exec(snapshot: Sequence[Event]) -> list[Event]:
    """Sort the running execs of a snapshot, which follow the newest event in any order."""
    return [*snapshot[:1], *sorted(snapshot[1:], key=_exec_id)]


def _starts_after_readiness(history: Sequence[Event], racing: Collection[str]) -> list[Event]:
    """Put the starts of racing containers after READY: they may come before or after it."""
    ready = next((e for e in history if e["event_type"] == "SANDBOX_READY"), None)
    starts: dict[str, Event] = {}
    for event in history if ready else ():
        name = container_of(event)
        if event["event_type"] in STARTS and name in racing:
            starts.setdefault(name, event)
    ordered: list[Event] = []
    for event in history:
        if event not in starts.values():
            ordered.append(event)
        if event is ready:
            state = "PENDING or READY"
            ordered += ({**starts[name], "sandbox_state": state} for name in sorted(starts))
    return ordered


def _ends_before_deletion(history: Sequence[Event]) -> list[Event]:
    """Put killed execs before DELETED: their ends may be reported before or after it."""
    ordered: list[Event] = []
    for event in history:
        position = len(ordered)
        while position and _killed(event) and _passes(ordered[position - 1], event):
            position -= 1
        ordered.insert(position, event)
    return ordered


def _killed(event: Event) -> bool:
    return bool(event.get("exec", {}).get("error_code") == "EXEC_RUN_FAILED")


def _passes(earlier: Event, killed: Event) -> bool:
    if _killed(earlier):
        return _exec_id(earlier) > _exec_id(killed)
    return bool(earlier["event_type"] == "SANDBOX_DELETED")


def _renumbered(ordered: Iterable[Event], history: Iterable[Event]) -> list[Event]:
    renumbered: list[Event] = []
    for event, place in zip(ordered, history, strict=True):
        own = f"{event['sandbox_id']}-{event['sequence']}"
        new = {**event, "sequence": place["sequence"]}
        if event["event_id"] == own:  # otherwise it is wrong and stays wrong
            new["event_id"] = f"{event['sandbox_id']}-{place['sequence']}"
        renumbered.append(new)
    return renumbered


def container_of(event: Event) -> str:
    """The name of the side container that an event is about; empty: none."""
    details = event.get("service", event.get("companion_container", {}))
    return str(details.get("service_name", details.get("name", "")))


def _exec_id(event: Event) -> str:
    return str(event.get("exec", {}).get("exec_id", ""))
