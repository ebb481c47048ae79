"""Mounts and copies: checks of their paths, and expansion of tildes."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ..._wire import v02_pb2 as pb
from .._protocol.profile import Profile
from .._protocol.refusals import invalid_argument
from .._protocol.spec import HOME, Spec

EntryT = TypeVar("EntryT", pb.MountSpec, pb.CopySpec)


def resolve_paths(spec: Spec, profile: Profile, host_paths: Collection[str]) -> Spec:
    """Check the mounts, then the copies, and expand the tildes of their paths.

    Args:
        spec: The requested spec; it is not changed.
        profile: The daemon's release.
        host_paths: Paths that count as folders of the host; others must exist.

    Returns:
        A spec with the paths that the daemon uses.

    Raises:
        StatusError: A path is refused.
    """
    paths = _Paths(profile, host_paths)
    return replace(
        spec,
        mounts=[paths.resolve("mount", mount) for mount in spec.mounts],
        copies=[paths.resolve("copy", copy) for copy in spec.copies],
    )


def check_sources_again(spec: Spec, profile: Profile, host_paths: Collection[str]) -> None:
    """Check the sources as a create does that begins; a copy of a socket is refused only now.

    Raises:
        StatusError: A source is refused.
    """
    mounts = _Paths(profile, host_paths)
    copies = _Paths(replace(profile, mounts_sockets=False), host_paths)
    for mount in spec.mounts:
        mounts.check_source("mount", mount.source)
    for copy in spec.copies:
        copies.check_source("copy", copy.source)


class _Paths:
    def __init__(self, profile: Profile, host_paths: Collection[str]) -> None:
        self._profile = profile
        self._host_paths = host_paths
        self._kinds: dict[str, str] = {}
        """Whether a mount or a copy uses a target, by target."""

    def resolve(self, kind: str, entry: EntryT) -> EntryT:
        if not entry.source:
            raise invalid_argument(f"{kind} source is required")
        resolved = type(entry)()
        resolved.CopyFrom(entry)
        if self._profile.expands_tilde:
            resolved.source = _expand_tilde(entry.source, str(Path.home()))
            resolved.target = _expand_tilde(entry.target, HOME)
        self.check_source(kind, resolved.source)
        self._check_target(kind, resolved.target)
        return resolved

    def check_source(self, kind: str, source: str) -> None:
        if not source.startswith("/"):
            raise invalid_argument(f"{kind} source must be absolute: {source}")
        is_root = not posixpath.normpath(source).strip("/")
        if kind == "copy" and is_root and self._profile.refuses_to_copy_root:
            raise invalid_argument("copy source must not be the root directory")
        if source in self._host_paths:
            return
        mode = _lstat_mode(kind, source)
        if stat.S_ISLNK(mode):
            raise invalid_argument(f"{kind} source must not be a symlink: {source}")
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            return
        if not self._profile.mounts_sockets:
            raise invalid_argument(f"{kind} source must be a file or directory: {source}")
        if not stat.S_ISSOCK(mode):
            raise invalid_argument(
                f"{kind} source must be a file, directory, or unix socket: {source}"
            )

    def _check_target(self, kind: str, target: str) -> None:
        if not target:
            raise invalid_argument(f"{kind} target is required")
        if not target.startswith("/"):
            raise invalid_argument(f"{kind} target must be absolute: {target}")
        if target in self._kinds:
            raise invalid_argument(
                f"conflicting target {target} between {self._kinds[target]} and {kind}"
            )
        self._kinds[target] = kind


def _expand_tilde(path: str, home: str) -> str:
    if not path.startswith("~"):
        return path
    if path[1:2] not in ("", "/"):
        raise invalid_argument(f"~username syntax is not supported: {path}")
    return posixpath.normpath(home + path[1:])


def _lstat_mode(kind: str, source: str) -> int:
    try:
        return Path(source).lstat().st_mode
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        raise invalid_argument(f"{kind} source path is invalid: lstat {source}: {why}") from error
    except ValueError as error:  # a NUL in the path
        raise invalid_argument(
            f"{kind} source path is invalid: lstat {source}: invalid argument"
        ) from error
