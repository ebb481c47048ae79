"""The program behind one isolated sandbox: `python -I -S launcher.py SOCKET PID`.

It makes the namespaces, mounts the file system, and then starts the commands that it is sent. It
stays outside of the sandbox's process tree, as Docker does: the first process in there is a child
that only reaps orphans. If that child ends, the kernel ends everything else in the sandbox.

It runs as a program of its own because namespaces cannot be entered beside the threads of gRPC. It
has to start fast: it imports few modules, and neither pathlib nor typing.

It talks over a Unix socket of packets. Each packet to it has descriptors: first a file with the
arguments of `isolate()`, then, for each command, a file with its argv, cwd and environment and its
two log files. It answers with lists: `["ready"]` or `["failed", why]`, then for each command
`["started", pid]` or `["refused", step, errno, why]`, and `["ended", pid, status]` when one has
ended. It ends when the other end of the socket is closed for writing, or with the process that
started it.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import signal
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

# Constants of Linux, from <sched.h>, <sys/mount.h>, <linux/mount.h>, <sys/prctl.h> and
# <linux/capability.h>.
_CLONE_NEWNS, _CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWPID = 0x20000, 0x8000000, 1 << 28, 1 << 29
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_BIND, _MS_REC, _MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
_MNT_DETACH = 2
_SYS_MOUNT_SETATTR = 442  # the same on all architectures; glibc has it since 2.36
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_MOUNT_ATTR_RDONLY = 1
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP = 1, 24

_KEPT_CAPABILITIES = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}
"""Docker's default for containers, without which root could not even change the owner of a file.

