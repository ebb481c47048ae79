"""Snapshots of Docker's containers and networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..._arguments.specs import PortMapping
from ..._frozen import FrozenMapping
from ..._shared.shown import OneLineRepr
from .._host.containers import ContainerState
from .._protocol.profile import Profile
from .._protocol.spec import SideContainer, Spec
from .._sandboxes.sandbox import PRIMARY, Sandbox
from .._validation.sizes import ram_in_bytes
from .._validation.strconv import parse_float
from .specs import shown_port

_LABEL = "io.github.1996fanrui.agents-sandbox"
_ENDLESS_SLEEP = ("sh", "-lc", "trap 'exit 0' TERM INT; while sleep 3600; do :; done")
"""Recorded with daemon 0.2.1; of later ones it is known that they sleep endlessly, too."""

_STATES: Mapping[ContainerState, Literal["created", "running", "restarting", "exited"]] = {
    ContainerState.CREATED: "created",
    ContainerState.RUNNING: "running",
    ContainerState.RESTARTING: "restarting",
    ContainerState.EXITED: "exited",
}
"""In Docker's words; what is gone has no record."""


@dataclass(frozen=True, repr=False)
class ContainerRecord(OneLineRepr):
    """One container of Docker, as it was when `FakeDaemon.containers` was read.

    Attributes:
        name: Its name in Docker, e.g. `agbox-primary-box-1`.
        sandbox_id: Its sandbox.
        image: Its image.
        state: Docker's word for its state: `created`, `running`, `restarting` or `exited`.
        command: Its command; None: that of its image.
        ports: Its ports that Docker publishes on the host's loopback address while it runs.
        cpu_limit: CPUs that it may use; None: all.
        memory_limit: Memory that it may use, in bytes; None: all.
        disk_limit: Disk space that it may use, in bytes; None: all.
        restarts: Whether Docker starts it again when it exits by itself; since daemon 0.4.0.
        labels: The labels that Docker has of it. Those of services and companions are not known:
            empty.
    """

    name: str
    sandbox_id: str
    image: str
    state: Literal["created", "running", "restarting", "exited"]
    command: tuple[str, ...] | None = None
    ports: tuple[PortMapping, ...] = ()
    cpu_limit: float | None = None
    memory_limit: int | None = None
    disk_limit: int | None = None
    restarts: bool = False
    labels: Mapping[str, str] = field(default_factory=FrozenMapping)


@dataclass(frozen=True, repr=False)
class NetworkRecord(OneLineRepr):
    """One network of Docker, as it was when `FakeDaemon.networks` was read.

    Attributes:
        name: Its name in Docker, e.g. `agbox-net-box-1`.
        sandbox_id: Its sandbox.
    """

    name: str
    sandbox_id: str


@dataclass(frozen=True)
class ContainerSnapshot:
    """What the daemon's thread reads of a container; the rest needs no lock."""

    name: str
    sandbox_id: str
    state: ContainerState
    spec: Spec | SideContainer
    """What the sandbox was created with, for its primary container; else the side container's."""

    @classmethod
    def all_of(cls, sandbox: Sandbox) -> Iterator[ContainerSnapshot]:
        """Read the containers of a sandbox that exist, the primary one first."""
        sides = {item.name: item for item in sandbox.spec.side_containers}
        for name, container in sandbox.containers.items():
            if container.state is not ContainerState.GONE:
                spec = sandbox.spec if name == PRIMARY else sides[name]
                yield cls(container.name, sandbox.id, container.state, spec)

    def record(self, profile: Profile) -> ContainerRecord:
        """Make the record."""
        spec = self.spec
        is_primary = isinstance(spec, Spec)
        return ContainerRecord(
            name=self.name,
            sandbox_id=self.sandbox_id,
            image=spec.image,
            state=_STATES[self.state],
            command=tuple(spec.command) or (_ENDLESS_SLEEP if is_primary else None),
            ports=tuple(map(shown_port, spec.ports)) if isinstance(spec, Spec) else (),
            cpu_limit=parse_float(spec.cpu_limit) if spec.cpu_limit else None,
            memory_limit=_bytes(spec.memory_limit),
            disk_limit=_bytes(spec.disk_limit),
            restarts=profile.tolerates_down_containers,
            labels=FrozenMapping(_labels(self.sandbox_id, spec) if isinstance(spec, Spec) else {}),
        )


def _bytes(limit: str) -> int | None:
    return ram_in_bytes(limit) if limit else None


def _labels(sandbox_id: str, spec: Spec) -> dict[str, str]:
    return {
        f"{_LABEL}.component": "primary",
        f"{_LABEL}.profile": "default",
        f"{_LABEL}.sandbox-id": sandbox_id,
        **{f"{_LABEL}.user.{key}": value for key, value in spec.labels.items()},
    }
