"""Encoding of a create in either wire dialect."""

from __future__ import annotations

from .._arguments.creates import NewSandbox
from .._arguments.specs import CompanionContainerSpec, ServiceSpec
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
from .releases import Release, require


def encode_v02(new: NewSandbox, release: Release) -> pb.CreateSandboxRequest:
    """Encode a create in dialect 0.2.

    Raises:
        UnsupportedByDaemonError: The release does not know one of its fields.
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
        idle_ttl=encode_duration(new.idle_ttl),
    )
    return pb.CreateSandboxRequest(
        create_spec=spec, sandbox_id=new.sandbox_id, config_yaml=new.config_yaml
    )


def encode_v04(new: NewSandbox, release: Release) -> v04.CreateSandboxRequest:
    """Encode a create in dialect 0.4; services are sent as companions.

    Raises:
        UnsupportedByDaemonError: The release does not know one of its fields.
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
        idle_ttl=encode_duration(new.idle_ttl),
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
    """The companion container that replaces a service with newer daemons."""
    return CompanionContainerSpec(
        service.name,
        service.image,
        service.envs,
        service.healthcheck,
        post_start_on_primary=service.post_start_on_primary,
    )
