"""Daemon releases: how their versions read, and what each can be asked for; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from .errors import InvalidArgumentError, UnsupportedByDaemonError, UnsupportedDaemonError

_VERSION = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})")


@dataclass(frozen=True, order=True)
class Release:
    """A release of the daemon, such as 0.4.3."""

    major: int
    minor: int
    patch: int
    reported: str = field(default="", compare=False)
    """What the daemon calls itself, where that does not say which release it is."""

    def __str__(self) -> str:
        number = f"{self.major}.{self.minor}.{self.patch}"
        return f"{self.reported} (like {number})" if self.reported else number

    @property
    def has_companions(self) -> bool:
        """Whether it speaks wire dialect 0.4, with companion containers for services."""
        return self >= COMPANIONS


OLDEST = Release(0, 2, 0)
COMPANIONS = Release(0, 3, 0)
NEWEST = Release(0, 4, 3)
"""The newest release that this SDK was made for."""

# Source: the daemon's wire tables, the release that brought each field.
_PORTS_AND_COMMAND = Release(0, 4, 0)
_LIMITS = Release(0, 4, 1)
SINCE = {
    "companion_containers": COMPANIONS,
    "ports": _PORTS_AND_COMMAND,
    "command": _PORTS_AND_COMMAND,
    "cpu_limit": _LIMITS,
    "memory_limit": _LIMITS,
    "disk_limit": _LIMITS,
    "gpus": NEWEST,
}

OLD_PROBE = "required_services: {}"
"""A key that only daemons of dialect 0.2 know."""

# What tells releases apart that do not say which they are: a key of config_yaml that a
# release does not know is an error of its own. Oldest first; a release knows all up to its own.
PROBES = (
    ("companion_containers: {}", COMPANIONS),
    ("ports: []", _PORTS_AND_COMMAND),
    ("cpu_limit: ''", _LIMITS),
    ("gpus: ''", NEWEST),
)


def parse_release(version: str) -> Release | None:
    """Read what Ping says; None for `dev` builds, pre-releases and all that is no release.

    A pre-release is none: which of its release's fields it has, its name does not tell.
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        return None
    major, minor, patch = map(int, match.groups())
    return Release(major, minor, patch)


def base_release(version: str) -> Release | None:
    """Read the release that a version is of or leads to; None where it names none."""
    return parse_release(version.partition("-")[0])


def chosen_release(version: str) -> Release:
    """Read the release that a caller names.

    Raises:
        InvalidArgumentError: It is not the name of a release.
        UnsupportedDaemonError: It is of a release that is not supported.
    """
    release = parse_release(version) if isinstance(version, str) else None
    if release is None:
        raise InvalidArgumentError(
            f'daemon_version must be a release such as "{NEWEST}": {version!r}'
        )
    check_supported(release)
    return release


def check_supported(release: Release, version: str = "") -> None:
    """Refuse a daemon of which nothing is known.

    Args:
        release: What it is, or leads to.
        version: What it calls itself, if that is not the same.

    Raises:
        UnsupportedDaemonError: It is older than 0.2.0, or of another major version.
    """
    if release < OLDEST or release.major != NEWEST.major:
        raise unsupported(version or str(release))


def unsupported(version: str) -> UnsupportedDaemonError:
    """Make the error of a daemon of which nothing is known."""
    error = UnsupportedDaemonError(
        f"daemon {version} is not supported: this SDK speaks to {OLDEST} up to "
        f"{NEWEST.major}.x. Use the release of the SDK that belongs to it"
    )
    error.daemon_version = version
    return error


def require(fields: Iterable[tuple[str, str]], release: Release) -> None:
    """Refuse what a release would drop in silence.

    Args:
        fields: Each field that is set: as the caller knows it, and its name in `SINCE`.
        release: The daemon's.

    Raises:
        UnsupportedByDaemonError: It does not know one of the fields.
    """
    for shown, name in fields:
        if release < SINCE[name]:
            error = UnsupportedByDaemonError(
                f"{shown} needs daemon {SINCE[name]}, this one is {release}, and would ignore it: "
                "upgrade the daemon, or leave it out"
            )
            error.field, error.daemon_version = shown, release.reported or str(release)
            error.since_version = str(SINCE[name])
            raise error
