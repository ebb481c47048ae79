"""Fixtures that call the fake daemon without the SDK's client."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._faults import kinds

from .raw import TIMEOUT, Raw, connected


@pytest.fixture
def raw(daemon: FakeDaemon) -> Iterator[Raw]:
    """A bare client of this test's fake daemon."""
    with connected(daemon) as client:
        yield client


@pytest.fixture
def early_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon ends calls long before their deadline: else a slow client is faster."""
    monkeypatch.setattr(kinds, "_BEFORE_DEADLINE", TIMEOUT - 0.05)


@pytest.fixture
def elsewhere() -> Iterator[ThreadPoolExecutor]:
    """Runs calls in other threads."""
    with ThreadPoolExecutor() as executor:
        yield executor
