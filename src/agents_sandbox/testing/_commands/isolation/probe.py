"""Whether this system lets a user isolate commands."""

from __future__ import annotations

import sys
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from ..._protocol.spec import Spec
from .files import Root
from .launching import Launcher


@cache
def obstacle_to_isolation() -> str:
    """Return why commands cannot be isolated here; empty: they can.

    It isolates an empty sandbox: some systems allow namespaces, but no mounts in them.
    """
    if not sys.platform.startswith("linux"):
        return f"it requires Linux, and this is {sys.platform}"
    with tempfile.TemporaryDirectory(prefix="fake-agboxd-probe-") as folder:
        root = Root(Path(folder), Spec())
        try:
            root.build()
            with closing(Launcher(root.folder, root.mounts())) as launcher:
                answer = launcher.receive()
        except OSError as error:
            answer = ["failed", str(error)]
    if answer == ["ready"]:
        return ""
    _, why = answer or ("", "the launcher has ended")
    return (
        f"this system refuses it ({why}). It requires Linux 5.12 or newer and a user who may "
        "create user namespaces and mount in them: see the sysctl settings "
        "user.max_user_namespaces, kernel.unprivileged_userns_clone and "
        "kernel.apparmor_restrict_unprivileged_userns, and in a container its seccomp profile "
        "and masked paths of /proc"
    )
