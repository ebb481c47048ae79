"""What a create requests, in the client's types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from ..._arguments.specs import (
    CompanionContainerSpec,
    CopySpec,
    HealthcheckConfig,
    MountSpec,
    PortMapping,
    ServiceSpec,
    fill,
)
from ..._frozen import FrozenMapping
from ..._shared.shown import OneLineRepr
from ..._wire.codec import decode_duration, decode_healthcheck
from .._protocol.spec import Port, SideContainer, Spec

T = TypeVar("T")

_PROTOCOLS = ("tcp", "udp", "sctp")
"""By their numbers on the wire."""


@dataclass(frozen=True, repr=False)
class SandboxSpec(OneLineRepr):
    """What a sandbox is created with, named as the arguments of `create_sandbox()`.

    It shows what arrived, also where the client would refuse it, such as relative paths. What is
    not set is empty or None.

    Attributes:
        image: The image of the primary container.
        mounts: Files and folders of the host that appear in the sandbox.
        copies: Files and folders of the host that are copied into it.
        builtin_tools: The names of tools.
        required_services: Services that READY waits for; daemons since 0.3.0 get companions.
        optional_services: Services that READY does not wait for.
        companion_containers: Companions; services that the client sends as companions, too.
        labels: Its labels.
        envs: Its environment variables.
        idle_ttl: Time without an exec until it is stopped; zero: never; None: the daemon's own.
        ports: Ports that are published on the host.
        command: The command of the primary container; None: its default.
        cpu_limit: CPUs that it may use.
        memory_limit: Memory that it may use.
        disk_limit: Disk space that it may use.
        gpus: GPUs that it may use.
    """

    image: str = ""
    mounts: tuple[MountSpec, ...] = ()
    copies: tuple[CopySpec, ...] = ()
    builtin_tools: tuple[str, ...] = ()
    required_services: tuple[ServiceSpec, ...] = ()
    optional_services: tuple[ServiceSpec, ...] = ()
    companion_containers: tuple[CompanionContainerSpec, ...] = ()
    labels: Mapping[str, str] = field(default_factory=FrozenMapping)
    envs: Mapping[str, str] = field(default_factory=FrozenMapping)
    idle_ttl: timedelta | None = None
    ports: tuple[PortMapping, ...] = ()
    command: tuple[str, ...] | None = None
    cpu_limit: str | None = None
    memory_limit: str | None = None
    disk_limit: str | None = None
    gpus: str | None = None


def shown_spec(spec: Spec) -> SandboxSpec:
    """Convert the fake daemon's own type."""
    return SandboxSpec(
        image=spec.image,
        mounts=tuple(
            _made(MountSpec, source=item.source, target=item.target, writable=item.writable)
            for item in spec.mounts
        ),
        copies=tuple(
            _made(
                CopySpec,
                source=item.source,
                target=item.target,
                exclude_patterns=tuple(item.exclude_patterns),
            )
            for item in spec.copies
        ),
        builtin_tools=tuple(spec.builtin_tools),
        required_services=tuple(map(_service, spec.required_services)),
        optional_services=tuple(map(_service, spec.optional_services)),
        companion_containers=tuple(map(_companion, spec.companion_containers)),
        labels=FrozenMapping(spec.labels),
        envs=FrozenMapping(spec.envs),
        idle_ttl=None if spec.idle_ttl is None else decode_duration(spec.idle_ttl),
        ports=tuple(map(shown_port, spec.ports)),
        command=tuple(spec.command) or None,
        cpu_limit=spec.cpu_limit or None,
        memory_limit=spec.memory_limit or None,
        disk_limit=spec.disk_limit or None,
        gpus=spec.gpus or None,
    )


# The constructors of these models refuse what a client must not send; another one may have.
def _made(kind: type[T], **values: object) -> T:
    model = object.__new__(kind)
    fill(model, **values)
    return model


def shown_port(port: Port) -> PortMapping:
    """Convert the fake daemon's own type."""
    known = port.protocol in range(len(_PROTOCOLS))
    return _made(
        PortMapping,
        container_port=port.container_port,
        host_port=port.host_port,
        protocol=_PROTOCOLS[port.protocol] if known else str(port.protocol),
    )


def _service(item: SideContainer) -> ServiceSpec:
    return ServiceSpec(
        item.name,
        item.image,
        item.envs,
        healthcheck=_healthcheck(item),
        post_start_on_primary=item.post_start_on_primary,
    )


def _companion(item: SideContainer) -> CompanionContainerSpec:
    return CompanionContainerSpec(
        item.name,
        item.image,
        item.envs,
        healthcheck=_healthcheck(item),
        command=item.command or None,
        post_start_on_primary=item.post_start_on_primary,
        cpu_limit=item.cpu_limit or None,
        memory_limit=item.memory_limit or None,
        disk_limit=item.disk_limit or None,
    )


def _healthcheck(item: SideContainer) -> HealthcheckConfig | None:
    return None if item.healthcheck is None else decode_healthcheck(item.healthcheck)
