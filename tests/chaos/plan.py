"""What one run does, all derived from its seed: the daemon, the faults, the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from agents_sandbox._wire.methods import METHODS_V02
from agents_sandbox.testing import ExecContext, FakeDaemon

METHODS = tuple(method.name for method in METHODS_V02)

# How followers read their streams; see `chaos.py` of the flavour.
FOLLOWERS = ("faithful", "leaving", "returning", "impatient", "disturbed", "manual")


@dataclass(frozen=True)
class Plan:
    """What one run does."""

    seed: int
    release: str
    program: str
    ready_delay: float
    """How long a create or a resume takes, in seconds."""
    stop_delay: float
    own_ids: bool
    """Whether the caller chooses the ids of sandboxes and execs."""
    followers: tuple[str, ...]
    """How each sandbox is followed."""
    odds: Mapping[str, float]
    """How likely each kind of fault is."""
    longest_delay: float
    """How late an answer can be, in seconds."""

    def dice(self, purpose: str) -> Random:
        """Return separate dice for each purpose."""
        return Random(f"{self.seed}/{purpose}")

    def faults(self) -> dict[str, Any]:
        """Return the arguments of `faults.chaos()`, except for the function that restarts."""
        odds = dict(self.odds)
        del odds["restart"]
        return {**odds, "delay": (odds["delay"], self.longest_delay)}

    def daemon(self) -> FakeDaemon:
        """Make the daemon without starting it."""
        daemon = FakeDaemon(
            version=self.release, ready_delay=self.ready_delay, stop_delay=self.stop_delay
        )
        daemon.on_exec(lambda argv: argv[0] == "exit").call(_exit)
        daemon.on_exec(lambda argv: argv[0] == "hang").never()
        return daemon


def make_plan(seed: int, programs: tuple[str, ...]) -> Plan:
    """Derive a plan from a seed."""
    dice = Random(f"{seed}/plan")
    return Plan(
        seed=seed,
        release=dice.choice(("0.2.1", "0.4.3")),
        program=dice.choice(programs),
        ready_delay=dice.choice((0.0, 0.005, 0.03)),
        stop_delay=dice.choice((0.0, 0.005, 0.03)),
        own_ids=dice.random() < 0.4,
        followers=tuple(dice.sample(FOLLOWERS, dice.choice((1, 1, 2)))),
        odds={
            "unavailable": dice.choice((0.0, 0.05, 0.2)),
            "lose_answer": dice.choice((0.0, 0.05, 0.2)),
            "burn": dice.choice((0.0, 0.0, 0.1)),
            "deadline": dice.choice((0.0, 0.5)),
            "delay": dice.choice((0.0, 0.3)),
            "drop": dice.choice((0.0, 0.1, 0.3)),
            "duplicate": dice.choice((0.0, 0.2, 0.5)),
            # Without restarts it is exactly known which calls may fail.
            "restart": dice.choice((0.0, 0.0, 0.02, 0.05)),
        },
        longest_delay=0.02,
    )


async def _exit(context: ExecContext) -> int:
    """Play the command `exit CODE SECONDS TOKEN`."""
    _, code, seconds, _ = context.argv
    await context.sleep(float(seconds))
    return int(code)
