"""The goals of waits: each decides from events and snapshots whether it is reached; pure.

A goal sees every event that concerns it, in order, from the moment its operation was requested.
When an event suggests that the goal is reached, a fresh snapshot must confirm it before the wait
succeeds: events report what happened, the snapshot shows what is true now.
"""

from .deleted import BecomeDeleted
from .exec_end import ExecEnd
from .goal import Goal, HandleT, PersistentGoal
from .ready import BECOME_READY, ReadyWithCompanions, become_ready
from .state import SandboxGoal
from .stopped import BecomeStopped

__all__ = [
    "BECOME_READY",
    "BecomeDeleted",
    "BecomeStopped",
    "ExecEnd",
    "Goal",
    "HandleT",
    "PersistentGoal",
    "ReadyWithCompanions",
    "SandboxGoal",
    "become_ready",
]
