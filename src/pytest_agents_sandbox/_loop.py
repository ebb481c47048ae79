"""A separate plugin, registered only if pytest-asyncio is installed."""

from __future__ import annotations

import pytest_asyncio


@pytest_asyncio.fixture
async def _agents_sandbox_loop() -> None:
    """Make pytest-asyncio set up the test's event loop before the test's client.

    pytest tears down in reverse order, so the client is closed while its loop still exists.
    """
