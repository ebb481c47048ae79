"""What a create asks for, checked, and the same in either wire dialect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from .. import _checks
from .._durations import DurationLike, to_timedelta
from .._releases import NEWEST, Release, require
from .._specs import CompanionContainerSpec, CopySpec, MountSpec, PortMapping, ServiceSpec
from ..errors import InvalidArgumentError
from . import v02_pb2 as pb
from . import v04_pb2 as v04
from .codec import (
    encode_companion,
    encode_copy,
    encode_duration,
    encode_mount,
    encode_port,
    encode_service,
)
from .requests import new_id

_LIMITS = ("cpu_limit", "memory_limit", "disk_limit")


@dataclass(frozen=True)
class NewSandbox:
    """The checked arguments of a create; it has an id already, so that errors can name it."""

    sandbox_id: str
    id_is_ours: bool
    config_yaml: bytes
    image: str
    mounts: tuple[MountSpec, ...]
    copies: tuple[CopySpec, ...]
    builtin_tools: tuple[str, ...]
    required_services: tuple[ServiceSpec, ...]
    optional_services: tuple[ServiceSpec, ...]
    companion_containers: tuple[CompanionContainerSpec, ...]
    labels: Mapping[str, str]
    envs: Mapping[str, str]
    idle_ttl: timedelta | None
    ports: tuple[PortMapping, ...]
    command: tuple[str, ...]
    cpu_limit: str | None
    memory_limit: str | None
    disk_limit: str | None
    gpus: str | None

    def newer_fields(self) -> Iterator[tuple[str, str]]:
        """Each field that is set and not known to all releases, as shown and by name."""
        for companion in self.companion_containers:
            yield "companion_containers", "companion_containers"
            for name in ("command", *_LIMITS):
                if getattr(companion, name):
                    yield f"companion_containers[{companion.name}].{name}", name
        for name in ("ports", "command", *_LIMITS, "gpus"):
            if getattr(self, name):
                yield name, name


def new_sandbox(
    *,
    image: str | None,
    sandbox_id: str | None,
    config_yaml: str | bytes | None,
    mounts: Iterable[MountSpec],
    copies: Iterable[CopySpec],
    builtin_tools: Iterable[str],
    required_services: Iterable[ServiceSpec],
    optional_services: Iterable[ServiceSpec],
    companion_containers: Iterable[CompanionContainerSpec],
    labels: Mapping[str, str] | None,
    envs: Mapping[str, str] | None,
    idle_ttl: DurationLike | None,
    ports: Iterable[PortMapping],
    command: Iterable[str],
    cpu_limit: str | None,
    memory_limit: str | None,
    disk_limit: str | None,
    gpus: str | None,
) -> NewSandbox:
    """Check the arguments of a create."""
    yaml = _yaml(config_yaml)
    name = "" if image is None else _checks.text("image", image)
    if not name and not yaml:
        raise InvalidArgumentError('image is required: pass image="..." on every create_sandbox')
    new = NewSandbox(
        sandbox_id=new_id("sandbox_id", sandbox_id),
        id_is_ours=sandbox_id is None,
        config_yaml=yaml,
        image=name,
        mounts=_checks.items("mounts", mounts, MountSpec),
        copies=_checks.items("copies", copies, CopySpec),
        builtin_tools=_checks.texts("builtin_tools", builtin_tools),
        required_services=_checks.items("required_services", required_services, ServiceSpec),
        optional_services=_checks.items("optional_services", optional_services, ServiceSpec),
        companion_containers=_checks.items(
            "companion_containers", companion_containers, CompanionContainerSpec
        ),
        labels=_checks.text_mapping("labels", {} if labels is None else labels),
        envs=_checks.text_mapping("envs", {} if envs is None else envs),
        idle_ttl=None if idle_ttl is None else to_timedelta("idle_ttl", idle_ttl),
        ports=_checks.items("ports", ports, PortMapping),
        command=_checks.texts("command", command),
        cpu_limit=_checks.optional_text("cpu_limit", cpu_limit),
        memory_limit=_checks.optional_text("memory_limit", memory_limit),
        disk_limit=_checks.optional_text("disk_limit", disk_limit),
        gpus=_checks.optional_text("gpus", gpus),
    )
    # What cannot be encoded is refused before the daemon is asked for its release.
    encode_v04(new, NEWEST)
    return new


def encode_v02(new: NewSandbox, release: Release) -> pb.CreateSandboxRequest:
    """Encode a create in dialect 0.2.

    Raises:
        UnsupportedByDaemonError: It asks for what only newer releases have.
    """
    require(new.newer_fields(), release)
    spec = pb.CreateSpec(
        image=new.image,
        mounts=map(encode_mount, new.mounts),
        copies=map(encode_copy, new.copies),
        builtin_tools=new.builtin_tools,
        required_services=map(encode_service, new.required_services),
        optional_services=map(encode_service, new.optional_services),
        labels=new.labels,
        envs=new.envs,
        idle_ttl=encode_duration("idle_ttl", new.idle_ttl),
    )
    return pb.CreateSandboxRequest(
        create_spec=spec, sandbox_id=new.sandbox_id, config_yaml=new.config_yaml
    )


def encode_v04(new: NewSandbox, release: Release) -> v04.CreateSandboxRequest:
    """Encode a create in dialect 0.4; services travel as companions.

    Raises:
        UnsupportedByDaemonError: It asks for what only newer releases have.
    """
    require(new.newer_fields(), release)
    services = (*new.required_services, *new.optional_services)
    companions = (*map(as_companion, services), *new.companion_containers)
    spec = v04.CreateSpec(
        image=new.image,
        mounts=map(encode_mount, new.mounts),
        copies=map(encode_copy, new.copies),
        builtin_tools=new.builtin_tools,
        companion_containers=map(encode_companion, companions),
        labels=new.labels,
        envs=new.envs,
        idle_ttl=encode_duration("idle_ttl", new.idle_ttl),
        ports=map(encode_port, new.ports),
        command=new.command,
        cpu_limit=new.cpu_limit or "",
        memory_limit=new.memory_limit or "",
        disk_limit=new.disk_limit or "",
        gpus=new.gpus or "",
    )
    return v04.CreateSandboxRequest(
        create_spec=spec, sandbox_id=new.sandbox_id, config_yaml=new.config_yaml
    )


def as_companion(service: ServiceSpec) -> CompanionContainerSpec:
    """The companion container that does what a service does, as far as one can."""
    return CompanionContainerSpec(
        service.name,
        service.image,
        service.envs,
        service.healthcheck,
        service.post_start_on_primary,
    )


def _yaml(config_yaml: str | bytes | None) -> bytes:
    if config_yaml is None or isinstance(config_yaml, bytes):
        return config_yaml or b""
    if not isinstance(config_yaml, str):
        raise InvalidArgumentError(
            f"config_yaml must be str or bytes, not {type(config_yaml).__name__}"
        )
    return _checks.text("config_yaml", config_yaml).encode()
