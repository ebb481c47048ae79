"""What a create asks for, in the fake daemon's own words: the same for both wire dialects."""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.duration_pb2 import Duration

from ..._wire import v02_pb2 as pb

WORKSPACE = "/workspace"
"""The working directory of the primary container."""
HOME = "/home/agbox"
"""The home of the user in it."""
LIMITS = ("cpu_limit", "memory_limit", "disk_limit")
"""The fields that limit what a container may use."""


@dataclass
class SideContainer:
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
    """A port of the sandbox that is published on the host."""

    container_port: int = 0
    host_port: int = 0
    protocol: int = 0
    """A number of the wire's PortProtocol, known or not."""


@dataclass
class Spec:
    """Everything a create can ask for; a dialect without a field leaves it empty."""

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
    """None leaves it to the daemon; zero switches the idle stop off."""
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