Among those that are missing is CAP_SYS_ADMIN: with it, root could make a read-only mount writable.
"""

_DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "ptmx": "pts/ptmx",
    "stderr": "/proc/self/fd/2",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
}

_READ_ONLY_PROC = ("bus", "fs", "irq", "sys", "sysrq-trigger")
"""As Docker does: there, root could change the host."""

_MOUNTED = "mounted"

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result == -1:
        raise OSError(f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(source: str, place: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    arguments = (os.fsencode(text) for text in (source, place, kind))
    result = _libc.mount(*arguments, ctypes.c_ulong(flags), os.fsencode(options))
    _check(result, f"mount {kind or source}")


def isolate(root: str, mounts: Sequence[tuple[str, str, bool]]) -> int:
    """Enter namespaces in which a folder is the root, and return the pid of their first process.

    Args:
        root: The folder. It has folders or files at the places of all mounts, and the folders
            `dev` and `proc`.
        mounts: What to mount in it, outer ones first: a path of the host, the path in the sandbox,
            and whether it is writable. Mounts of the host that are inside come along.

    Raises:
        OSError: The system does not allow it; the message names the step.
    """
    os.chdir("/")  # with the root, its processes' working directory moves
    uid, gid = os.geteuid(), os.getegid()
    flags = _CLONE_NEWUSER | _CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWIPC
    _check(_libc.unshare(flags), "unshare")
    _write("/proc/self/setgroups", "deny")  # else no gid_map is accepted
    _write("/proc/self/uid_map", f"{uid} {uid} 1")
    _write("/proc/self/gid_map", f"{gid} {gid} 1")
    # In a user namespace of its own, a command would have all capabilities again.
    _write("/proc/sys/user/max_user_namespaces", "0")
    _mount("none", "/", flags=_MS_REC | _MS_PRIVATE)
    _mount(root, root, flags=_MS_BIND | _MS_REC)
    _make_devices(f"{root}/dev")
    for source, target, writable in mounts:
        _bind(source, _inside(root, target), writable=writable)
    # From now on, children are in the sandbox's process tree.
    init = _start_init(f"{root}/proc")
    os.chdir(root)
    # With both at the same place, the old root is on top of the new one, until it is detached.
    _check(_libc.pivot_root(b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _MNT_DETACH), "umount")
    os.chdir("/")
    _drop_capabilities()
    return init


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _inside(root: str, target: str) -> str:
    place = os.path.realpath(root + target)
    if not (place + "/").startswith(root + "/"):
        raise OSError(f"mount at {target}: a symlink leads out of the sandbox")
    return place


def _bind(source: str, place: str, *, writable: bool) -> None:
    _mount(source, place, flags=_MS_BIND | _MS_REC)
    if not writable:
        attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY, 0, 0, 0)
        result = _libc.syscall(
            ctypes.c_long(_SYS_MOUNT_SETATTR),
            ctypes.c_int(_AT_FDCWD),
            ctypes.c_char_p(os.fsencode(place)),
            ctypes.c_uint(_AT_RECURSIVE),
            ctypes.byref(attributes),
            ctypes.c_size_t(ctypes.sizeof(attributes)),
        )
        _check(result, "mount_setattr (since Linux 5.12)")


def _make_devices(folder: str) -> None:
    _mount("tmpfs", folder, "tmpfs", _MS_NOSUID, "mode=755")
    for name in _DEVICES:
        _write(f"{folder}/{name}", "")
        # Read-only: what is written to a device is no change, but a new mode or owner of it is.
        _bind(f"/dev/{name}", f"{folder}/{name}", writable=False)
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, f"{folder}/{name}")
    for name in ("pts", "shm"):
        os.mkdir(f"{folder}/{name}")
    flags = _MS_NOSUID | _MS_NOEXEC
    _mount("devpts", f"{folder}/pts", "devpts", flags, "newinstance,ptmxmode=0666,mode=620")
    _mount("tmpfs", f"{folder}/shm", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777")


def _start_init(proc: str) -> int:
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        _be_init(proc, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        problem = answer.read().decode()
    if problem != _MOUNTED:
        os.waitpid(pid, 0)
        raise OSError(problem)
    return pid


def _be_init(proc: str, writer: int) -> NoReturn:
    """Mount the process tree, and reap orphans until this process is killed."""
    try:
        # It has to end with its parent, however that ends. If the parent has already ended, the
        # answer below cannot be written.
        _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")
        try:
            # It shows the tree of the process that mounts it.
            _mount("proc", proc, "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
            for path in (f"{proc}/{name}" for name in _READ_ONLY_PROC):
                if os.path.exists(path):
                    _bind(path, path, writable=False)
        except OSError as error:
            os.write(writer, str(error).encode())
            os._exit(1)
        os.write(writer, _MOUNTED.encode())
    except OSError:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    os.closerange(0, writer + 1000)
    while True:
        signal.pause()


def _drop_capabilities() -> None:
    """Take from commands of root what root in a container does not have; others have none."""
    for capability in range(64):
        if capability not in _KEPT_CAPABILITIES:
            result = _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability))
            if ctypes.get_errno() != errno.EINVAL:  # Linux knows fewer than 64
                _check(result, "prctl")


class Server:
    """Starts commands in the sandbox and reports their ends.

    Args:
        requests: The socket.
        init: The pid of the sandbox's first process.
        owner: A descriptor of the process to end with.
    """

    def __init__(self, requests: socket.socket, init: int, owner: int) -> None:
        self._requests = requests
        self._init = init
        self._owner = owner
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Serve until the sandbox is to end, or has ended."""
        poll = select.poll()
        for descriptor in (self._requests, self._woken, self._owner):
            poll.register(descriptor, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._owner in ready:
                return
            if self._woken in ready:
                os.read(self._woken, 1000)
                if not self._report_ended():
                    return
            if self._requests.fileno() in ready:
                files = receive(self._requests)
                if not files:
                    return
                send(self._requests, *self._start(*files))

    def _report_ended(self) -> bool:
        """Report the commands that have ended; return whether the sandbox goes on."""
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return True
            if pid == self._init:
                self._init = 0
                return False
            send(self._requests, "ended", pid, status)

    def _start(self, request: int, stdout: int, stderr: int) -> tuple[Any, ...]:
        reader, writer = os.pipe()
        command = read_json(request)
        try:
            pid = os.fork()
            if not pid:
                _become(command, stdout, stderr, writer)
        except OSError as error:  # too many processes
            os.close(reader)
            return "refused", "fork", error.errno, str(error)
        finally:
            for descriptor in (stdout, stderr, writer):
                os.close(descriptor)
        with os.fdopen(reader, "rb") as answer:
            problem = answer.read()  # until the command runs, or tells why not
        if not problem:
            return "started", pid
        os.waitpid(pid, 0)
        return "refused", *json.loads(problem)

    def end(self) -> None:
        """End everything in the sandbox."""
        if self._init:
            os.kill(self._init, signal.SIGKILL)
        try:
            while True:
                os.wait()
        except ChildProcessError:
            pass


def _become(command: Any, stdout: int, stderr: int, writer: int) -> NoReturn:
    step = "start"
    try:
        os.setsid()
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python
            signal.signal(ignored, signal.SIG_DFL)
        for place, descriptor in enumerate((os.open("/dev/null", os.O_RDONLY), stdout, stderr)):
            os.dup2(descriptor, place)
        step = "chdir"
        os.chdir(command["cwd"])
        step = "exec"
        argv = command["argv"]
        os.execvpe(argv[0], argv, command["env"])  # noqa: S606 - the purpose
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else None
        os.write(writer, json.dumps([step, number, str(error)]).encode())
    finally:
        os._exit(127)


def receive(requests: socket.socket) -> list[int]:
    """Receive the descriptors of one packet; none: the other end is closed."""
    data, files, _, _ = socket.recv_fds(requests, 1, 3)
    for file in files:
        os.set_inheritable(file, False)  # some Pythons ignore the flag for that
    return files if data else []


def send(requests: socket.socket, *answer: Any) -> None:
    """Send one answer."""
    requests.send(json.dumps(answer).encode())


def read_json(file: int) -> Any:
    """Read a file from its beginning, and close it."""
    with open(file, "rb") as opened:
        opened.seek(0)
        return json.load(opened)


def main() -> None:
    """Make the sandbox, and serve it until it is to end."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    requests.set_inheritable(False)
    owner = os.pidfd_open(int(sys.argv[2]))
    arguments = receive(requests)
    # Last: if that process has ended, another one can have its pid.
    if os.getppid() != int(sys.argv[2]) or not arguments:
        return
    try:
        init = isolate(**read_json(*arguments))
    except OSError as error:
        send(requests, "failed", str(error))
        return
    server = Server(requests, init, owner)
    try:
        send(requests, "ready")
        server.serve()
    except ConnectionError:
        pass  # the other end was closed
    finally:
        server.end()


if __name__ == "__main__":
    main()
