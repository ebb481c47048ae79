"""A folder of this host that is the `/workspace` of a sandbox."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ._arguments import checks
from ._arguments.specs import MountSpec
from ._shared.shown import shown
from ._shared.trees import remove_tree
from .errors import InvalidArgumentError

_TARGET = "/workspace"


class Workspace:
    """The folder for one sandbox.

    Attributes:
        path: The folder, absolute.
        mount: What makes it the `/workspace` of the sandbox, writable.
    """

    def __init__(self, path: Path, temporary: Path | None = None) -> None:
        self.path = path
        self.mount = MountSpec(path, _TARGET, writable=True)
        self._temporary = temporary

    @classmethod
    def of(cls, value: str | os.PathLike[str] | bool | None) -> Workspace | None:
        """Return the workspace that an argument asks for.

        Args:
            value: An existing folder; True: make a temporary one; False or None: no workspace.

        Raises:
            InvalidArgumentError: It is not a folder.
            OSError: No temporary folder can be made.
        """
        if value is None or value is False:
            return None
        if value is True:
            return cls._new()
        path = Path(checks.path("workspace", value)).expanduser().absolute()
        if not path.is_dir():
            raise InvalidArgumentError(f"workspace must be an existing folder: {shown(str(path))}")
        return cls(path)

    @classmethod
    def _new(cls) -> Workspace:
        outer = Path(tempfile.mkdtemp(prefix="agents-sandbox-"))
        try:
            path = outer / "workspace"
            path.mkdir()
            # The user in the container may have any number. Other users of this host stop at the
            # outer folder, which the mount does not need.
            path.chmod(0o777)
            return cls(path, outer)
        except BaseException:
            remove_tree(outer)
            raise

    def remove(self) -> None:
        """Remove a temporary folder, as far as this user can; never one that a caller named.

        Call it after the delete of the sandbox, whose commands could still write. Safe to repeat.
        """
        if self._temporary is not None:
            remove_tree(self._temporary)
