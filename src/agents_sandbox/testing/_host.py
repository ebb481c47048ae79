"""What the host decides, as a test declares it: its Docker, its images, its containers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


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
        """Refuse times that are no times.

        Raises:
            ValueError: One of them is negative.
        """
        for name in ("starts_after", "healthy_after", "exits_after"):
            seconds = getattr(self, name)
            if seconds is not None and not seconds >= 0:  # so put for NaN
                raise ValueError(f"{name} must not be negative: {seconds!r}")


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
