"""Fixtures for tests of the fake daemon."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from agents_sandbox.testing import FakeDaemon

from .raw import Raw, connected


@pytest.fixture
def raw(daemon: FakeDaemon) -> Iterator[Raw]:
    """Bare calls to the fake daemon of this test."""
    with connected(daemon) as client:
        yield client


@pytest.fixture
def elsewhere() -> Iterator[ThreadPoolExecutor]:
    """Makes calls in other threads while the test continues."""
    with ThreadPoolExecutor() as executor:
        yield executor
