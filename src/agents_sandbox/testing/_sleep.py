"""How faults and scripts let time pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

Sleep: TypeAlias = Callable[[float], Awaitable[None]]
"""Waits for seconds on the daemon's clock."""
