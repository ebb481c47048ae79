"""Times differ between runs, but their relations do not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from google.protobuf.timestamp_pb2 import Timestamp

from .transcripts import Event, Json

FIELDS = frozenset({"created_at", "state_changed_at", "occurred_at"})


def nanoseconds(text: str) -> int:
    """A time in protobuf JSON as a number."""
    time = Timestamp()
    time.FromJsonString(text)
    return time.ToNanoseconds()


@dataclass
class Chronicle:
    """All events of one side, recorded or replayed, from all streams."""

    _events: dict[str, dict[int, Event]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    """What is wrong with the times of the events themselves."""

    def add(self, events: Iterable[Event]) -> None:
        """Add events, and compare them with the same events of other streams."""
        for event in events:
            known = self._events.setdefault(event["sandbox_id"], {})
            sequence = int(event["sequence"])
            if _is_made_up(event):
                newest = known.get(sequence, event)["occurred_at"]
                if nanoseconds(event["occurred_at"]) < nanoseconds(newest):
                    self.faults.append(f"{event['event_id']} is older than the newest event")
            elif known.setdefault(sequence, event)["occurred_at"] != event["occurred_at"]:
                self.faults.append(f"{event['event_id']} has two times")

    def check_order(self) -> list[str]:
        """Find the events that are older than the previous one."""
        found = list(self.faults)
        for known in self._events.values():
            events = [known[sequence] for sequence in sorted(known)]
            for earlier, later in pairwise(events):
                if nanoseconds(later["occurred_at"]) < nanoseconds(earlier["occurred_at"]):
                    found.append(f"{later['event_id']} is older than {earlier['event_id']}")
        return found

    def relations(self, handle: Json) -> dict[str, str]:
        """Return the events that a handle's times belong to."""
        known = self._events.get(handle["sandbox_id"], {})
        found = {}
        if "state_changed_at" in handle:
            found["state changed"] = self._moment(known, handle["state_changed_at"])
        if "created_at" in handle and 1 in known:
            accepted = nanoseconds(known[1]["occurred_at"])
            created = nanoseconds(handle["created_at"])
            found["created"] = _relation(created, accepted)
        return found

    def _moment(self, known: dict[int, Event], time: str) -> str:
        """Name an event by its type and how many came before: sequences depend on other events."""
        wanted, turns = nanoseconds(time), dict[str, int]()
        for sequence in sorted(known):
            kind = known[sequence]["event_type"]
            turns[kind] = turns.get(kind, 0) + 1
            if nanoseconds(known[sequence]["occurred_at"]) == wanted:
                return f"the time of {kind} no. {turns[kind]}"
        return "the time of no event"


def _is_made_up(event: Event) -> bool:
    """Whether a snapshot generated it for a running exec."""
    return bool(event.get("snapshot")) and "-snapshot-" in event["event_id"]


def _relation(time: int, other: int) -> str:
    word = "before" if time < other else "after" if time > other else "at"
    return f"{word} event 1"
