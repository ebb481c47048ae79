"""Checks of a create request, in the daemon's order; the first error is reported."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .._protocol.profile import Profile
from .._protocol.refusals import invalid_argument
from .._protocol.spec import Spec
from .config_yaml import parse_config_yaml
from .limits import check_command, check_limits
from .merge import merge
from .paths import resolve_paths
from .ports import check_ports
from .side_containers import check_side_containers
from .strconv import quoted

_NANOS = 1_000_000_000
_RESERVED_ENV = "AGENTS_SANDBOX_SUPPLEMENTAL_GROUPS"


def check_create(request: Any, profile: Profile, host_paths: Collection[str]) -> Spec:
    """Merge and check the spec of a create; the registry checks the id later.

    Args:
        request: The CreateSandboxRequest, in the dialect of the profile.
        profile: The daemon's release.
        host_paths: Paths that count as folders of the daemon's host.

    Returns:
        The spec as the daemon stores it, with all paths expanded.

    Raises:
        StatusError: The request is refused.
    """
    spec = profile.dialect.decode_spec(request.create_spec, profile.new_fields)
    if request.config_yaml:
        base = parse_config_yaml(request.config_yaml, profile)
        spec = merge(base, spec, append_lists=profile.appends_yaml_lists)
    elif not request.HasField("create_spec"):
        raise invalid_argument("create_spec is required")
    return _check_spec(spec, profile, host_paths)


def _check_spec(spec: Spec, profile: Profile, host_paths: Collection[str]) -> Spec:
    # Fields that the release does not have are empty here.
    if not spec.image:
        raise invalid_argument("create_spec.image is required")
    if spec.idle_ttl and spec.idle_ttl.seconds * _NANOS + spec.idle_ttl.nanos < 0:
        raise invalid_argument("idle_ttl must not be negative")
    _check_gpus_and_envs(spec, profile)
    spec = resolve_paths(spec, profile, host_paths)
    check_ports(spec.ports)
    check_side_containers(spec)
    check_command("command", spec.command)
    check_limits(spec)
    _check_tools(spec, profile)
    return spec


def _check_gpus_and_envs(spec: Spec, profile: Profile) -> None:
    if spec.gpus not in ("", "all"):
        raise invalid_argument(
            f"gpus: unsupported value {quoted(spec.gpus)}; "
            'currently only empty or "all" are supported'
        )
    if profile.reserves_envs and _RESERVED_ENV in spec.envs:
        raise invalid_argument(
            f"envs.{_RESERVED_ENV} is reserved for internal runtime setup "
            "and must not be set by CreateSpec.Envs"
        )


def _check_tools(spec: Spec, profile: Profile) -> None:
    seen: set[str] = set()
    for tool in spec.builtin_tools:
        if not tool:
            raise invalid_argument("builtin resource id must not be empty")
        if tool in seen:
            raise invalid_argument(f"duplicate builtin resource {quoted(tool)}")
        if tool not in profile.builtin_tools:
            raise invalid_argument(f"unknown builtin resource {quoted(tool)}")
        seen.add(tool)
