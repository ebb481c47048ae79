"""A client without a client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agents_sandbox.testing import FakeDaemon

from .raw import Raw, connected


@pytest.fixture
def raw(daemon: FakeDaemon) -> Iterator[Raw]:
    """Bare calls to the fake daemon of this test."""
    with connected(daemon) as client:
        yield client
