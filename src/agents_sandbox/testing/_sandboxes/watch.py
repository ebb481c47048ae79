"""Containers that stop without the daemon's doing, and how the daemon reacts."""

from __future__ import annotations

import asyncio

from ..._wire import v02_pb2 as pb
from .._host.containers import Container, ContainerState
from .._protocol.profile import Profile
from .._time.background import Background
from .execs import Execs
from .sandbox import PRIMARY, Sandbox

CHECK_INTERVAL = 15.0
"""Seconds between two checks of suspect sandboxes."""
_WINDOW = 300.0
"""Seconds that a container may be down before it counts as failed."""


class Watch:
    """Notices containers that are down: immediately, or when they exceed the tolerated time."""

    def __init__(self, background: Background, execs: Execs, profile: Profile) -> None:
        self._background = background
        self._execs = execs
        self._profile = profile
        self._suspects: dict[str, Sandbox] = {}
        self._checks: asyncio.Task[None] | None = None
        self._started_at: int | None = None
        """None: the daemon is down and notices nothing."""

    def start(self) -> None:
        """Start to notice containers that are down."""
        self._started_at = self._background.clock.nanoseconds()

    def stop(self) -> None:
        """Stop noticing, and forget the suspects."""
        self._started_at = self._checks = None
        self._suspects.clear()

    async def _check_regularly(self, since: int) -> None:
        clock = self._background.clock
        while self._suspects:
            # The times of the checks depend only on when the daemon started.
            passed = (clock.nanoseconds() - since) / 1e9
            await clock.sleep(CHECK_INTERVAL - passed % CHECK_INTERVAL)
            await self._background.pass_gate()
            for sandbox in tuple(self._suspects.values()):
                self._check(sandbox)
        self._checks = None

    async def exit_later(self, sandbox: Sandbox, name: str, seconds: float) -> None:
        """Make a container exit after a while; Docker may start it again."""
        container = sandbox.containers[name]
        run = container.starts
        await self._background.pass_gate(seconds)
        if not container.running or container.starts != run:
            return
        if self._profile.tolerates_down_containers:
            container.restart_forever()
            if name == PRIMARY:
                self._kill_execs(sandbox)
        else:
            container.exit()
            self.handle_death(sandbox, name)

    def kill(self, sandbox: Sandbox, name: str, *, oom: bool) -> None:
        """Kill a container through Docker, so that Docker does not restart it."""
        sandbox.containers[name].exit(oom=oom)
        self.handle_death(sandbox, name)

    def remove(self, sandbox: Sandbox, name: str) -> None:
        """Remove a container through Docker; a running one dies first."""
        container = sandbox.containers[name]
        was_running = container.running
        container.remove()
        if self._profile.tolerates_down_containers:
            if name == PRIMARY:
                self._kill_execs(sandbox)
            # When it dies it still exists, so it only seems down: the next check finds it gone.
            self.suspect(sandbox)
        elif was_running:
            self.handle_death(sandbox, name)

    def handle_death(self, sandbox: Sandbox, name: str) -> None:
        """React to a container that has stopped."""
        if name == PRIMARY:
            self._kill_execs(sandbox)
        if self._started_at is None:
            return
        if self._profile.tolerates_down_containers:
            self.suspect(sandbox)
            self._check(sandbox)
        elif sandbox.state == pb.SANDBOX_STATE_READY:
            oom = sandbox.containers[name].oom_killed
            end = "oom" if oom else "die"
            self._give_up(sandbox, name, "CONTAINER_OOM" if oom else "CONTAINER_DIED", end)

    def _kill_execs(self, sandbox: Sandbox) -> None:
        if self._started_at is None:
            # The daemon records them when it is back, as interrupted.
            self._execs.kill_processes(sandbox)
        else:
            self._execs.kill_all(sandbox)

    def suspect(self, sandbox: Sandbox) -> None:
        """Check a sandbox regularly while one of its containers is down."""
        self._suspects[sandbox.id] = sandbox
        if self._checks is None and self._started_at is not None:
            self._checks = self._background.spawn(self._check_regularly(self._started_at))

    def _check(self, sandbox: Sandbox) -> None:
        down = {name: item for name, item in sandbox.containers.items() if not item.running}
        if sandbox.state != pb.SANDBOX_STATE_READY or not down:
            del self._suspects[sandbox.id]
            return
        for name, container in down.items():
            if sandbox.state == pb.SANDBOX_STATE_READY:
                self._check_container(sandbox, name, container)

    def _check_container(self, sandbox: Sandbox, name: str, container: Container) -> None:
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
