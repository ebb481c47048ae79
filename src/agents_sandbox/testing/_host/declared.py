"""What the host decides, as a test declares it: its Docker, its images, its containers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ..._facts import MAX_PORT
from .._checks import check_flag, check_seconds, check_type, checked_set


@dataclass(frozen=True)
class ContainerBehavior:
    """What a container does once it is created; by default it runs and is healthy.

    Attributes:
        error: Docker's message for why it cannot be created; empty if it can.
        starts_after: Seconds until it is started.
        healthy: Whether its health check ever passes.
        healthy_after: Seconds from its start until the health check passes.
        exits_after: Seconds from its start until it exits by itself; None for never.
        resumes: Whether it comes up again after a stop; else it exits at once.
    """

    error: str = ""
    starts_after: float = 0.0
    healthy: bool = True
    healthy_after: float = 0.0
    exits_after: float | None = None
    resumes: bool = True

    def __post_init__(self) -> None:
        """Check everything.

        Raises:
            TypeError: An attribute has another type than it must have.
            ValueError: A time is negative, infinite or NaN.
        """
        check_type("error", self.error, str, "a string")
        check_flag("healthy", self.healthy)
        check_flag("resumes", self.resumes)
        check_seconds("starts_after", self.starts_after)
        check_seconds("healthy_after", self.healthy_after)
        if self.exits_after is not None:
            check_seconds("exits_after", self.exits_after)


@dataclass(frozen=True)
class DockerHost:
    """The Docker engine and what it has to offer.

    Attributes:
        api_version: Below 1.44 it knows no `start_interval` of health checks.
        gpus: Whether it has a runtime for them.
        disk_quota: Whether its storage can limit the size of a container.
        ports_in_use: Host ports that others hold.
    """

    api_version: tuple[int, int] = (1, 44)
    gpus: bool = True
    disk_quota: bool = True
    ports_in_use: Collection[int] = ()

    def __post_init__(self) -> None:
        """Check everything.

        Raises:
            TypeError: An attribute has another type than it must have.
            ValueError: A port is not in 1..65535.
        """
        check_flag("gpus", self.gpus)
        check_flag("disk_quota", self.disk_quota)
        _check_version("api_version", self.api_version)
        for port in checked_set("ports_in_use", self.ports_in_use, int, "an integer"):
            if not 1 <= port <= MAX_PORT:
                raise ValueError(f"ports_in_use must be in 1..{MAX_PORT}: {port!r}")


def _check_version(name: str, version: object) -> None:
    numbers = version if isinstance(version, tuple) else ()
    if [type(number) for number in numbers] != [int, int]:
        raise TypeError(f"{name} must be a pair of integers such as (1, 44), not {version!r}")


@dataclass(frozen=True)
class Host:
    """All that the daemon finds around it."""

    docker: DockerHost = DockerHost()
    known_images: Collection[str] | None = None
    """The only images that can be had; None for all."""
    missing_images: Collection[str] = ()
    containers: Mapping[str, ContainerBehavior] = field(default_factory=dict)
    """By the name of a service, the id of a sandbox (for its primary) or an image."""
    paths: Collection[str] = ()
    """Paths that count as folders although they are not there."""

    def has_image(self, image: str) -> bool:
        """Whether the image is there or can be pulled."""
        known = self.known_images is None or image in self.known_images
        return known and image not in self.missing_images

    def behavior(self, name: str, image: str) -> ContainerBehavior:
        """What a container does: as declared for its name, else for its image."""
        default = ContainerBehavior()
        return self.containers.get(name) or self.containers.get(image, default)
