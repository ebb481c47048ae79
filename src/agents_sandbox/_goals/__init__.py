"""The goals of waits: each decides from events and snapshots whether it is reached; pure.

A goal sees every event that concerns it, in order, from the moment its operation was requested.
When an event suggests that the goal is reached, a fresh snapshot must confirm it before the wait
succeeds: events report what happened, the snapshot shows what is true now.
"""

from .._enums import SandboxState
from .._shared.shown import shown
from ..errors import InvalidArgumentError, InvalidArgumentTypeError
from ..models import SandboxHandle
from .deleted import BecomeDeleted
from .exec_end import ExecEnd
from .goal import Goal, HandleT, PersistentGoal
from .ready import BECOME_READY, ReadyWithCompanions, become_ready
from .state import SandboxGoal
from .stopped import BecomeStopped, SeeStopped

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
    "SeeStopped",
    "become_ready",
    "reach",
]

_GONE = frozenset({SandboxState.DELETING, SandboxState.DELETED})


def reach(state: object) -> Goal[SandboxHandle]:
    """Choose the goal of a wait for a state, whoever brings the sandbox there.

    Raises:
        InvalidArgumentError: No call can wait for that: the others only pass.
    """
    if not isinstance(state, SandboxState):
        raise InvalidArgumentTypeError(
            f"state must be a SandboxState, e.g. SandboxState.READY, not {shown(state)}"
        )
    if state is SandboxState.READY:
        return BECOME_READY
    if state is SandboxState.STOPPED:
        return SeeStopped()
    if state is SandboxState.FAILED:
        return SandboxGoal(SandboxState.FAILED, _GONE)
    if state is SandboxState.DELETED:
        return BecomeDeleted()
    raise InvalidArgumentError(
        f"state must be READY, STOPPED, FAILED or DELETED, not {state.name}: no other state lasts"
    )
