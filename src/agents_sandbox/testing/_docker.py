"""The part of Docker that can make a create fail after it was accepted."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection
from pathlib import Path

from ._logs import log_folder
from ._profile import Profile
from ._spec import Spec

_LOG_MOUNT = "/var/log/agents-sandbox"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]+)?/)?"
_NAME = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"{_HOST}{_NAME}(?:/{_NAME})*(?::\w[\w.-]{{0,127}})?(?:@[a-z0-9]+:\w+)?", re.ASCII
)


def why_not_created(
    sandbox_id: str,
    spec: Spec,
    *,
    profile: Profile,
    missing_images: Collection[str],
    log_root: Path,
) -> str:
    """The reason why the containers cannot be made; empty if they can.

    Args:
        sandbox_id: The sandbox to make them for.
        spec: What was accepted.
        profile: The daemon's version.
        missing_images: Images that cannot be pulled.
        log_root: Where the daemon keeps exec logs; it mounts them itself.
    """
    return (
        _missing_tool_path(spec, profile)
        or _mount_over_logs(spec, log_folder(log_root, sandbox_id))
        or _missing_image(spec, missing_images)
        or _duplicate_mount(spec)
    )


def _missing_tool_path(spec: Spec, profile: Profile) -> str:
    needed = (
        Path.home() / name for tool in spec.builtin_tools for name in profile.builtin_tools[tool]
    )
    missing = (path for path in needed if not path.exists())
    return next((f"stat {path}: no such file or directory" for path in missing), "")


def _mount_over_logs(spec: Spec, logs: Path) -> str:
    for mount in spec.mounts:
        if posixpath.normpath(mount.target) == _LOG_MOUNT:
            return f"conflicting mount target {mount.target} for {mount.source} and {logs}"
    return ""


def _missing_image(spec: Spec, missing_images: Collection[str]) -> str:
    # All images are pulled before anything starts, those of optional services too.
    for image in (spec.image, *(item.image for item in spec.side_containers)):
        if not _IMAGE.fullmatch(image):
            return f"Error response from daemon: no such image: {image}: invalid reference format"
        if image in missing_images:
            return (
                f"Error response from daemon: pull access denied for {image}, repository does "
                "not exist or may require 'docker login'"
            )
    return ""


def _duplicate_mount(spec: Spec) -> str:
    targets: set[str] = set()
    for mount in spec.mounts:
        target = posixpath.normpath(mount.target)
        if target in targets:
            return f"Error response from daemon: Duplicate mount point: {target}"
        targets.add(target)
    return ""


def container_name(sandbox_id: str, profile: Profile) -> str:
    """The part of container and network names that stands for the sandbox."""
    return sandbox_id.replace("_", "-") if profile.names_fold_underscores else sandbox_id
