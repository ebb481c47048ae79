"""The settings of a fake daemon, checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from .._shared.shown import shown
from ._checks import check_flag, check_number, check_seconds, check_type, checked_set
from ._host.declared import ContainerBehavior, DockerHost, Host
from ._protocol.profile import Profile

CLEANUP_TTL = 360 * 3600.0
"""Seconds; the daemon's own default."""


@dataclass(frozen=True)
class Settings:
    """Everything that stays the same over all runs of the daemon; times are in seconds.

    Raises:
        TypeError: A setting has the wrong type.
        ValueError: A delay is negative or infinite, or a time is NaN.
    """

    profile: Profile
    host: Host
    private_folder: Path
    """No copy contains it."""
    log_root: Path
    virtual_time: bool
    ready_delay: float
    stop_delay: float
    remove_delay: float
    idle_ttl: float
    cleanup_ttl: float

    def __post_init__(self) -> None:
        """Check what nothing else has checked."""
        check_flag("virtual_time", self.virtual_time)
        check_seconds("ready_delay", self.ready_delay)
        check_seconds("stop_delay", self.stop_delay)
        check_seconds("remove_delay", self.remove_delay)
        check_number("idle_ttl", self.idle_ttl)
        check_number("cleanup_ttl", self.cleanup_ttl)
        if self.cleanup_ttl <= 0:
            object.__setattr__(self, "cleanup_ttl", CLEANUP_TTL)


def declared_host(
    *,
    known_images: Collection[str] | None,
    missing_images: Collection[str],
    image_folders: Collection[str],
    images_without_command: Collection[str],
    containers: Mapping[str, ContainerBehavior] | None,
    paths: Collection[str],
    docker: DockerHost | None,
) -> Host:
    """Check the host that a test declares and return it.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: A path is not absolute.
    """
    docker = DockerHost() if docker is None else docker
    check_type("docker", docker, DockerHost, "a DockerHost")
    return Host(
        docker=docker,
        known_images=None if known_images is None else _strings("known_images", known_images),
        missing_images=_strings("missing_images", missing_images),
        image_folders=_absolute("image_folders", image_folders),
        images_without_command=_strings("images_without_command", images_without_command),
        containers=_behaviors({} if containers is None else containers),
        paths=_absolute("host_paths", paths),
    )


def _strings(argument: str, values: Collection[str]) -> frozenset[str]:
    return checked_set(argument, values, str, "a string")


def _absolute(argument: str, values: Collection[str]) -> frozenset[str]:
    paths = _strings(argument, values)
    for path in paths:
        if not path.startswith("/"):
            raise ValueError(f"{argument} must be absolute: {shown(path)}")
    return paths


def _behaviors(containers: Mapping[str, ContainerBehavior]) -> dict[str, ContainerBehavior]:
    check_type("containers", containers, Mapping, "a mapping")
    for name, behavior in containers.items():
        check_type("each key of containers", name, str, "a string")
        check_type(f"containers[{shown(name)}]", behavior, ContainerBehavior, "a ContainerBehavior")
    return dict(containers)
