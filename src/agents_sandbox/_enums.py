"""The enums of the models: integers. Unknown values of a newer daemon raise no error."""

import enum
from typing import TYPE_CHECKING, Any


class _OpenEnum(enum.IntEnum):
    """Integers with names. Unknown values of a newer daemon are kept as `UNKNOWN_<number>`.

    Unknown members are not cached, so a peer cannot use up memory. Members therefore compare by
    value instead of by identity.
    """

    @classmethod
    def _missing_(cls, value: object) -> Any:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value:d}"
        member._value_ = int(value)
        return member

    # Silently unequal, `state == "READY"` would be a trap. Other strings are unequal, as in any
    # class: general code compares with "", and programs with marks of their own. Type checkers find
    # comparisons that are never true only if a class does not define its own.
    if not TYPE_CHECKING:

        def __eq__(self, other: object) -> bool:
            if isinstance(other, str) and other.upper() in type(self).__members__:
                kind, name = type(self).__name__, other.upper()
                raise TypeError(
                    f"a {kind} is never equal to a str: compare it with {kind}.{name}, or compare "
                    f"its .name with {name!r}"
                )
            if isinstance(other, enum.Enum) and type(other) is not type(self):
                return False
            return int.__eq__(self, other)

        def __ne__(self, other: object) -> bool:
            return not self == other

    __hash__ = int.__hash__

    # The number, on every Python, as programs for the daemon project's own SDK expect it: str() of
    # an IntEnum is its name before 3.11.
    def __str__(self) -> str:
        return int.__repr__(self)

    def __format__(self, format_spec: str) -> str:
        return int.__format__(self, format_spec)

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
        """Whether the exec has ended for the daemon, as `FINISHED`, `FAILED` or `CANCELLED`."""
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
