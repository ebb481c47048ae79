"""A program that tries, in an isolated sandbox, to reach what is the host's.

`python escapes.py SECRET` prints a line for each attempt, which begins with `ok` if the attempt
failed, as it should. SECRET is a file of the host that the sandbox must not see.
"""

from __future__ import annotations

import ctypes
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from struct import pack

Attempt = tuple[str, Callable[[], object]]
"""It has failed if it raises an `OSError` or returns something false that is not None."""

LIBC = ctypes.CDLL(None, use_errno=True)
MS_REMOUNT, MS_BIND, MS_REC = 32, 1 << 12, 1 << 14
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 1 << 28

SECRET = Path(sys.argv[1])
UP = "/".join([".."] * 30)
BOX = Path("/tmp/escapes")  # the sandbox's own
PLACE = BOX / "place"
DEVICES = [f"/dev/{name}" for name in ("full", "null", "random", "tty", "urandom", "zero")]
PROC = ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger")


def check(result: int) -> None:
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount(source: str, target: str, kind: str, flags: int) -> None:
    arguments = (text.encode() for text in (source, target, kind))
    check(LIBC.mount(*arguments, ctypes.c_ulong(flags), b""))


def read(path: str) -> bytes:
    return Path(path).read_bytes()


def read_from(descriptor: int) -> bytes:
    return os.read(os.open(UP + str(SECRET), os.O_RDONLY, dir_fd=descriptor), 100)


def write(path: str) -> None:
    """Open it, and write nothing: that takes the same permission."""
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))


def create(folder: str) -> None:
    (Path(folder) / "escaped").touch()
    (Path(folder) / "escaped").unlink()


def chmod(path: str) -> None:
    os.chmod(path, stat.S_IMODE(os.stat(path).st_mode))


def link(path: str) -> bytes:
    os.link(path, BOX / "hard")
    return read(f"{BOX}/hard")


def change(path: str) -> None:
    if Path(path).is_dir():
        create(path)
    else:
        write(path)


def in_child(attempt: Callable[[], object]) -> bool:
    """Try it in a process of its own, since it changes the process."""
    pid = os.fork()
    if not pid:
        with suppress(OSError):
            os._exit(0 if attempt() else 1)
        os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def mounts() -> list[str]:
    """All places where something of the host is mounted, but for devices and the own logs."""
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    own = ("/dev", "/sys/", "/var/log/agents-sandbox", str(BOX))
    return [place for place in places if place not in ("/", "/proc") and not place.startswith(own)]


