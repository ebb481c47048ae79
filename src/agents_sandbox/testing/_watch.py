"""Containers that end behind the daemon's back, and what the daemon makes of it."""

from __future__ import annotations

from .._wire import v02_pb2 as pb
from ._background import Background
from ._containers import Container, ContainerState
from ._execs import Execs
from ._profile import Profile
from ._sandbox import PRIMARY, Sandbox

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
        self.awake = True
        """False while the daemon is down and notices nothing."""

    async def run(self) -> None:
        """Look again and again; never returns."""
        while True:
            await self._background.step(CHECK_INTERVAL)
            self.check_all()

    def check_all(self) -> None:
        """Look at every container that may be down."""
        for sandbox in tuple(self._suspects.values()):
            self._check(sandbox)

    async def exit_later(self, sandbox: Sandbox, name: str, seconds: float) -> None:
        """Let a container exit by itself; Docker may start it again."""
        container = sandbox.containers[name]
        await self._background.step(seconds)
        if sandbox.containers.get(name) is not container or not container.running:
            return
        if self._profile.tolerates_down_containers:
            container.restart_forever()
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
        if not self.awake:
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
