"""The host as a test declares it: its Docker, its images, its containers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ..._shared.facts import MAX_PORT
from ..._shared.shown import OneLineRepr, shown
from .._checks import check_flag, check_seconds, check_type, checked_set


@dataclass(frozen=True, repr=False)
class ContainerBehavior(OneLineRepr):
    """What a container does; by default it starts, becomes healthy and keeps running.

    Attributes:
        error: Docker's error when it is created; empty: it can be created.
        starts_after: Seconds until it starts.
        healthy: Whether its health check ever passes.
        healthy_after: Seconds from its start until it is healthy; None: until Docker's first
            probe, which comes one `interval` of the health check after the start (30 s by
            default). With a start period, since API 1.44, it comes after `start_interval` (5 s).
        exits_after: Seconds from its start until it exits by itself; None: never.
        resumes: Whether it runs again after a stop and a resume; if not, it exits immediately.
    """

    error: str = ""
    starts_after: float = 0.0
    healthy: bool = True
    healthy_after: float | None = None
    exits_after: float | None = None
    resumes: bool = True

    def __post_init__(self) -> None:
        """Check all attributes.

        Raises:
            TypeError: An attribute has the wrong type.
            ValueError: A time is negative, infinite or NaN.
        """
        check_type("error", self.error, str, "a string")
        check_flag("healthy", self.healthy)
        check_flag("resumes", self.resumes)
        check_seconds("starts_after", self.starts_after)
        for name in ("healthy_after", "exits_after"):
            if getattr(self, name) is not None:
                check_seconds(name, getattr(self, name))


@dataclass(frozen=True, repr=False)
class DockerHost(OneLineRepr):
    """The Docker engine and what it supports.

    Attributes:
        api_version: `start_interval` of health checks requires 1.44.
        gpus: Whether it has a runtime for GPUs.
        disk_quota: Whether its storage can limit the size of a container.
        ports_in_use: Host ports that other programs use.
    """

    api_version: tuple[int, int] = (1, 44)
    gpus: bool = True
    disk_quota: bool = True
    ports_in_use: Collection[int] = ()

    def __post_init__(self) -> None:
        """Check all attributes.

        Raises:
            TypeError: An attribute has the wrong type.
            ValueError: A port is not in 1..65535.
        """
        check_flag("gpus", self.gpus)
        check_flag("disk_quota", self.disk_quota)
        _check_version("api_version", self.api_version)
        for port in checked_set("ports_in_use", self.ports_in_use, int, "an integer"):
            if not 1 <= port <= MAX_PORT:
                raise ValueError(f"ports_in_use must be in 1..{MAX_PORT}, not {shown(port)}")


def _check_version(name: str, version: object) -> None:
    numbers = version if isinstance(version, tuple) else ()
    if [type(number) for number in numbers] != [int, int]:
        raise TypeError(f"{name} must be a pair of integers such as (1, 44), not {shown(version)}")


@dataclass(frozen=True)
class Host:
    """The host of a daemon."""

    docker: DockerHost = DockerHost()
    known_images: Collection[str] | None = None
    """The only images that exist; None: all do."""
    missing_images: Collection[str] = ()
    images_without_command: Collection[str] = ()
    """Images that a side container can use only if it names a command."""
    containers: Mapping[str, ContainerBehavior] = field(default_factory=dict)
    """By the name of a service, the id of a sandbox (for its primary container) or an image."""
    image_folders: Collection[str] = ()
    """Folders that every image has, besides those of a Debian image."""
    paths: Collection[str] = ()
    """Paths that count as folders although they do not exist."""

    def has_image(self, image: str) -> bool:
        """Return whether the image exists or can be pulled."""
        known = self.known_images is None or image in self.known_images
        return known and image not in self.missing_images

    def behavior(self, name: str, image: str) -> ContainerBehavior:
        """The behavior declared for a container's name, or else for its image."""
        default = ContainerBehavior()
        return self.containers.get(name) or self.containers.get(image, default)
