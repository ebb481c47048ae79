"""What the events of a sandbox say about its life, and how much of it a picture has room for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

from .._enums import SandboxEventType, SandboxState
from .._shared.markup import printable
from .._shared.shown import shortened, shown, shown_id
from ..errors import InvalidArgumentError, InvalidArgumentTypeError
from ..models import ExecEventDetails, SandboxEvent
from .life import (
    CANCELLED,
    FAILED,
    FINISHED,
    RUNNING,
    UNKNOWN,
    VARIOUS,
    Exec,
    Life,
    Restart,
    Segment,
)

# What a picture has room for. The rest is counted.
_EXECS = 30
_SERVICES = 10
_SEGMENTS = 60
_SERVICE_SEGMENTS = 20
_RESTARTS = 20
_COLUMNS = 80

_TEXT = 160

# The daemon's codes for work that a restart has ended. Recorded.
_RESTARTED = frozenset({"DAEMON_RESTARTED", "INTERRUPTED_PENDING"})

_AT_AN_END = (SandboxState.STOPPED, SandboxState.FAILED, SandboxState.DELETED)

_ENDS = {
    SandboxEventType.EXEC_FINISHED: FINISHED,
    SandboxEventType.EXEC_FAILED: FAILED,
    SandboxEventType.EXEC_CANCELLED: CANCELLED,
}
# Those that a reader looks for come first.
_RANKS = {FAILED: 0, CANCELLED: 1, UNKNOWN: 1, RUNNING: 2, FINISHED: 3}

_SERVICE_STATES = {
    SandboxEventType.COMPANION_CONTAINER_READY: "ready",
    SandboxEventType.COMPANION_CONTAINER_FAILED: FAILED,
}


def life_of(events: Iterable[object]) -> Life:
    """Read the life of a sandbox from its events, in any order.

    Raises:
        InvalidArgumentTypeError: They are no events.
        InvalidArgumentError: They are of several sandboxes.
    """
    ordered = _checked(events)
    life = Life(events=len(ordered))
    if not ordered:
        return life
    life.sandbox_id = printable(shortened(ordered[0].sandbox_id, _TEXT))
    life.begin, times = _times(ordered)
    life.length = times[-1]
    _add_states(life, ordered, times)
    _add_execs(life, ordered, times)
    _add_services(life, ordered, times)
    _add_restarts(life, ordered, times)
    return life


def _checked(events: Iterable[object]) -> list[SandboxEvent]:
    # Ours are the streams, which do not end by themselves: the call would hang.
    if not isinstance(events, Iterable) or type(events).__module__ == "agents_sandbox":
        raise InvalidArgumentTypeError(
            f"events must be a list of SandboxEvent, not {shown(events)}: a stream does not end by "
            "itself, so collect its events first"
        )
    ordered: list[SandboxEvent] = []
    for number, event in enumerate(events):
        if not isinstance(event, SandboxEvent):
            raise InvalidArgumentTypeError(
                f"events[{number}] must be a SandboxEvent, not {shown(event)}"
            )
        if ordered and event.sandbox_id != ordered[0].sandbox_id:
            raise InvalidArgumentError(
                f"events must be of one sandbox: events[{number}] is of "
                f"{shown_id(event.sandbox_id)}, others are of {shown_id(ordered[0].sandbox_id)}"
            )
        ordered.append(event)
    return sorted(ordered, key=lambda event: event.sequence)


def _times(events: Sequence[SandboxEvent]) -> tuple[datetime | None, list[float]]:
    """Return the first time, and that of each event in seconds after it; none goes back."""
    known = [_utc(event.occurred_at) for event in events if event.occurred_at is not None]
    if not known:
        return None, [float(number) for number in range(len(events))]
    begin, now = known[0], 0.0
    times = []
    for event in events:
        if event.occurred_at is not None:
            now = max(now, (_utc(event.occurred_at) - begin).total_seconds())
        times.append(now)
    return begin, times


def _utc(time: datetime) -> datetime:
    return time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)


def _add_states(life: Life, events: Sequence[SandboxEvent], times: Sequence[float]) -> None:
    segments: list[Segment] = []
    state, since, note = SandboxState.UNSPECIFIED, 0.0, ""
    for event, time in zip(events, times, strict=True):
        if not event.sandbox_state or event.sandbox_state == state:
            continue
        if state and state != SandboxState.DELETED:
            segments.append(Segment(since, time, state.name, note))
        state, since, note = event.sandbox_state, time, ""
        details = event.sandbox_phase
        if details is not None:
            note = _reason(details.error_code, details.error_message) or _text(details.reason)
        life.failure = note if state == SandboxState.FAILED else ""
    if state and state != SandboxState.DELETED:
        segments.append(Segment(since, life.length, state.name, note, is_open=True))
    life.states = _merged(segments, life.length, _SEGMENTS)
    life.going_on = state != SandboxState.DELETED


def _add_execs(life: Life, events: Sequence[SandboxEvent], times: Sequence[float]) -> None:
    known: dict[str, Exec] = {}
    running: dict[str, Exec] = {}
    for event, time in zip(events, times, strict=True):
        if event.sandbox_state in _AT_AN_END:
            for one in running.values():  # unless their end follows
                one.end, one.outcome, one.text = time, UNKNOWN, "end unknown"
            running.clear()
        details = event.exec
        if details is None:
            continue
        if event.event_type in _ENDS:
            # Without its start it began before these events.
            one = known.setdefault(details.exec_id, Exec(_text(details.exec_id), 0.0, time))
            running.pop(details.exec_id, None)
            _end(one, details, time, _ENDS[event.event_type])
        elif details.exec_id not in known:
            one = Exec(_text(details.exec_id), time, life.length)
            known[details.exec_id] = running[details.exec_id] = one
    execs = list(known.values())
    life.outcomes = Counter(one.outcome for one in execs)
    ranked = sorted(execs, key=lambda one: (_RANKS[one.outcome], one.begin - one.end, one.begin))
    life.execs = sorted(ranked[:_EXECS], key=lambda one: one.begin)
    others = ranked[_EXECS:]
    life.others_outcomes = Counter(one.outcome for one in others)
    life.others = _at_once(others, life.length) if others else []


def _end(one: Exec, details: ExecEventDetails, time: float, outcome: str) -> None:
    one.end, one.outcome = time, outcome
    if details.exit_code is not None:
        one.text = f"exit {shortened(str(details.exit_code), 12)}"
    else:
        one.code = _text(details.error_code, 40)
        one.text = one.code or outcome
    one.note = _reason(details.error_code, details.error_message)


def _at_once(execs: Iterable[Exec], length: float) -> list[int]:
    """Count how many execs ran in each of equal parts of a life."""
    changes = [0] * (_COLUMNS + 1)
    for one in execs:
        first, last = (
            min(int(time / length * _COLUMNS), _COLUMNS - 1) if length else 0
            for time in (one.begin, one.end)
        )
        changes[first] += 1
        changes[last + 1] -= 1
    counts, now = [], 0
    for change in changes[:-1]:
        now += change
        counts.append(now)
    return counts


def _add_services(life: Life, events: Sequence[SandboxEvent], times: Sequence[float]) -> None:
    bands: dict[str, list[Segment]] = {}
    current: dict[str, tuple[float, str, str]] = {}

    def close(name: str, time: float, *, is_open: bool = False) -> None:
        if name in current:
            begin, label, note = current.pop(name)
            bands[name].append(Segment(begin, time, label, note, is_open))

    for event, time in zip(events, times, strict=True):
        if event.service is not None and event.event_type in _SERVICE_STATES:
            details = event.service
            close(details.service_name, time)
            bands.setdefault(details.service_name, [])
            note = _reason(details.error_code, details.error_message)
            current[details.service_name] = (time, _SERVICE_STATES[event.event_type], note)
        if event.sandbox_state in _AT_AN_END:
            for name in [*current]:
                close(name, time)
    for name in [*current]:
        close(name, life.length, is_open=True)
    failed_first = sorted(
        bands, key=lambda name: all(segment.label != FAILED for segment in bands[name])
    )
    drawn = {*failed_first[:_SERVICES]}
    life.other_services = len(bands) - len(drawn)
    life.services = [
        (_text(name), _merged(segments, life.length, _SERVICE_SEGMENTS))
        for name, segments in bands.items()
        if name in drawn
    ]


def _add_restarts(life: Life, events: Sequence[SandboxEvent], times: Sequence[float]) -> None:
    restarts: list[Restart] = []
    before, told = 0.0, False
    for event, time in zip(events, times, strict=True):
        details = event.exec or event.sandbox_phase
        tells = details is not None and details.error_code in _RESTARTED
        if tells and not told:  # one restart ends many execs
            restarts.append(Restart(before, time))
        before, told = time, tells
    life.all_restarts = len(restarts)
    life.restarts = restarts[-_RESTARTS:]


def _merged(segments: list[Segment], length: float, limit: int) -> list[Segment]:
    """Merge neighbours that are too short to be seen, so that there are at most `2 * limit + 1`."""
    if len(segments) <= limit:
        return segments
    merged: list[Segment] = []
    for segment in segments:
        if segment.end - segment.begin > length / limit:
            merged.append(segment)
        elif merged and merged[-1].label == VARIOUS:
            merged[-1] = Segment(merged[-1].begin, segment.end, VARIOUS)
        else:
            merged.append(Segment(segment.begin, segment.end, VARIOUS))
    return merged


def _reason(code: str | None, message: str | None) -> str:
    return ": ".join(text for text in (_text(code), _text(message)) if text)


def _text(text: str | None, limit: int = _TEXT) -> str:
    return printable(shortened(text or "", limit))
