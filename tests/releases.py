"""Which daemon releases a test meets, and what differs between them for a client's user."""

from __future__ import annotations

import pytest

OLDEST = "0.2.0"
NEWEST = "0.4.3"

# Each brought something that a client notices.
RELEASES = (OLDEST, "0.2.1", "0.3.0", "0.4.0", NEWEST)

every_release = pytest.mark.releases(*RELEASES)

# For what can depend on the dialect at most.
each_dialect = pytest.mark.releases("0.2.1", NEWEST)

# For what no daemon has a part in, or all releases the same.
any_release = pytest.mark.releases(NEWEST)


def has_companions(release: str) -> bool:
    """Whether a release has companion containers where those before it have services."""
    return _number(release) >= (0, 3, 0)


def tells_failures(release: str) -> bool:
    """Whether handles have error fields, and tell when their state changed."""
    return _number(release) >= (0, 2, 1)


def stop_shows_failure(release: str) -> bool:
    """Whether a sandbox that is being stopped is FAILED for a moment."""
    return _number(release) < (0, 4, 0)


def _number(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))
