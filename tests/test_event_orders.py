"""Whatever streams a daemon sends and however they end, events arrive once and in order."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents_sandbox import (
    DaemonUnavailableError,
    OperationTimeoutError,
    ProtocolError,
    SandboxEvent,
    SandboxEventType,
    SandboxNotFoundError,
    SandboxState,
)
from agents_sandbox._async._subscription import Subscription as AsyncSubscription
from agents_sandbox._deadline import Deadline
from agents_sandbox._sequence import EventSequence
from agents_sandbox._sync_generated._subscription import Break, Subscription

from .examples import share
from .interrupting import Lines

ID = "demo-sandbox"
ENDS: list[Exception | None] = [
    None,
    DaemonUnavailableError("lost"),
    OperationTimeoutError("silent"),
]


@dataclass(frozen=True)
class Script:
    """What the daemon does with one event stream.

    Attributes:
        length: The largest number of events that it sends.
        repeats: How often it sends each event, by position; later ones once.
        ignores_sequence: Whether it ignores the requested sequence and sends all events.
        end: The error that it then raises; None: it ends cleanly.
    """

    length: int
    repeats: Sequence[int]
    ignores_sequence: bool
    end: Exception | None


scripts = st.builds(
    Script,
    length=st.integers(0, 6),
    repeats=st.lists(st.integers(1, 3), max_size=6),
    ignores_sequence=st.booleans(),
    end=st.sampled_from(ENDS),
)


class Stream:
    """One event stream, as the daemon returns it."""

    def __init__(self, events: list[SandboxEvent], end: Exception | None) -> None:
        self._events = events
        self._end = end

    def usable(self) -> bool:
        return True

    def read(self) -> SandboxEvent | None:
        if self._events:
            return self._events.pop(0)
        if self._end is not None:
            raise self._end
        return None

    def cancel(self) -> None:
        self._events = []


class Peer:
    """Replaces the daemon: one sandbox with `head` events, served by scripts.

    When all scripts are used up, the sandbox is purged.
    """

    def __init__(self, head: int, script: list[Script]) -> None:
        self._head = head
        self._script = list(script)

    def subscribe_sandbox_events(
        self, sequence: EventSequence, _: Deadline, /, *, watched: bool
    ) -> Stream:
        if not self._script:
            return Stream([], SandboxNotFoundError(message="purged"))
        script = self._script.pop(0)
        begin = 0 if script.ignores_sequence else sequence.position
        sequences = list(range(begin + 1, self._head + 1))
        if not script.ignores_sequence:
            sequences = sequences[: script.length]
        repeats = [*script.repeats, *[1] * len(sequences)]
        return Stream(
            [
                event(item)
                for item, count in zip(sequences, repeats, strict=False)
                for _ in range(count)
            ],
            script.end,
        )

    def ping_once(self, _: Deadline) -> None:
        return None

    def may_recover(self, _: DaemonUnavailableError) -> bool:
        return True

    def pause(self, _: float, /) -> None:
        return None


def event(sequence: int, sandbox_id: str = ID, snapshot: bool = False) -> SandboxEvent:
    return SandboxEvent(
        f"{sandbox_id}-{sequence}",
        sequence,
        sandbox_id,
        SandboxEventType.UNSPECIFIED,
        None,
        True,
        snapshot,
        SandboxState.UNSPECIFIED,
    )


def subscription(peer: Any, from_sequence: int = 0, snapshot: bool = False) -> Subscription:
    return Subscription(
        peer,
        EventSequence(ID, from_sequence, snapshot),
        Deadline(math.inf),
        rpc_seconds=1.0,
        patience_seconds=math.inf,
    )


def read_all(events: Subscription) -> list[int]:
    """The sequences of all events, until there are no more."""
    seen = []
    try:
        while (item := events.read()) is not Break.END:
            if isinstance(item, SandboxEvent):
                seen.append(item.sequence)
    except SandboxNotFoundError:
        pass
    return seen


@given(st.integers(0, 8), st.integers(0, 8), st.lists(scripts, max_size=12))
def test_events_come_once_each_and_in_order(
    head: int, from_sequence: int, script: list[Script]
) -> None:
    seen = read_all(subscription(Peer(head, script), from_sequence))
    assert seen == list(range(from_sequence + 1, from_sequence + 1 + len(seen)))


@given(st.integers(0, 8), st.lists(scripts, max_size=12))
def test_no_event_is_lost(head: int, script: list[Script]) -> None:
    enough = Script(head, (), False, None)
    assert read_all(subscription(Peer(head, [*script, enough]))) == list(range(1, head + 1))


@given(st.integers(1, 8), st.sets(st.integers(1, 8)))
def test_events_that_were_not_delivered_are_read_again(head: int, interrupted: set[int]) -> None:
    enough = [Script(head, (), False, None)] * 9
    events = subscription(Peer(head, enough))
    seen: list[int] = []
    while len(seen) < head:
        events.begin_step()
        item = events.read()
        if isinstance(item, SandboxEvent) and item.sequence in interrupted:
            interrupted.remove(item.sequence)
        elif isinstance(item, SandboxEvent):
            events.deliver(item)
            seen.append(item.sequence)
    assert seen == list(range(1, head + 1))


def test_a_snapshot_that_was_not_delivered_is_read_again() -> None:
    class Shows(Peer):
        def subscribe_sandbox_events(
            self, sequence: EventSequence, _: Deadline, /, *, watched: bool
        ) -> Stream:
            shown = event(3, snapshot=True)
            return Stream([shown] * sequence.wants_snapshot + [event(1)], None)

    events = subscription(Shows(1, []), snapshot=True)
    for told in (False, True):
        events.begin_step()
        item = events.read()
        assert isinstance(item, SandboxEvent)
        assert (item.snapshot, item.sequence) == (True, 3)
        if told:
            events.deliver(item)
    events.begin_step()
    item = events.read()
    assert isinstance(item, SandboxEvent)
    assert (item.snapshot, item.sequence) == (False, 1)


def test_an_endlessly_repeated_snapshot_is_refused() -> None:
    class Repeats(Peer):
        def subscribe_sandbox_events(self, *_: Any, watched: bool) -> Stream:
            return Stream([event(3, snapshot=True)] * 2000, None)

    events = subscription(Repeats(3, []), snapshot=True)
    item = events.read()
    assert isinstance(item, SandboxEvent)
    events.deliver(item)
    with pytest.raises(ProtocolError, match="sent event 3 over 1000 times"):
        events.read()


def test_streams_that_end_after_a_snapshot_are_opened_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A snapshot shows what was, not that events come: else one daemon could be asked forever."""
    pauses: list[float] = []

    class Shows(Peer):
        def subscribe_sandbox_events(
            self, sequence: EventSequence, _: Deadline, /, *, watched: bool
        ) -> Stream:
            return Stream([event(len(pauses) + 1, snapshot=True)] * sequence.wants_snapshot, None)

        def pause(self, seconds: float, /) -> None:
            pauses.append(seconds)

    monkeypatch.setattr("random.uniform", lambda _, longest: longest)
    events = subscription(Shows(0, []), snapshot=True)
    while len(pauses) < 4:
        item = events.read()
        if isinstance(item, SandboxEvent):
            events.deliver(item)
    assert pauses == [0.05, 0.1, 0.2, 0.4]


