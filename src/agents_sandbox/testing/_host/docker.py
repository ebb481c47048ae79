"""What Docker refuses, with its error messages."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from google.protobuf.duration_pb2 import Duration

from ..._wire import v02_pb2 as pb
from .._protocol.profile import Profile
from .._protocol.spec import SideContainer, Spec
from .containers import DockerError
from .declared import DockerHost, Host

_LOG_MOUNT = "/var/log/agents-sandbox"
_REGISTRY = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]+)?/)?"
_NAME = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"{_REGISTRY}{_NAME}(?:/{_NAME})*(?::\w[\w.-]{{0,127}})?(?:@[a-z0-9]+:\w+)?", re.ASCII
)
START_INTERVAL_API = (1, 44)
"""The first API version whose health checks have an interval for the start period."""


def check_images(spec: Spec, host: Host) -> None:
    """Check that all images can be pulled, including those of optional services.

    The daemon pulls all of them before it starts anything.

    Raises:
        DockerError: One cannot be pulled.
    """
    for image in (spec.image, *(item.image for item in spec.side_containers)):
        if not _IMAGE.fullmatch(image):
            upper = any(c.isupper() for c in _REGISTRY_PREFIX.sub("", image))
            why = ": repository name must be lowercase" if upper else ""
            raise DockerError(
                f"Error response from daemon: no such image: {image}: invalid reference format{why}"
            )
        if not host.has_image(image):
            raise DockerError(f"Error response from daemon: {_not_pulled(image)}")


_REGISTRY_PREFIX = re.compile(rf"^(?=[^/]*[.:]){_REGISTRY}")


def _not_pulled(image: str) -> str:
    registry = image.partition("/")[0]
    if "/" in image and "." in registry:
        return f'Get "https://{registry}/v2/": dial tcp: lookup {registry}: no such host'
    return (
        f"pull access denied for {image}, repository does not exist or may require 'docker login'"
    )


def check_tools(spec: Spec, profile: Profile) -> None:
    """Check the files of the daemon's user that some tools need.

    Raises:
        DockerError: A file does not exist.
    """
    for tool in spec.builtin_tools:
        for path in (Path.home() / name for name in profile.builtin_tools[tool]):
            if not path.exists():
                raise DockerError(f"stat {path}: no such file or directory")


def check_mounts(spec: Spec, logs: Path) -> None:
    """Check that no mount has the target where the daemon mounts the exec logs.

    Raises:
        DockerError: A mount has that target.
    """
    for mount in spec.mounts:
        if posixpath.normpath(mount.target) == _LOG_MOUNT:
            raise DockerError(
                f"conflicting mount target {mount.target} for {mount.source} and {logs}"
            )


def check_primary(spec: Spec, docker: DockerHost) -> None:
    """Check what Docker checks when it creates the primary container.

    Raises:
        DockerError: Docker refuses an environment variable, a mount, the disk limit or the GPUs.
    """
    _check_envs(spec.envs)
    _check_targets(spec.mounts)
    _check_disk(spec.disk_limit, docker)
    if spec.gpus and not docker.gpus:
        raise DockerError(
            'Error response from daemon: could not select device driver "nvidia" '
            "with capabilities: [[gpu]]"
        )


def _check_envs(envs: Mapping[str, str]) -> None:
    if "" in envs:
        raise DockerError(f"Error response from daemon: invalid environment variable: ={envs['']}")


def _check_targets(mounts: Iterable[pb.MountSpec]) -> None:
    targets: set[str] = set()
    for mount in mounts:
        target = posixpath.normpath(mount.target)
        if not target.strip("/"):
            raise DockerError(
                'Error response from daemon: invalid mount config for type "bind": '
                "invalid specification: destination can't be '/'"
            )
        if target in targets:
            raise DockerError(f"Error response from daemon: Duplicate mount point: {target}")
        targets.add(target)


def check_side_container(item: SideContainer, host: Host) -> None:
    """Check what Docker checks when it creates a side container.

    Raises:
        DockerError: It has no command, or Docker refuses an environment variable, or does not
            support its health check or limit.
    """
    _check_envs(item.envs)
    docker = host.docker
    interval = item.healthcheck.start_interval if item.healthcheck else Duration()
    if (interval.seconds or interval.nanos) and docker.api_version < START_INTERVAL_API:
        raise DockerError(
            f'"specify health-check start interval" requires API version '
            f"{_dotted(START_INTERVAL_API)}, but the Docker daemon API version is "
            f"{_dotted(docker.api_version)}"
        )
    if item.image in host.images_without_command and not item.command:
        raise DockerError("Error response from daemon: No command specified")
    _check_disk(item.disk_limit, docker)


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _check_disk(limit: str, docker: DockerHost) -> None:
    if limit and not docker.disk_quota:
        raise DockerError(
            "rpc error: code = FailedPrecondition desc = disk_limit not supported by Docker "
            "runtime: Error response from daemon: --storage-opt is supported only for overlay "
            "over xfs with 'pquota' mount option. Prerequisites: overlay2 storage driver on XFS "
            "with prjquota mount option and ftype=1. Run: docker info --format '{{.Driver}} "
            "{{.DockerRootDir}}' and findmnt -T <DockerRootDir> to diagnose."
        )
