"""Alternating rounds, and what they say: ratios with their spread, noise, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb
from statistics import quantiles
from typing import TypeVar

from .programs import AGAIN, OURS, RAW

ResultT = TypeVar("ResultT")

NOISE_LIMIT = 0.05
"""If the raw client may differ from itself by more, nothing near its goal is judged."""
_CONFIDENCE = 0.95

Samples = Mapping[str, Sequence[float]]
"""One number a round, by client."""


def alternate(
    measure: Callable[[str], ResultT], names: Sequence[str], rounds: int
) -> dict[str, list[ResultT]]:
    """Measure all clients in turns, so that all see the same machine.

    Each round begins with another client, so that none always follows the same one.
    """
    results: dict[str, list[ResultT]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            results[name].append(measure(name))
    return results


@dataclass(frozen=True)
class Spread:
    """The median of some numbers, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: Iterable[float]) -> Spread:
        """Describe some numbers."""
        numbers = list(numbers)
        if len(numbers) == 1:
            return cls(numbers[0], numbers[0], numbers[0])
        low, middle, high = quantiles(numbers, n=4, method="inclusive")
        return cls(middle, low, high)


@dataclass(frozen=True)
class Goal:
    """What a figure should be."""

    bound: float
    at_least: bool = False

    def met_by(self, number: float) -> bool:
        """Whether a number meets it."""
        return number >= self.bound if self.at_least else number <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:g}"


def at_least(bound: float) -> Goal:
    """The goal of a figure that should be high."""
    return Goal(bound, at_least=True)


def at_most(bound: float) -> Goal:
    """The goal of a figure that should be low."""
    return Goal(bound)


MET, MISSED, NOISY, NOT_JUDGED = "met", "MISSED", "too noisy", ""


@dataclass(frozen=True)
class Figure:
    """One result.

    Attributes:
        work: What was done.
        case: How, such as `10 at once`.
        size: The number in it, for the picture; 0: none.
        what: What the figure is, such as `CPU, raw / ours`.
        value: Its median over the rounds, with quartiles.
        goal: What it should be.
        noise: How far the raw client differed from itself; None: the figure needs no clock.
        samples: What was measured, a number for each client and round.
        unit: Its unit.
    """

    work: str
    case: str
    size: int
    what: str
    value: Spread
    goal: Goal | None = None
    noise: float | None = None
    samples: Samples = field(default_factory=dict)
    unit: str = ""

    @property
    def verdict(self) -> str:
        """Whether the goal is met, if there is one and the machine was quiet enough to say."""
        if self.goal is None:
            return NOT_JUDGED
        value, noise = self.value.median, self.noise or 0.0
        if noise > NOISE_LIMIT and abs(value / self.goal.bound - 1) <= noise:
            return NOISY
        return MET if self.goal.met_by(value) else MISSED


def reference(samples: Samples) -> list[float]:
    """What the raw client took in each round: the mean of its two turns."""
    return [(one + other) / 2 for one, other in zip(samples[RAW], samples[AGAIN], strict=True)]


def noise(samples: Samples) -> float:
    """How far the raw client may differ from itself.

    Its two turns do the same, so their ratio should be 1. This is how far from 1 its median may
    be, with a confidence of 95 %, or what so few rounds can give.
    """
    ratios = sorted(one / other for one, other in zip(samples[RAW], samples[AGAIN], strict=True))
    left_out = _outside(len(ratios))
    return max(abs(ratios[left_out] - 1), abs(ratios[-1 - left_out] - 1))


def _outside(count: int) -> int:
    """How many numbers to leave out at both ends so that the rest still contains the median.

    Each number is above the median, or below it, as a coin falls.
    """
    left_out = 0
    outside = 2 / 2**count
    while outside + 2 * comb(count, left_out + 1) / 2**count <= 1 - _CONFIDENCE:
        left_out += 1
        outside += 2 * comb(count, left_out) / 2**count
    return left_out


def speed(samples: Samples, name: str = OURS) -> Spread:
    """What the raw client takes, divided by what another takes: 1 is as fast, 0.5 half as fast."""
    return Spread.of(
        raw / other for raw, other in zip(reference(samples), samples[name], strict=True)
    )


def cost(samples: Samples, name: str = OURS) -> Spread:
    """What a client takes, divided by what the raw one takes: 2 is twice as much."""
    return Spread.of(
        other / raw for raw, other in zip(reference(samples), samples[name], strict=True)
    )