class Sends(Peer):
    """A daemon that sends only these events, on the first stream."""

    def __init__(self, sequences: list[int], sandbox_id: str = ID) -> None:
        super().__init__(0, [])
        self._first = [event(item, sandbox_id) for item in sequences]

    def subscribe_sandbox_events(self, *_: Any, watched: bool) -> Stream:
        events, self._first = self._first, []
        return Stream(events, SandboxNotFoundError(message="purged"))


@given(st.lists(st.integers(0, 6), max_size=8))
def test_events_that_go_backwards_are_refused(sequences: list[int]) -> None:
    ascending = sequences == sorted(sequences) and 0 not in sequences
    events = subscription(Sends(sequences))
    if ascending:
        assert read_all(events) == sorted(set(sequences))
    else:
        with pytest.raises(ProtocolError, match=f"events of sandbox '{ID}'") as caught:
            read_all(events)
        assert caught.value.sandbox_id == ID


def test_events_of_another_sandbox_are_refused() -> None:
    with pytest.raises(ProtocolError, match="an event of sandbox 'other'"):
        read_all(subscription(Sends([1], "other")))


@pytest.mark.parametrize("kind", [AsyncSubscription, Subscription])
def test_a_step_begins_after_the_last_delivered_event(kind: type[Any]) -> None:
    events = of_kind(kind, 5)
    events.begin_step()
    assert events.position == 5
    assert events._sequence.accept(event(6))
    assert events.position == 6
    events.begin_step()
    assert events.position == 5


class InOneStream(Peer):
    """A sandbox with a snapshot and four events, whose stream stays open."""

    def __init__(self) -> None:
        super().__init__(4, [])

    def subscribe_sandbox_events(
        self, sequence: EventSequence, _: Deadline, /, *, watched: bool
    ) -> Stream:
        snapshots = [event(2, snapshot=True)] * sequence.wants_snapshot
        news = range(sequence.position + 1, self._head + 1)
        return Stream([*snapshots, *map(event, news)], None)


def step(events: Subscription, seen: list[SandboxEvent]) -> None:
    """One step of a public stream."""
    events.begin_step()
    item = events.read()
    assert isinstance(item, SandboxEvent)
    events.deliver(item)
    seen.append(item)


@pytest.mark.parametrize("nested", share(range(8)))
def test_an_interruption_at_any_line_loses_and_doubles_nothing(nested: int) -> None:
    """`nested`: the line at which the next step, which repairs, is interrupted as well."""
    lines, k = Lines(1), 0
    while not k or lines.reached:
        k += 1
        events, seen = subscription(InOneStream(), snapshot=True), list[SandboxEvent]()
        lines = Lines(k)
        while len(seen) < 3 and not lines.reached:
            lines.run(partial(step, events, seen))
        if nested and lines.reached:
            Lines(nested).run(partial(step, events, []))
        while len(seen) < 5:
            step(events, seen)
        told = [(item.snapshot, item.sequence) for item in seen]
        assert told == [(True, 2), (False, 1), (False, 2), (False, 3), (False, 4)], lines.place
    assert k > 30


@pytest.mark.parametrize("kind", [AsyncSubscription, Subscription])
def test_nothing_comes_after_a_cancel(kind: type[Any]) -> None:
    events = of_kind(kind, 5)
    events.cancel()
    item = events.read()
    if kind is AsyncSubscription:
        item = asyncio.run(item)
    assert item is kind.read.__globals__["Break"].END


def of_kind(kind: type[Any], from_sequence: int) -> Any:
    """A subscription of either flavour that has no transport."""
    return kind(
        None,
        EventSequence(ID, from_sequence),
        Deadline(math.inf),
        rpc_seconds=1.0,
        patience_seconds=math.inf,
    )
