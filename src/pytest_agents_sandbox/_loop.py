"""A plugin of its own, registered where pytest-asyncio is."""

from __future__ import annotations

import pytest_asyncio


@pytest_asyncio.fixture
async def _agents_sandbox_loop() -> None:
    """Makes pytest-asyncio set up the event loop of a test before the client of the test.

    pytest tears down in reverse, so the client is closed while its loop is still there.
    """