def reading() -> Iterator[Attempt]:
    """Reach the secret by other paths."""
    (BOX / "link").symlink_to(SECRET)
    (BOX / "links").symlink_to("/proc/1/root")
    folders = ["", "/proc/self/root", "/proc/self/cwd", "/proc/thread-self/root", "/dev/fd"]
    folders += ["/proc/1/task/1/root", f"{BOX}/links"]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        folders += [f"/proc/{pid}/root", f"/proc/{pid}/cwd"]
    folders += [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    for folder in folders:
        yield f"read from {folder}", partial(read, f"{folder}{SECRET}")
        yield f"read above {folder}", partial(read, f"{folder}/{UP}{SECRET}")
    for number in range(3, 64):
        yield f"read above descriptor {number}", partial(read_from, number)
    yield "read through a link", partial(read, f"{BOX}/link")
    yield "link", partial(link, str(SECRET))
    yield "rename", partial(os.rename, SECRET, BOX / "moved")
    for name in ("mem", "environ", "maps"):
        yield f"{name} of process 1", partial(read, f"/proc/1/{name}")
    yield "descriptors of process 1", partial(os.listdir, "/proc/1/fd")
    yield "memory of the kernel", partial(os.open, "/proc/kcore", os.O_RDONLY)
    for kind in ("mnt", "user", "pid"):
        yield f"{kind} namespace of process 1", partial(in_child, partial(enter, kind))


def enter(kind: str) -> bytes:
    check(LIBC.setns(os.open(f"/proc/1/ns/{kind}", os.O_RDONLY), 0))
    return read(str(SECRET))


def writing() -> Iterator[Attempt]:
    """Change what is there to be read."""
    for place in mounts():
        yield f"change {place}", partial(change, place)
        yield f"touch {place}", partial(os.utime, place)
        yield f"chmod {place}", partial(chmod, place)
        yield f"temporary file in {place}", partial(os.open, place, os.O_TMPFILE | os.O_RDWR)
    for path in ("/etc/passwd", "/etc/hosts", "/usr/bin/env", "/bin/sh", sys.executable):
        yield f"write to {path}", partial(write, path)
        yield f"link to {path}", partial(link, path)
    for path in PROC:
        yield f"write to {path}", partial(write, path)
    yield "control groups", partial(create, "/sys/fs/cgroup")


def devices() -> Iterator[Attempt]:
    """Reach devices of the host."""
    for name, kind, major, minor in (
        *(("mem", stat.S_IFCHR, 1, 1), ("kmsg", stat.S_IFCHR, 1, 11)),
        *(("vda", stat.S_IFBLK, 254, 0), ("sda", stat.S_IFBLK, 8, 0)),
    ):
        yield f"open /dev/{name}", partial(os.open, f"/dev/{name}", os.O_RDONLY)
        device = os.makedev(major, minor)
        yield f"mknod {name}", partial(os.mknod, BOX / name, kind | 0o600, device)


def powers() -> Iterator[Attempt]:
    """Use what only the host's root may use."""
    yield "chroot", partial(in_child, leave_chroot)
    for inode in (2, 64, 128):
        yield f"open by handle {inode}", partial(open_by_handle, inode)
    yield "open_tree", lambda: check(LIBC.syscall(428, -100, b"/", 1))
    yield "trace process 1", lambda: check(LIBC.ptrace(16, 1, 0, 0))
    yield "name of the host", lambda: check(LIBC.sethostname(b"escaped", 7))
    yield "docker", partial(os.stat, "/var/run/docker.sock")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        yield f"kill process 1 with {number}", partial(kill_first, number)


def leave_chroot() -> bytes:
    """Leave a chroot in the way that manuals describe."""
    jail = BOX / "jail"
    jail.mkdir()
    root = os.open("/", os.O_RDONLY)
    os.chroot(jail)
    os.fchdir(root)
    for _ in range(64):
        os.chdir("..")
    os.chroot(".")
    return read(str(SECRET))


def open_by_handle(inode: int) -> None:
    """Open the root of the host's file system by its number."""
    handle = ctypes.create_string_buffer(pack("IiQ", 8, 1, inode))
    where = os.open("/usr", os.O_RDONLY)
    check(LIBC.open_by_handle_at(where, handle, os.O_RDONLY))


def kill_first(number: int) -> bool:
    os.kill(1, number)
    return not Path("/proc/1").exists()


def mounting(where: str, places: list[str]) -> Iterator[Attempt]:
    """Change mounts."""
    PLACE.mkdir(exist_ok=True)
    for source in ("/", "/proc/1/root", "/proc/self/root", "/proc/1/cwd"):
        yield f"{where}: bind {source}", partial(bind, source)
    for place in places:
        yield f"{where}: make {place} writable", partial(remount, place, MS_BIND)
        yield f"{where}: remount {place}", partial(remount, place, 0)
        yield f"{where}: unmount {place}", partial(unmount, place)
    for path in PROC:
        yield f"{where}: make {path} writable", partial(remount, path, MS_BIND)
    for system in ("btrfs", "ext4", "xfs"):
        yield (
            f"{where}: mount the disk as {system}",
            partial(mount, "/dev/vda", str(PLACE), system, 0),
        )
    yield f"{where}: mount devices", partial(mount, "none", str(PLACE), "devtmpfs", 0)
    yield f"{where}: pivot_root", partial(in_child, pivot)


def bind(source: str) -> bytes:
    mount(source, str(PLACE), "none", MS_BIND | MS_REC)
    return read(f"{PLACE}{SECRET}")


def remount(place: str, flags: int) -> None:
    mount("none", place, "none", MS_REMOUNT | flags)
    change(place)


def unmount(place: str) -> bool:
    before = set(os.listdir(place))
    check(LIBC.umount2(place.encode(), 2))
    return not before >= set(os.listdir(place))


def pivot() -> bytes:
    check(LIBC.pivot_root(b"/", os.fsencode(PLACE)))
    return read(f"{PLACE}{SECRET}")


def become_root_of_the_sandbox() -> bool:
    """Enter namespaces of its own, in which every power is there, also over control groups."""
    uid, gid = os.getuid(), os.getgid()
    check(LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNS))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    return True


def attempts() -> Iterator[Attempt]:
    places = mounts()
    for kind in (reading, writing, devices, powers):
        yield from kind()
    yield from mounting("here", places)
    for path in DEVICES:
        for change_it in (os.utime, chmod):
            yield f"{change_it.__name__} {path}", partial(change_it, path)
    yield "namespaces of its own", partial(in_child, become_root_of_the_sandbox)


def main() -> None:
    BOX.mkdir()
    for name, attempt in attempts():
        try:
            outcome = attempt()
        except OSError as error:
            print("ok:", name, error.strerror)
        else:
            print("SUCCEEDED:" if outcome is None or outcome else "ok:", name, outcome)


if __name__ == "__main__":
    main()
