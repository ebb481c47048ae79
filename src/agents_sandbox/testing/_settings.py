"""What the user of the fake daemon chose, checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ._host import ContainerBehavior, DockerHost, Host
from ._profile import Profile

CLEANUP_TTL = 360 * 3600.0
"""Seconds; the daemon's own default."""


@dataclass(frozen=True)
class Settings:
    """Everything that stays the same while the daemon lives; times are in seconds.

    Raises:
        ValueError: A delay is negative.
    """

    profile: Profile
    host: Host
    log_root: Path
    ready_delay: float
    stop_delay: float
    idle_ttl: float
    cleanup_ttl: float

    def __post_init__(self) -> None:
        """Check the times."""
        if not (self.ready_delay >= 0 and self.stop_delay >= 0):  # so put for NaN
            raise ValueError("delays must not be negative")
        if self.cleanup_ttl <= 0:
            object.__setattr__(self, "cleanup_ttl", CLEANUP_TTL)


def declared_host(
    *,
    known_images: Collection[str] | None,
    missing_images: Collection[str],
    containers: Mapping[str, ContainerBehavior] | None,
    paths: Collection[str],
    docker: DockerHost | None,
) -> Host:
    """Make the host that a test declares.

    Raises:
        TypeError: A plain string was given for a collection of strings.
    """
    return Host(
        docker=docker or DockerHost(),
        known_images=None if known_images is None else _names("known_images", known_images),
        missing_images=_names("missing_images", missing_images),
        containers=dict(containers or {}),
        paths=_names("host_paths", paths),
    )


def _names(argument: str, values: Collection[str]) -> frozenset[str]:
    if isinstance(values, str):
        raise TypeError(f"{argument} must be a collection of strings, not one: {values!r}")
    return frozenset(values)
