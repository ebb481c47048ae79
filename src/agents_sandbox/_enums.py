"""The enums of the models. Unknown values of a newer daemon are kept and raise no error."""

import enum
from typing import Any


class _OpenEnum(enum.Enum):
    """An enum that keeps unknown values of a newer daemon as `UNKNOWN_<number>`.

    Unknown members are not cached, so a peer cannot use up memory. Members therefore compare by
    value instead of by identity.
    """

    @classmethod
    def _missing_(cls, value: object) -> Any:
        if not isinstance(value, int):
            return None
        member = object.__new__(cls)
        member._name_ = f"UNKNOWN_{value}"
        member._value_ = value
        return member

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._value_ == other._value_

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._value_))

    # By value: some Python versions pickle members by name, and unknown members have none.
    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return type(self), (self._value_,)


class SandboxState(_OpenEnum):
    """The state of a sandbox."""

    UNSPECIFIED = 0
    PENDING = 1
    READY = 2
    FAILED = 3
    STOPPED = 4
    DELETING = 5
    DELETED = 6


class ExecState(_OpenEnum):
    """The state of an exec. `FINISHED` means exit code 0; any other code means `FAILED`."""

    UNSPECIFIED = 0
    RUNNING = 1
    FINISHED = 2
    FAILED = 3
    CANCELLED = 4

    @property
    def is_terminal(self) -> bool:
        """Whether the exec has ended for the daemon: `FINISHED`, `FAILED` or `CANCELLED`."""
        return self in (ExecState.FINISHED, ExecState.FAILED, ExecState.CANCELLED)


class SandboxEventType(_OpenEnum):
    """The type of an event.

    Services and companion containers share their events; each event has a name for both.
    """

    UNSPECIFIED = 0
    SANDBOX_ACCEPTED = 1
    SANDBOX_PREPARING = 2
    SANDBOX_READY = 3
    SANDBOX_FAILED = 4
    SANDBOX_STOP_REQUESTED = 5
    SANDBOX_STOPPED = 6
    SANDBOX_DELETE_REQUESTED = 7
    SANDBOX_DELETED = 8
    EXEC_STARTED = 9
    EXEC_FINISHED = 10
    EXEC_FAILED = 11
    EXEC_CANCELLED = 12
    SANDBOX_SERVICE_READY = 13
    SANDBOX_SERVICE_FAILED = 14
    COMPANION_CONTAINER_READY = 13
    COMPANION_CONTAINER_FAILED = 14
