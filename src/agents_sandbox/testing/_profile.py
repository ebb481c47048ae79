"""What differs between daemon versions, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """The behaviour of one daemon version where versions differ."""

    version: str
    """What `Ping` reports."""
    builtin_tools: Mapping[str, tuple[str, ...]]
    """Each known tool with the paths under the home folder that it cannot do without."""
    stop_reports_container_death: bool
    """A stop is seen as the death of the container before it is seen as a stop."""
    names_fold_underscores: bool
    """Container names turn `_` into `-`, so that two sandbox ids can clash."""


PROFILES: Mapping[str, Profile] = {
    profile.version: profile
    for profile in (
        Profile(
            version="0.2.1",
            builtin_tools={
                "claude": (".claude", ".claude.json"),
                "codex": (".codex", ".agents"),
                "git": (),
                "uv": (),
                "npm": (),
                "apt": (),
            },
            stop_reports_container_death=True,
            names_fold_underscores=True,
        ),
    )
}


def profile_for(version: str) -> Profile:
    """Look up the behaviour of a daemon version.

    Raises:
        ValueError: The version is not supported.
    """
    if version not in PROFILES:
        supported = ", ".join(PROFILES)
        raise ValueError(f"daemon version {version!r} is not supported, only: {supported}")
    return PROFILES[version]
