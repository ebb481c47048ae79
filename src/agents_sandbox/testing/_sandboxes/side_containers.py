"""Services and companions: their start, health and hooks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress

from google.protobuf.duration_pb2 import Duration

from ..._wire import v02_pb2 as pb
from .._commands.command import CommandError
from .._host.containers import Container, DockerError
from .._host.declared import DockerHost, Host
from .._host.docker import START_INTERVAL_API, check_side_container
from .._protocol.profile import Profile
from .._protocol.spec import SideContainer
from .._time.background import Background
from .execs import Execs
from .sandbox import Sandbox
from .watch import Watch

# Docker's defaults (in seconds, and a count), and the daemon's limit of a wait for health.
_INTERVAL = _TIMEOUT = 30.0
_START_INTERVAL = 5.0
_RETRIES = 3
_MAX_WAIT = 300.0


class SideContainers:
    """Starts the side containers of sandboxes and runs their hooks."""

    def __init__(
        self, background: Background, execs: Execs, watch: Watch, profile: Profile, host: Host
    ) -> None:
        self._background = background
        self._clock = background.clock
        self._execs = execs
        self._watch = watch
        self._profile = profile
        self._host = host

    def make(self, sandbox: Sandbox, network_name: str) -> dict[str, Container]:
        """Make the containers of all services and companions, which do not exist in Docker yet."""
        prefix = f"{self._profile.dialect.container_prefix}-{network_name}"
        return {
            item.name: Container(
                f"{prefix}-{item.name}",
                self._host.behavior(item.name, item.image),
                self._clock,
            )
            for item in sandbox.spec.side_containers
        }

    async def start_required(self, sandbox: Sandbox) -> None:
        """Start the required services one after the other, and wait for the health of each.

        Raises:
            DockerError: A service cannot be started or does not become healthy.
        """
        for item in sandbox.spec.required_services:
            container = await self._start(sandbox, item)
            await self._wait_for_health(item, container)

    async def run_required_hooks(self, sandbox: Sandbox, *, with_envs: bool) -> None:
        """Run the hooks of the required services in the primary.

        Raises:
            DockerError: A hook failed.
        """
        for item in sandbox.spec.required_services:
            for hook in item.post_start_on_primary:
                envs = item.envs if with_envs else {}
                await self._run_hook(sandbox, hook, envs)

    async def report_required(self, sandbox: Sandbox) -> None:
        """Report the required services together, not when each becomes healthy."""
        if sandbox.spec.required_services:
            await self._background.pass_gate()
        for item in sandbox.spec.required_services:
            sandbox.report(pb.SANDBOX_SERVICE_READY, item.name)

    async def start_others(self, sandbox: Sandbox) -> None:
        """Start the optional services or companions of a new sandbox.

        The sandbox does not wait for them. The real daemon may report one before or after the
        sandbox is ready. Here it is reported before, unless it is declared to start late.
        """
        for item in _others(sandbox):
            if sandbox.containers[item.name].behavior.starts_after:
                self._background.spawn(self._start_other(sandbox, item, with_hooks=True))
            else:
                await self._start_other(sandbox, item, with_hooks=True)

    async def resume_others(self, sandbox: Sandbox) -> None:
        """Start them again; this time the sandbox waits for them, and their hooks do not run."""
        for item in _others(sandbox):
            await self._start_other(sandbox, item, with_hooks=False)

    async def _start_other(
        self, sandbox: Sandbox, item: SideContainer, *, with_hooks: bool
    ) -> None:
        try:
            container = await self._start(sandbox, item)
        except DockerError as error:
            await self._background.pass_gate()
            code = self._profile.dialect.start_error_code
            sandbox.report(pb.SANDBOX_SERVICE_FAILED, item.name, code, str(error))
            return
        await self._background.pass_gate()
        sandbox.report(pb.SANDBOX_SERVICE_READY, item.name)
        if with_hooks and item.post_start_on_primary:
            self._background.spawn(self._run_hooks_silently(sandbox, item, container))

    async def _run_hooks_silently(
        self, sandbox: Sandbox, item: SideContainer, container: Container
    ) -> None:
        with suppress(DockerError):  # the real daemon does not report it
            await self._wait_for_health(item, container)
            if not sandbox.primary.running:  # a hook must not start a stopped sandbox
                return
            for hook in item.post_start_on_primary:
                await self._run_hook(sandbox, hook, item.envs)

    async def _run_hook(self, sandbox: Sandbox, hook: str, envs: Mapping[str, str]) -> None:
        try:
            exit_code = await self._execs.run_hook(sandbox, hook, envs)
        except (CommandError, OSError) as error:
            raise DockerError(str(error)) from error
        if exit_code:
            raise DockerError(f"docker exec failed: exit code {exit_code}")

    async def _start(self, sandbox: Sandbox, item: SideContainer) -> Container:
        container = sandbox.containers[item.name]
        await self._clock.sleep(container.behavior.starts_after)
        if not container.stopped:
            check_side_container(item, self._host)
            container.create()
        container.start()
        exits_after = container.behavior.exits_after
        if exits_after is not None:
            ending = self._watch.exit_later(sandbox, item.name, exits_after)
            self._background.spawn(ending, outlives_daemon=True)
        return container

    async def _wait_for_health(self, item: SideContainer, container: Container) -> None:
        behavior = container.behavior
        check = item.healthcheck or pb.HealthcheckConfig()
        wait = health_wait(check)
        healthy_after = behavior.healthy_after
        if healthy_after is None:
            healthy_after = first_probe(check, self._host.docker)
        healthy = behavior.healthy and healthy_after <= wait
        verdict = healthy_after if healthy else wait
        exits = math.inf if behavior.exits_after is None else behavior.exits_after
        await self._clock.sleep(min(exits, verdict))
        # It exited, was killed, or was not started again after a stop.
        if exits <= verdict or not container.running:
            raise DockerError(f"container {container.name} is not running while waiting for health")
        if not healthy:
            raise DockerError(_unhealthy(item, container, wait, self._clock.now().ToJsonString()))


def _unhealthy(item: SideContainer, container: Container, wait: float, now: str) -> str:
    retries = (item.healthcheck and item.healthcheck.retries) or _RETRIES
    return (
        f"service {container.name} did not become healthy within {format_duration(wait)} "
        f"(status=unhealthy failing_streak={retries} last_log={now})"
    )


def format_duration(seconds: float) -> str:
    """Write a duration of 1 ms or more as Go's `Duration.String()` does, to the millisecond."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:g}s"
    if minutes:
        text = f"{minutes}m{text}"
    return text


def _others(sandbox: Sandbox) -> list[SideContainer]:
    return [*sandbox.spec.optional_services, *sandbox.spec.companion_containers]


def health_wait(check: pb.HealthcheckConfig) -> float:
    """Return how long the daemon waits for a container to become healthy, in seconds."""
    interval = _seconds(check.interval) or _INTERVAL
    timeout = _seconds(check.timeout) or _TIMEOUT
    start_period = _seconds(check.start_period)
    if start_period:
        start_period += max(_seconds(check.start_interval) or _START_INTERVAL, timeout)
    tries = (check.retries or _RETRIES) + 1
    return min(start_period + max(interval, timeout) * tries, _MAX_WAIT)


def first_probe(check: pb.HealthcheckConfig, docker: DockerHost) -> float:
    """Return when Docker first probes a container, in seconds after its start.

    Sources: `HEALTHCHECK` in Docker's Dockerfile reference: one interval after the start; moby
    issue 46747: with a start period one start interval after it, even if that is longer.
    """
    if _seconds(check.start_period) and docker.api_version >= START_INTERVAL_API:
        return _seconds(check.start_interval) or _START_INTERVAL
    return _seconds(check.interval) or _INTERVAL


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
