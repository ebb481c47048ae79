"""What a create requests, as the fake daemon's own types: the same for both wire dialects."""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.duration_pb2 import Duration

from ..._shared.shown import OneLineRepr
from ..._wire import v02_pb2 as pb

WORKSPACE = "/workspace"
"""The working directory of the primary container."""
HOME = "/home/agbox"
"""The home of the user in it."""
LIMITS = ("cpu_limit", "memory_limit", "disk_limit")
"""The fields for resource limits of a container."""


@dataclass(repr=False)
class SideContainer(OneLineRepr):
    """A service of dialect 0.2, or a companion container of dialect 0.4."""

    name: str
    image: str
    envs: dict[str, str] = field(default_factory=dict)
    healthcheck: pb.HealthcheckConfig | None = None
    post_start_on_primary: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    cpu_limit: str = ""
    memory_limit: str = ""
    disk_limit: str = ""


@dataclass
class Port:
    """A port of the sandbox, published on the host."""

    container_port: int = 0
    host_port: int = 0
    protocol: int = 0
    """A number of the enum `PortProtocol`, which may be an unknown one."""


@dataclass(repr=False)
class Spec(OneLineRepr):
    """Everything that a create can request; fields that a dialect does not have stay empty."""

    image: str = ""
    mounts: list[pb.MountSpec] = field(default_factory=list)
    copies: list[pb.CopySpec] = field(default_factory=list)
    builtin_tools: list[str] = field(default_factory=list)
    required_services: list[SideContainer] = field(default_factory=list)
    optional_services: list[SideContainer] = field(default_factory=list)
    companion_containers: list[SideContainer] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    envs: dict[str, str] = field(default_factory=dict)
    idle_ttl: Duration | None = None
    """None: the daemon's default; zero: the sandbox is never stopped for being idle."""
    ports: list[Port] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    cpu_limit: str = ""
    memory_limit: str = ""
    disk_limit: str = ""
    gpus: str = ""

    @property
    def side_containers(self) -> list[SideContainer]:
        """All services and companions, required ones first."""
        return [*self.required_services, *self.optional_services, *self.companion_containers]
