"""What waits wait for: each goal decides from events and snapshots; pure.

A goal sees every event that concerns it, in order, from the moment its operation was requested.
An event that seems to settle the matter is confirmed by a fresh snapshot before the wait succeeds:
events say what happened, the snapshot says what is true now.
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
