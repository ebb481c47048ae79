"""The checks of a create request, in the daemon's order; the first fault wins."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ._config_yaml import merge, parse_config_yaml
from ._errors import invalid_argument
from ._profile import Profile
from ._services import validate_services
from ._spec import Spec


def accepted_spec(request: Any, profile: Profile, host_paths: Collection[str]) -> Spec:
    """Merge and check what a create asks for; the id is checked elsewhere, later.

    Raises:
        StatusError: The request is refused.
    """
    spec = profile.dialect.decode_spec(request.create_spec, profile.new_fields)
    if request.config_yaml:
        spec = merge(parse_config_yaml(request.config_yaml), spec)
    elif not request.HasField("create_spec"):
        raise invalid_argument("create_spec is required")
    _validate(spec, profile, host_paths)
    return spec


def _validate(spec: Spec, profile: Profile, host_paths: Collection[str]) -> None:
    if not spec.image:
        raise invalid_argument("create_spec.image is required")
    if spec.idle_ttl and (spec.idle_ttl.seconds < 0 or spec.idle_ttl.nanos < 0):
        raise invalid_argument("idle_ttl must not be negative")
    _validate_paths(spec, host_paths)
    validate_services(spec)
    _validate_tools(spec, profile)


def _validate_paths(spec: Spec, host_paths: Collection[str]) -> None:
    targets: dict[str, str] = {}
    for kind, entries in (("mount", spec.mounts), ("copy", spec.copies)):
        for entry in entries:
            if entry.source not in host_paths:
                _validate_source(kind, entry.source)
            target = entry.target
            if not target:
                raise invalid_argument(f"{kind} target is required")
            if not target.startswith("/"):
                raise invalid_argument(f"{kind} target must be absolute: {target}")
            if target in targets:
                raise invalid_argument(
                    f"conflicting target {target} between {targets[target]} and {kind}"
                )
            targets[target] = kind


def _validate_source(kind: str, source: str) -> None:
    if not source:
        raise invalid_argument(f"{kind} source is required")
    if not source.startswith("/"):
        raise invalid_argument(f"{kind} source must be absolute: {source}")
    try:
        mode = Path(source).lstat().st_mode
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        raise invalid_argument(f"{kind} source path is invalid: lstat {source}: {why}") from error
    except ValueError as error:  # a NUL in the path
        raise invalid_argument(
            f"{kind} source path is invalid: lstat {source}: invalid argument"
        ) from error
    if stat.S_ISLNK(mode):
        raise invalid_argument(f"{kind} source must not be a symlink: {source}")
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise invalid_argument(f"{kind} source must be a file or directory: {source}")


def _validate_tools(spec: Spec, profile: Profile) -> None:
    seen: set[str] = set()
    for tool in spec.builtin_tools:
        if not tool:
            raise invalid_argument("builtin resource id must not be empty")
        if tool in seen:
            raise invalid_argument(f'duplicate builtin resource "{tool}"')
        if tool not in profile.builtin_tools:
            raise invalid_argument(f'unknown builtin resource "{tool}"')
        seen.add(tool)
