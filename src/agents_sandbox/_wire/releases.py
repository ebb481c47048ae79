"""Daemon releases: how their versions are read and what each of them supports; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from .._shared.shown import shown, shown_id
from ..errors import InvalidArgumentError, UnsupportedByDaemonError, UnsupportedDaemonError

_VERSION = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})\.([0-9]{1,9})")


class Release(NamedTuple):
    """A release of the daemon, such as 0.4.3. They are ordered."""

    major: int
    minor: int
    patch: int
    reported: str = ""
    """The version that the daemon reports, if that is not the name of a release.

    It counts last in a comparison, so a release that has it is only ever the left side of `<`.
    """

    def __str__(self) -> str:
        number = f"{self.major}.{self.minor}.{self.patch}"
        return f"{shown_id(self.reported)} (like {number})" if self.reported else number

    @property
    def has_companions(self) -> bool:
        """Whether it speaks wire dialect 0.4, with companion containers instead of services."""
        return self >= COMPANIONS


OLDEST = Release(0, 2, 0)
COMPANIONS = Release(0, 3, 0)
NEWEST = Release(0, 4, 3)
"""The newest release that this SDK was made for."""

# Source: the daemon's wire tables, which name the release that introduced each field.
_PORTS_AND_COMMAND = Release(0, 4, 0)
_LIMITS = Release(0, 4, 1)
_GPUS = Release(0, 4, 3)
SINCE = {
    "companion_containers": COMPANIONS,
    "ports": _PORTS_AND_COMMAND,
    "command": _PORTS_AND_COMMAND,
    "cpu_limit": _LIMITS,
    "memory_limit": _LIMITS,
    "disk_limit": _LIMITS,
    "gpus": _GPUS,
}

OLD_PROBE = "required_services: {}"
"""A key that only daemons of dialect 0.2 know."""

# A build that does not report its release is probed: a config_yaml key that the daemon does not
# know gives a distinct error. Oldest first; a release knows its own keys and all older ones.
PROBES = (
    ("companion_containers: {}", COMPANIONS),
    ("ports: []", _PORTS_AND_COMMAND),
    ("cpu_limit: ''", _LIMITS),
    ("gpus: ''", _GPUS),
)


def parse_release(version: str) -> Release | None:
    """Parse the version that Ping reports; None if it is not the name of a release.

    A `dev` build has no such name. A pre-release gives None too, because its name does not tell
    which of the new fields it has.
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        return None
    major, minor, patch = map(int, match.groups())
    return Release(major, minor, patch)


def base_release(version: str) -> Release | None:
    """Parse a version without its pre-release or build suffix; None if that names no release."""
    return parse_release(version.partition("-")[0])


def chosen_release(version: str) -> Release:
    """Parse the release that a caller names.

    Raises:
        InvalidArgumentError: It is not the name of a release.
        UnsupportedDaemonError: The release is not supported.
    """
    release = parse_release(version) if isinstance(version, str) else None
    if release is None:
        raise InvalidArgumentError(
            f'daemon_version must be a release such as "{NEWEST}": {shown(version)}'
        )
    check_supported(release)
    return release


def check_supported(release: Release, version: str = "") -> None:
    """Refuse a release that this SDK does not support.

    Args:
        release: The daemon's release.
        version: The version that it reports, if that is different.

    Raises:
        UnsupportedDaemonError: It is older than 0.2.0 or has another major version.
    """
    if release < OLDEST or release.major != NEWEST.major:
        raise unsupported(version or str(release))


def unsupported(version: str) -> UnsupportedDaemonError:
    """Make the error of a daemon that this SDK does not support."""
    return UnsupportedDaemonError(
        f"daemon {shown(version)} is not supported: this SDK supports {OLDEST} up to "
        f"{NEWEST.major}.x. Use a release of the SDK that supports it",
        daemon_version=version,
    )


def require(fields: Iterable[tuple[str, str]], release: Release) -> None:
    """Refuse fields that a release would silently ignore.

    Args:
        fields: Each field that is set: its name for the caller and its name in `SINCE`.
        release: The daemon's release.

    Raises:
        UnsupportedByDaemonError: The release does not know one of the fields.
    """
    for field_name, name in fields:
        if release < SINCE[name]:
            raise UnsupportedByDaemonError(
                f"{field_name} requires daemon {SINCE[name]} or newer; this daemon is {release} "
                "and would ignore it. Upgrade the daemon or omit the argument",
                field=field_name,
                daemon_version=release.reported or str(release),
                since_version=str(SINCE[name]),
            )
