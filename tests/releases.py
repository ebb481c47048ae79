"""The daemon releases that tests use, and what differs between them for users of the client."""

from __future__ import annotations

import pytest

OLDEST = "0.2.0"
NEWEST = "0.4.3"

# Each introduced something that a client notices.
RELEASES = (OLDEST, "0.2.1", "0.3.0", "0.4.0", NEWEST)

every_release = pytest.mark.releases(*RELEASES)

# For tests that depend on the dialect at most.
each_dialect = pytest.mark.releases("0.2.1", NEWEST)

# For tests that no release can influence.
any_release = pytest.mark.releases(NEWEST)


def has_companions(release: str) -> bool:
    """Whether a release has companion containers instead of services."""
    return _number(release) >= (0, 3, 0)


def tells_failures(release: str) -> bool:
    """Whether handles have error fields and the time of the last change of state."""
    return _number(release) >= (0, 2, 1)


def stop_shows_failure(release: str) -> bool:
    """Whether a sandbox is FAILED for a moment while it is stopped."""
    return _number(release) < (0, 4, 0)


def _number(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))
