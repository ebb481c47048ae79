"""What the user of the fake daemon chose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ._host import Host
from ._profile import Profile


@dataclass(frozen=True)
class Settings:
    """Everything that stays the same while the daemon lives; times are in seconds."""

    profile: Profile
    host: Host
    log_root: Path
    ready_delay: float
    stop_delay: float
    idle_ttl: float
    cleanup_ttl: float
