"""The comparison of delivered and true events detects each kind of difference."""

from __future__ import annotations

import dataclasses

import pytest

from agents_sandbox import SandboxEvent, SandboxEventType, SandboxState

from .records import THE_END, Comparison, Followed, compare


def event(sequence: int, event_id: str = "") -> SandboxEvent:
    kind, state = SandboxEventType.UNSPECIFIED, SandboxState.UNSPECIFIED
    name = event_id or f"box-1-{sequence}"
    return SandboxEvent(name, sequence, "box-1", kind, None, True, False, state)


TRUTH = [event(1), event(2), event(3), event(4, THE_END)]


@pytest.mark.parametrize(
    ("given", "left", "expected"),
    [
        ([1, 2, 3, 4], False, Comparison(4)),
        ([1, 2], True, Comparison(2)),
        ([], True, Comparison()),
        ([1, 2], False, Comparison(2, lost=2)),
        ([1, 3, 4], False, Comparison(3, lost=1)),
        ([1, 2, 2, 3, 4], False, Comparison(5, doubled=1)),
        ([2, 1, 3, 4], False, Comparison(4, misordered=1)),
    ],
)
def test_differences_are_counted(given: list[int], left: bool, expected: Comparison) -> None:
    followed = Followed("box-1", "faithful", [TRUTH[sequence - 1] for sequence in given], left)
    seen = compare(followed, TRUTH)
    assert seen == expected
    assert seen.wrong is (seen not in (Comparison(4), Comparison(2), Comparison()))


def test_an_event_that_never_happened_is_detected() -> None:
    altered = dataclasses.replace(TRUTH[1], replay=False)
    followed = Followed("box-1", "faithful", [TRUTH[0], altered, *TRUTH[2:], event(5)])
    assert compare(followed, TRUTH) == Comparison(5, altered=2)
