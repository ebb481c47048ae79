"""Runs a program as another user, or where namespaces are denied: `confined.py KIND ARGUMENT...`.

The kinds are `user` (an ordinary user; needs root), `namespaces` (no namespace can be made) and
`mounts` (namespaces can be made, but not all that belongs to them can be mounted).
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 1 << 28
MS_BIND, MS_REC, MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
USER = "nobody"


def check(result: int) -> None:
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    arguments = (text.encode() for text in (source, target, kind))
    check(LIBC.mount(*arguments, ctypes.c_ulong(flags), options.encode()))


def become_user() -> None:
    """Become an ordinary user who can read this Python and the tests."""
    check(LIBC.unshare(CLONE_NEWNS))
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    for path in (sys.base_prefix, sys.prefix, str(Path.cwd())):
        open_way_to(Path(path))
    user = pwd.getpwnam(USER)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def open_way_to(path: Path) -> None:
    """Let others through the first folder on the way that is closed, to this path alone."""
    closed = next((it for it in [*path.parents][::-1] if not it.stat().st_mode & 0o001), None)
    if closed:
        opened = os.open(path, os.O_RDONLY)
        mount("tmpfs", str(closed), "tmpfs", options="mode=755")
        path.mkdir(parents=True)
        mount(f"/proc/self/fd/{opened}", str(path), flags=MS_BIND | MS_REC)
        os.close(opened)


def become_root_of_nothing(flags: int) -> None:
    """Become the root of a user namespace, and so of its limits."""
    uid, gid = os.getuid(), os.getgid()
    check(LIBC.unshare(CLONE_NEWUSER | flags))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def deny_namespaces() -> None:
    """Deny all namespaces, as some administrators do."""
    become_root_of_nothing(0)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def deny_mounts() -> None:
    """Hide a part of /proc, as Docker does: then it cannot be mounted once more."""
    become_root_of_nothing(CLONE_NEWNS)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount("/dev/null", "/proc/version", flags=MS_BIND)


KINDS = {"user": become_user, "namespaces": deny_namespaces, "mounts": deny_mounts}

if __name__ == "__main__":
    KINDS[sys.argv[1]]()
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
