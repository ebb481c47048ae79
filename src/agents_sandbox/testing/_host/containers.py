"""The Docker containers of the sandboxes, with the state that the daemon can see."""

from __future__ import annotations

import secrets
from enum import Enum, auto

from .._time.clock import Clock
from .declared import ContainerBehavior

_STEADY = 30.0
"""After this many seconds of running, the daemon ignores that a container was down."""


class DockerError(Exception):
    """Docker refused; the message is Docker's."""


def no_such_container(name: str) -> str:
    """Docker's message about a container that does not exist."""
    return f"Error response from daemon: No such container: {name}"


class ContainerState(Enum):
    """What Docker reports about a container."""

    GONE = auto()
    """Not created yet, or removed."""
    CREATED = auto()
    """Created, and never started."""
    RUNNING = auto()
    RESTARTING = auto()
    """It exited by itself, and Docker keeps restarting it."""
    EXITED = auto()


class Container:
    """One container, from before its creation until after its removal."""

    def __init__(self, name: str, behavior: ContainerBehavior, clock: Clock) -> None:
        self.name = name
        self.behavior = behavior
        self.state: ContainerState = ContainerState.GONE
        self.oom_killed: bool = False
        self.stopped: bool = False
        """True if it is down because the daemon stopped it."""
        self._id = secrets.token_hex(32)
        self._clock = clock
        self.starts: int = 0
        """How often it was started; the number of the current run."""
        self._up_since = 0
        self._down_since: int | None = None

    @property
    def running(self) -> bool:
        """True if it counts as running, also while Docker keeps restarting it."""
        return self.state in (ContainerState.RUNNING, ContainerState.RESTARTING)

    @property
    def seconds_down(self) -> float:
        """Seconds since it went down, including short runs in between."""
        since = self._down_since
        return 0.0 if since is None else (self._clock.nanoseconds() - since) / 1e9

    def create(self) -> None:
        """Create it, without starting it.

        Raises:
            DockerError: It cannot be created.
        """
        if self.behavior.error:
            raise DockerError(self.behavior.error)
        self.state = ContainerState.CREATED
        self.stopped = False
        self._down_since = None

    def start(self) -> None:
        """Start it, for the first time or again.

        Raises:
            DockerError: It does not exist.
        """
        if self.state is ContainerState.GONE:
            raise DockerError(no_such_container(self.name))
        resumed, self.stopped = self.stopped, False
        self.oom_killed = False
        self._up_since = self._clock.nanoseconds()
        self.starts += 1
        self.state = ContainerState.RUNNING
        if resumed and not self.behavior.resumes:
            self.exit()

    def exit(self, *, oom: bool = False) -> None:
        """Exit; Docker does not restart it."""
        now = self._clock.nanoseconds()
        if self._down_since is None or now - self._up_since >= _STEADY * 1e9:
            self._down_since = now
        self.oom_killed = oom
        self.state = ContainerState.EXITED

    def restart_forever(self) -> None:
        """Exit by itself, so that Docker keeps restarting it."""
        self.state = ContainerState.RESTARTING

    def stop(self) -> None:
        """Stop it for the daemon; it can be started again."""
        if self.state is not ContainerState.GONE:
            self.state = ContainerState.EXITED
            self.stopped = True

    def remove(self) -> None:
        """Remove it."""
        self.state = ContainerState.GONE

    def reset_downtime(self) -> None:
        """Count its downtime from now on, as a restarted daemon does."""
        self._down_since = self._clock.nanoseconds()

    def ensure_running(self) -> None:
        """Start it if it is down, so that a process can start in it.

        Raises:
            DockerError: Docker refuses.
        """
        if self.state is ContainerState.RESTARTING:
            raise DockerError(
                f"Error response from daemon: Container {self._id} is restarting, "
                "wait until the container is running"
            )
        if not self.running:
            self.start()
