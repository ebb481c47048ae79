"""The handle of a pause."""

from __future__ import annotations

from collections.abc import Callable

from .._checks import check_count


class Pause:
    """A pause of the background work; see `FakeDaemon.paused()`."""

    def __init__(self, let_through: Callable[[int, float], None]) -> None:
        self._let_through = let_through

    def step(self, count: int = 1, *, timeout: float = 10.0) -> None:
        """Let exactly `count` frozen changes happen, oldest first; wait until there are so many.

        Args:
            count: How many changes.
            timeout: Seconds to wait for them.

        Raises:
            TypeError: `count` is not an integer.
            ValueError: It is less than 1.
            TimeoutError: There were fewer changes in `timeout` seconds.
            RuntimeError: The daemon is not running.
        """
        check_count("count", count)
        self._let_through(count, timeout)
