"""Steps that read event streams."""

from __future__ import annotations

from typing import Any

from .peer import BOX, events_until, expect, expect_error, history_until, names, subscription
from .releases import Release


async def history(client: Any, release: Release) -> None:
    """The history of a create: each event once, in order, with its details."""
    sides = release.side_containers()
    wanted = sorted(
        [
            "SANDBOX_ACCEPTED",
            "SANDBOX_PREPARING",
            "SANDBOX_READY",
            *[release.side_ready] * len(sides),
        ]
    )
    async with subscription(client, BOX) as events:
        # Some side containers may be reported on either side of READY.
        seen = await events_until(events, lambda seen: len(seen) == len(wanted))
    expect("events", sorted(names(seen)), wanted)
    expect("first events", names(seen)[:2], ["SANDBOX_ACCEPTED", "SANDBOX_PREPARING"])
    expect("sequences", [event.sequence for event in seen], list(range(1, len(wanted) + 1)))
    expect("ids", [event.event_id for event in seen], [f"{BOX}-{e.sequence}" for e in seen])
    expect("phase", seen[1].sandbox_phase.phase, "materialize")
    ready = [
        getattr(e, release.side_details) for e in seen if e.event_type.name == release.side_ready
    ]
    expect("side containers", sorted(getattr(d, release.side_name) for d in ready), sorted(sides))


async def from_sequence(client: Any, release: Release) -> None:
    """A stream starts after the given sequence, which must not be beyond the newest event."""
    async with subscription(client, BOX, from_sequence=1) as events:
        (first,) = await events_until(events, lambda seen: True)
    expect("first event", (first.sequence, first.event_type.name), (2, "SANDBOX_PREPARING"))
    async with subscription(client, BOX, from_sequence=9_999) as events:
        await expect_error(
            anext(events),
            "SandboxSequenceExpiredError",
            "9999",
            sandbox_id=BOX,
            from_sequence=9_999,
        )


async def snapshot(client: Any, release: Release) -> None:
    """A snapshot is the newest event, ahead of the history."""
    head = (await client.get_sandbox(BOX)).last_event_sequence
    async with subscription(client, BOX, include_current_snapshot=True) as events:
        first, second = await events_until(events, lambda seen: len(seen) == 2)
    expect("first event", (first.snapshot, first.sequence), (True, head))
    expect("second event", (second.snapshot, second.sequence), (False, 1))


async def deleted_history(client: Any, release: Release) -> None:
    """The history of a deleted sandbox can still be read, without gaps."""
    seen = await history_until(client, BOX, "SANDBOX_DELETED")
    expect("sequences", [event.sequence for event in seen], list(range(1, len(seen) + 1)))
