"""The daemon releases that the fake daemon supports, in order."""

from __future__ import annotations

from agents_sandbox.testing._protocol.profile import PROFILES

RELEASES = list(PROFILES)


def since(version: str) -> list[str]:
    """A release and all later ones."""
    return RELEASES[RELEASES.index(version) :]


def before(version: str) -> list[str]:
    """All releases before this one."""
    return RELEASES[: RELEASES.index(version)]
