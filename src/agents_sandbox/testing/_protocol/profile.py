"""Differences between daemon releases, as data: each release is the previous one, changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..._shared.shown import shown
from .._checks import check_type
from .dialect import DIALECT_02, DIALECT_04, Dialect
from .spec import LIMITS


@dataclass(frozen=True)
class Profile:
    """The behaviour of one daemon release where releases differ."""

    version: str
    """What `Ping` reports."""
    dialect: Dialect
    """The layout of its messages."""
    builtin_tools: Mapping[str, tuple[str, ...]]
    """Each known tool, with the paths under the home folder that it requires."""
    handle_reports_failures: bool
    """Handles have error_code, error_message and state_changed_at."""
    lists_newest_first: bool
    """ListSandboxes sorts by creation, newest first; otherwise by id."""
    stop_reports_container_death: bool
    """A stop first reports that the container died."""
    names_fold_underscores: bool
    """Container names contain `-` in place of `_`, so those of two sandboxes can collide."""
    new_fields: frozenset[str] = frozenset()
    """The fields of CreateSpec that it knows and that were added within dialect 0.4."""
    expands_tilde: bool = False
    """Mounts and copies accept `~/x`, and refuse `~user/x` with an error of its own."""
    mounts_sockets: bool = False
    """A Unix socket can be the source of a mount; as the source of a copy it fails the create."""
    refuses_to_copy_root: bool = False
    """A copy of `/` is refused."""
    tolerates_down_containers: bool = False
    """A container may be down for five minutes; otherwise its death is reported immediately."""
    removes_failed_containers: bool = False
    """After a restart, the delete of a sandbox that is FAILED removes its containers."""
    appends_yaml_lists: bool = False
    """Lists of the spec are appended to those of `config_yaml`; otherwise they replace them."""
    reserves_envs: bool = False
    """Some environment variables are reserved for the daemon."""
    purge_ends_streams_cleanly: bool = False
    """The streams of a purged sandbox end with OK; otherwise with NOT_FOUND."""


_TOOLS = {
    "claude": (".claude", ".claude.json"),
    "codex": (".codex", ".agents"),
    "git": (),
    "uv": (),
    "npm": (),
    "apt": (),
}

_V020 = Profile(
    version="0.2.0",
    dialect=DIALECT_02,
    builtin_tools=_TOOLS,
    handle_reports_failures=False,
    lists_newest_first=False,
    stop_reports_container_death=True,
    names_fold_underscores=True,
)
_V021 = replace(_V020, version="0.2.1", handle_reports_failures=True, lists_newest_first=True)
_V030 = replace(_V021, version="0.3.0", dialect=DIALECT_04)
_V031 = replace(_V030, version="0.3.1", refuses_to_copy_root=True)
_V032 = replace(
    _V031,
    version="0.3.2",
    builtin_tools={**_TOOLS, "codex": (".codex",)},
    expands_tilde=True,
    mounts_sockets=True,
)
_V040 = replace(
    _V032,
    version="0.4.0",
    new_fields=frozenset({"ports", "command"}),
    stop_reports_container_death=False,
    tolerates_down_containers=True,
    removes_failed_containers=True,
)
_V041 = replace(
    _V040,
    version="0.4.1",
    new_fields=_V040.new_fields.union(LIMITS),
    builtin_tools={**_V040.builtin_tools, "opencode": ()},
)
_V042 = replace(_V041, version="0.4.2")
_V043 = replace(
    _V042,
    version="0.4.3",
    new_fields=_V042.new_fields | {"gpus"},
    names_fold_underscores=False,
    appends_yaml_lists=True,
    reserves_envs=True,
    purge_ends_streams_cleanly=True,
)
_DEV = replace(_V043, version="dev")

PROFILES: Mapping[str, Profile] = {
    profile.version: profile
    for profile in (
        *(_V020, _V021, _V030, _V031, _V032, _V040, _V041, _V042, _V043),
        _DEV,
    )
}


RELEASES: tuple[str, ...] = tuple(version for version in PROFILES if version != _DEV.version)
"""The releases that a `FakeDaemon` can imitate, oldest first; `dev` builds are none."""


def profile_for(version: str, reported_version: str | None = None) -> Profile:
    """Look up the behaviour of a daemon release; `dev` is a local build of the newest.

    Args:
        version: The release.
        reported_version: What `Ping` reports instead.

    Raises:
        TypeError: `reported_version` is not a string.
        ValueError: The version is not supported, or `reported_version` is empty.
    """
    if version not in PROFILES:
        supported = ", ".join(PROFILES)
        raise ValueError(
            f"daemon version {shown(version)} is not supported: use one of {supported}"
        )
    profile = PROFILES[version]
    if reported_version is None:
        return profile
    check_type("reported_version", reported_version, str, "a string")
    if not reported_version:
        raise ValueError(f"reported_version must not be empty: {shown(reported_version)}")
    return replace(profile, version=reported_version)
