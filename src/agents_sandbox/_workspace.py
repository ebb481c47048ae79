"""A folder of this host that is the `/workspace` of a sandbox."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ._arguments import checks
from ._arguments.specs import MountSpec
from ._shared.shown import shown
from ._shared.trees import remove_tree
from .errors import InvalidArgumentError

WORKSPACE = "/workspace"
"""Where the daemon's sandboxes have their working folder."""


class Workspace:
    """The folder for one sandbox.

    Args:
        path: An existing folder; None: a temporary one, which `make` makes.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.temporary: Path | None = None
        """The temporary folder that was made, and ends with the sandbox; or None."""

    @classmethod
    def of(
        cls, value: str | os.PathLike[str] | bool | None, mounts: Iterable[MountSpec] = ()
    ) -> Workspace | None:
        """Return the workspace that an argument asks for.

        Args:
            value: An existing folder; True: a temporary one; False or None: no workspace.
            mounts: The other mounts of the sandbox.

        Raises:
            InvalidArgumentError: It is not a folder, or one of the mounts is in its place.
        """
        if value is None or value is False:
            return None
        if any(mount.target == WORKSPACE for mount in mounts):
            raise InvalidArgumentError(
                f"workspace and one of mounts both have the target {WORKSPACE}: pass one of them"
            )
        if value is True:
            return cls(None)
        path = Path(checks.path("workspace", value)).expanduser().absolute()
        if not path.is_dir():
            raise InvalidArgumentError(f"workspace must be an existing folder: {shown(str(path))}")
        return cls(path)

    @property
    def path(self) -> Path | None:
        """The folder, absolute; None before a temporary one was made."""
        return self._path

    def make(self) -> MountSpec:
        """Make a temporary folder, and return what makes the folder the sandbox's `/workspace`.

        Raises:
            OSError: No temporary folder can be made.
        """
        if self._path is None:
            # First the name: in the blocking flavour an interruption can come at any line.
            name = f"agents-sandbox-{secrets.token_hex(16)}"
            self.temporary = Path(tempfile.gettempdir(), name).absolute()
            self.temporary.mkdir(0o700)
            path = self.temporary / "workspace"
            path.mkdir()
            # The user in the container may have any number. Other users of this host stop at the
            # outer folder, which the mount does not need.
            path.chmod(0o777)
            self._path = path
        return MountSpec(self._path, WORKSPACE, writable=True)

    def remove(self) -> None:
        """Remove a temporary folder, as far as this user can; never one that a caller named.

        Call it after the delete of the sandbox, whose commands could still write. Safe to repeat.
        """
        if self.temporary is not None:
            remove_tree(self.temporary)
