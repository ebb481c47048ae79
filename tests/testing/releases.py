"""The daemon releases that the fake stands for, in their order."""

from __future__ import annotations

from agents_sandbox.testing._protocol.profile import PROFILES

RELEASES = list(PROFILES)


def since(version: str) -> list[str]:
    """A release and all that came after it."""
    return RELEASES[RELEASES.index(version) :]


def before(version: str) -> list[str]:
    """All releases that came before one."""
    return RELEASES[: RELEASES.index(version)]
