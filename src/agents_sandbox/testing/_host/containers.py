"""The Docker containers behind the sandboxes, as far as the daemon can tell."""

from __future__ import annotations

import secrets
from enum import Enum, auto

from .._time.clock import Clock
from .declared import ContainerBehavior

_STEADY = 30.0
"""Seconds of running after which the daemon forgets that a container was down."""


class DockerError(Exception):
    """Docker refused; the message is its own."""


class ContainerState(Enum):
    """What Docker says of a container."""

    GONE = auto()
    """Not created yet, or removed."""
    RUNNING = auto()
    RESTARTING = auto()
    """It exited by itself, and Docker starts it again and again."""
    EXITED = auto()


class Container:
    """One container, from before its creation until after its removal."""

    def __init__(self, name: str, behavior: ContainerBehavior, clock: Clock) -> None:
        self.name = name
        self.behavior = behavior
        self.state: ContainerState = ContainerState.GONE
        self.oom_killed: bool = False
        self.stopped: bool = False
        """Whether it is down because the daemon stopped it."""
        self._id = secrets.token_hex(32)
        self._clock = clock
        self.starts: int = 0
        """How often it was started; tells one run from the next."""
        self._up_since = 0
        self._down_since: int | None = None

    @property
    def running(self) -> bool:
        """Whether it counts as running; one that Docker restarts does."""
        return self.state in (ContainerState.RUNNING, ContainerState.RESTARTING)

    @property
    def seconds_down(self) -> float:
        """How long it has been down, all in all, without a steady time in between."""
        since = self._down_since
        return 0.0 if since is None else (self._clock.nanoseconds() - since) / 1e9

    def create(self) -> None:
        """Let Docker make it, not running yet.

        Raises:
            DockerError: It cannot be made.
        """
        if self.behavior.error:
            raise DockerError(self.behavior.error)
        self.state = ContainerState.EXITED
        self.stopped = False
        self._down_since = None

    def start(self) -> None:
        """Let Docker start it, for the first time or again.

        Raises:
            DockerError: It is not there.
        """
        if self.state is ContainerState.GONE:
            raise DockerError(f"Error response from daemon: No such container: {self.name}")
        resumed, self.stopped = self.stopped, False
        self.oom_killed = False
        self._up_since = self._clock.nanoseconds()
        self.starts += 1
        self.state = ContainerState.RUNNING
        if resumed and not self.behavior.resumes:
            self.exit()

    def exit(self, *, oom: bool = False) -> None:
        """It ended, and Docker leaves it so."""
        now = self._clock.nanoseconds()
        if self._down_since is None or now - self._up_since >= _STEADY * 1e9:
            self._down_since = now
        self.oom_killed = oom
        self.state = ContainerState.EXITED

    def restart_forever(self) -> None:
        """It ended by itself, and Docker goes on restarting it."""
        self.state = ContainerState.RESTARTING

    def stop(self) -> None:
        """The daemon stopped it; it can be started again."""
        if self.state is not ContainerState.GONE:
            self.state = ContainerState.EXITED
            self.stopped = True

    def remove(self) -> None:
        """It is there no more."""
        self.state = ContainerState.GONE

    def forgive(self) -> None:
        """Count the time that it is down from now on, as a restarted daemon does."""
        self._down_since = self._clock.nanoseconds()

    def enter(self) -> None:
        """Make sure that a process can start in it; one that is down is started.

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
