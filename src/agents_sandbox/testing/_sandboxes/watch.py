"""Containers that end behind the daemon's back, and what the daemon makes of it."""

from __future__ import annotations

import asyncio

from ..._wire import v02_pb2 as pb
from .._host.containers import Container, ContainerState
from .._protocol.profile import Profile
from .._time.background import Background
from .execs import Execs
from .sandbox import PRIMARY, Sandbox

CHECK_INTERVAL = 15.0
"""Seconds between two looks at all containers."""
_WINDOW = 300.0
"""Seconds that a container may be down before it is given up."""


class Watch:
    """Notices that containers are down: at once, or after some patience."""

    def __init__(self, background: Background, execs: Execs, profile: Profile) -> None:
        self._background = background
        self._execs = execs
        self._profile = profile
        self._suspects: dict[str, Sandbox] = {}
        self._looking: asyncio.Task[None] | None = None
        self._awake_since: int | None = None
        """None while the daemon is down and notices nothing."""

    def wake_up(self) -> None:
        """Begin to notice."""
        self._awake_since = self._background.clock.nanoseconds()

    def die(self) -> None:
        """Notice nothing any more, and forget what was under suspicion."""
        self._awake_since = self._looking = None
        self._suspects.clear()

    async def _look(self, since: int) -> None:
        clock = self._background.clock
        while self._suspects:
            # The looks go by the daemon's life, whenever the suspicion arose.
            passed = (clock.nanoseconds() - since) / 1e9
            await clock.sleep(CHECK_INTERVAL - passed % CHECK_INTERVAL)
            await self._background.step()
            for sandbox in tuple(self._suspects.values()):
                self._check(sandbox)
        self._looking = None

    async def exit_later(self, sandbox: Sandbox, name: str, seconds: float) -> None:
        """Let a container exit by itself; Docker may start it again."""
        container = sandbox.containers[name]
        run = container.starts
        await self._background.step(seconds)
        if not container.running or container.starts != run:
            return
        if self._profile.tolerates_down_containers:
            container.restart_forever()
            if name == PRIMARY:
                self._execs.kill_all(sandbox)
        else:
            container.exit()
            self.died(sandbox, name)

    def kill(self, sandbox: Sandbox, name: str, *, oom: bool) -> None:
        """Kill a container through Docker, which then does not restart it."""
        sandbox.containers[name].exit(oom=oom)
        self.died(sandbox, name)

    def remove(self, sandbox: Sandbox, name: str) -> None:
        """Remove a container through Docker; one that is running dies first."""
        container = sandbox.containers[name]
        was_running = container.running
        container.remove()
        if was_running:
            self.died(sandbox, name)
        elif self._profile.tolerates_down_containers:
            self.suspect(sandbox)

    def died(self, sandbox: Sandbox, name: str) -> None:
        """A container ended."""
        if name == PRIMARY:
            self._execs.kill_all(sandbox)
        if self._awake_since is None:
            return
        if self._profile.tolerates_down_containers:
            self.suspect(sandbox)
            self._check(sandbox)
        elif sandbox.state == pb.SANDBOX_STATE_READY:
            oom = sandbox.containers[name].oom_killed
            end = "oom" if oom else "die"
            self._give_up(sandbox, name, "CONTAINER_OOM" if oom else "CONTAINER_DIED", end)

    def suspect(self, sandbox: Sandbox) -> None:
        """Have an eye on a sandbox that has a container which is down."""
        self._suspects[sandbox.id] = sandbox
        if self._looking is None and self._awake_since is not None:
            self._looking = self._background.spawn(self._look(self._awake_since))

    def _check(self, sandbox: Sandbox) -> None:
        down = {name: item for name, item in sandbox.containers.items() if not item.running}
        if sandbox.state != pb.SANDBOX_STATE_READY or not down:
            del self._suspects[sandbox.id]
            return
        for name, container in down.items():
            if sandbox.state == pb.SANDBOX_STATE_READY:
                self._judge(sandbox, name, container)

    def _judge(self, sandbox: Sandbox, name: str, container: Container) -> None:
        if container.state is ContainerState.GONE:
            why = "not running (detected during reconciliation)"
            self._give_up(sandbox, name, "CONTAINER_NOT_RUNNING", why)
        elif container.seconds_down <= _WINDOW:
            pass
        elif container.oom_killed:
            self._give_up(sandbox, name, "CONTAINER_OOM", "OOM killed")
        else:
            self._give_up(sandbox, name, "CONTAINER_CRASHLOOP", "exited")

    def _give_up(self, sandbox: Sandbox, name: str, code: str, why: str) -> None:
        if name == PRIMARY:
            sandbox.fail(code, f"primary container {why}")
        else:
            noun = self._profile.dialect.container_noun
            message = f"{noun} {why}"
            sandbox.report(pb.SANDBOX_SERVICE_FAILED, name, code, message)
