"""Isolated execs: real processes, each sandbox with its own files and its own process tree."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents_sandbox._wire import methods
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox.testing import ContainerBehavior, FakeDaemon
from agents_sandbox.testing._commands import real
from agents_sandbox.testing._commands.command import (
    CannotPrepareError,
    CannotStartError,
    Command,
)
from agents_sandbox.testing._commands.isolation import launching, probe
from agents_sandbox.testing._commands.isolation.container import Container
from agents_sandbox.testing._commands.isolation.files import Root
from agents_sandbox.testing._commands.isolation.runner import IsolatedRunner
from agents_sandbox.testing._protocol.spec import Spec
from agents_sandbox.testing._time.clock import HostClock

from .fifo import Fifo
from .raw import TIMEOUT, Raw, connected

pytestmark = pytest.mark.skipif(
    bool(probe.obstacle_to_isolation()), reason=probe.obstacle_to_isolation()
)
HERE = Path(__file__).parent


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[Raw]:
    """A sandbox that sees this test's folder, where it is."""
    # An older release, which has services with hooks that a create waits for.
    quick = {"db:1": ContainerBehavior(healthy_after=0)}
    options: Any = {"version": "0.2.1", "containers": quick}
    with FakeDaemon(exec_mode="isolated", **options) as daemon, connected(daemon) as client:
        client.ready(mounts=[mount(tmp_path, writable=True)])
        yield client


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Fifo]:
    with closing(Fifo(tmp_path / "fifo")) as opened:
        yield opened


def mount(source: Path, target: str | None = None, *, writable: bool = False) -> pb.MountSpec:
    return pb.MountSpec(source=str(source), target=target or str(source), writable=writable)


def run(raw: Raw, *command: str, sandbox_id: str = "box-1", **fields: Any) -> pb.ExecStatus:
    answer = raw.start(*command, exec_id="", sandbox_id=sandbox_id, **fields)
    status: pb.ExecStatus = raw.finished(answer.exec_id, sandbox_id)
    return status


def output(raw: Raw, *command: str, sandbox_id: str = "box-1", **fields: Any) -> str:
    """Run a command that must not fail, and return what it wrote."""
    status = run(raw, *command, sandbox_id=sandbox_id, **fields)
    stdout, stderr = logs(raw, status)
    assert (status.state, stderr) == (pb.EXEC_STATE_FINISHED, ""), stdout + stderr
    return stdout


def logs(raw: Raw, status: pb.ExecStatus) -> tuple[str, str]:
    folder = raw.daemon.exec_log_root / status.sandbox_id
    stdout, stderr = (folder / f"{status.exec_id}.{name}.log" for name in ("stdout", "stderr"))
    return stdout.read_text(), stderr.read_text()


def hello_then(fifo: Fifo, then: str) -> tuple[str, ...]:
    return "sh", "-c", f'exec 3>"$0"; echo $$ >&3; {then}', fifo.path


def test_paths_are_those_of_the_sandbox(raw: Raw) -> None:
    assert output(raw, "pwd", "-P") == "/workspace\n"
    assert output(raw, "sh", "-c", "cd && pwd -P; echo ~") == "/home/agbox\n/home/agbox\n"
    assert output(raw, "echo", "-I/workspace") == "-I/workspace\n"
    assert "X=/workspace\n" in output(raw, "env", env_overrides={"X": "/workspace"})
    run(raw, "sh", "-c", "for f in /opt/x /mnt/x /tmp/x /workspace/x ~/x /x; do echo $f > $f; done")
    assert output(raw, "cat", "/opt/x", "/mnt/x", "/tmp/x", "/x") == "/opt/x\n/mnt/x\n/tmp/x\n/x\n"
    raw.ready("box-2")
    assert run(raw, "ls", "/opt/x", sandbox_id="box-2").exit_code == 2
    assert not Path("/opt/x").exists()


def test_command_leads_a_session_and_has_three_descriptors(raw: Raw) -> None:
    stat = output(raw, "cat", "/proc/self/stat").split()
    assert stat[0] == stat[4] == stat[5]  # pid, process group, session
    assert output(raw, "sh", "-c", "ls /proc/self/fd").split() == ["0", "1", "2", "3"]
    ignored = output(raw, "grep", "SigIgn", "/proc/self/status").split()
    assert int(ignored[1], 16) & (1 << signal.SIGPIPE - 1) == 0


def test_devices_and_shared_memory(raw: Raw) -> None:
    script = (
        "echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; "
        "echo shared > /dev/shm/x; cat /dev/shm/x; echo fd | cat /dev/stdin; ls /dev/pts"
    )
    assert output(raw, "sh", "-c", script).split() == ["3", "3", "shared", "fd", "ptmx"]
    terminal = "import os, pty; a, b = pty.openpty(); os.write(b, b'x'); print(os.read(a, 1))"
    assert output(raw, sys.executable, "-c", terminal) == "b'x'\n"


def test_root_may_do_in_its_files_what_root_may_do(raw: Raw) -> None:
    """Programs such as tar rely on it."""
    script = "touch /workspace/x; chmod 000 /workspace/x; chown $(id -u):$(id -g) /workspace/x"
    assert output(raw, "sh", "-c", f"{script}; rm -rf /workspace/x; id -u") == f"{os.getuid()}\n"


@pytest.mark.parametrize(
    ("cwd", "why"),
    [
        ("/no/such", "no such file or directory"),
        ("/etc/passwd", "not a directory"),
        ("/workspace\0", "embedded null"),
    ],
)
def test_directory_that_cannot_be_entered(raw: Raw, cwd: str, why: str) -> None:
    answer = raw.start("true", cwd=cwd)
    status = raw.finished()
    assert (status.state, status.exit_code) == (pb.EXEC_STATE_FAILED, 0)
    assert why in status.error
    assert list(Path(answer.stdout_log_path).parent.iterdir()) == []


@pytest.mark.parametrize(
    "command", [("a\0b",), ("true", *["x" * 100_000] * 30)], ids=["nul", "long"]
)
def test_command_that_the_system_refuses_to_start(raw: Raw, command: tuple[str, ...]) -> None:
    answer = raw.start(*command)
    status = raw.finished()
    assert (status.state, status.exit_code) == (pb.EXEC_STATE_FAILED, 0)
    assert "null" in status.error or "Argument list too long" in status.error
    assert list(Path(answer.stdout_log_path).parent.iterdir()) == []
    assert run(raw, "true").exit_code == 0


def test_execs_see_and_kill_processes_of_their_sandbox_alone(raw: Raw, fifo: Fifo) -> None:
    raw.start(*hello_then(fifo, "sleep 3600 & sleep 3600"))
    pid = fifo.read().decode().strip()
    raw.ready("box-2")
    seen = ("sh", "-c", "set -- /proc/[0-9]*; echo $#")
    assert output(raw, *seen) == "5\n"  # the first one, the exec with its two, and this one
    assert output(raw, *seen, sandbox_id="box-2") == "2\n"
    others = run(raw, "sh", "-c", f"kill -KILL -{pid} || kill {os.getpid()}", sandbox_id="box-2")
    assert others.exit_code == 1
    assert raw.exec().state == pb.EXEC_STATE_RUNNING
    output(raw, "sh", "-c", f"kill -KILL -{pid}")
    assert fifo.read() == b""
    assert raw.finished().exit_code == 137


@pytest.mark.parametrize(
    ("method", "last"),
    [(methods.STOP_SANDBOX, pb.SANDBOX_STOPPED), (methods.DELETE_SANDBOX, pb.SANDBOX_DELETED)],
    ids=["stop", "delete"],
)
def test_whole_trees_are_killed(
    raw: Raw, fifo: Fifo, method: methods.Method[Any, Any], last: pb.EventType
) -> None:
    # Nothing shows whose it is but its namespace.
    stray = 'setsid env -i sh -c "(setsid sleep 3600 &) ; exec setsid sleep 3600" &'
    raw.start(*hello_then(fifo, f"{stray} {stray} sleep 3600 & exit 0"))
    assert fifo.read()
    assert raw.finished().exit_code == 0
    assert raw.daemon._runner.running() != []
    raw(method, sandbox_id="box-1")
    raw.wait_for(last)
    assert fifo.read() == b""
    assert raw.daemon._runner.running() == []


def test_server_of_one_exec_is_used_by_another(raw: Raw, fifo: Fifo) -> None:
    served = "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); "
    served += "open('/tmp/port', 'w').write(str(s.getsockname()[1])); "
    served += "open(sys.argv[1], 'w').write('up'); s.accept()[0].sendall(b'served')"
    raw.start(sys.executable, "-c", served, fifo.path)
    assert fifo.read() == b"up"
    used = "import socket; port = int(open('/tmp/port').read()); "
    used += "print(socket.create_connection(('127.0.0.1', port)).recv(9).decode())"
    assert output(raw, sys.executable, "-c", used) == "served\n"
    assert raw.finished().exit_code == 0


JOB = {
    "add.c": "int add(int a, int b) { return a + b; }\n",
    "add.py": "def add(a, b):\n    return a + b\n",
    "test_add.py": "from add import add\n\ndef test_add():\n    assert add(1, 2) == 3\n",
}
BUILD = """
set -e
"$PYTHON" -m venv --without-pip venv
if "$CC" -shared -fPIC -o libadd.so add.c; then
    echo 'add = __import__("ctypes").CDLL("./libadd.so").add' > add.py
fi
venv/bin/python -m pytest -q
"""


@pytest.mark.once
def test_job_that_compiles_and_tests(raw: Raw, tmp_path: Path) -> None:
    for name, text in JOB.items():
        (tmp_path / name).write_text(text)
    raw.ready("job-1", copies=[pb.CopySpec(source=str(tmp_path), target="/workspace")])
    env = {
        "PYTHON": sys.executable,
        "PYTHONPATH": str(Path(pytest.__file__).parents[1]),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # an editable install is not seen in there
        "CC": shutil.which("gcc") or "false",
    }
    assert "1 passed" in output(raw, "sh", "-c", BUILD, sandbox_id="job-1", env_overrides=env)
    (tmp_path / "test_add.py").write_text("def test_add():\n    assert False\n")
    raw.ready("job-2", copies=[pb.CopySpec(source=str(tmp_path), target="/workspace")])
    status = run(raw, "sh", "-c", BUILD, sandbox_id="job-2", env_overrides=env)
    assert "1 failed" in logs(raw, status)[0]
    assert status.exit_code == 1


def test_mounts_are_those_of_the_host(raw: Raw, tmp_path: Path) -> None:
    (tmp_path / "dir" / "sub").mkdir(parents=True)
    (tmp_path / "local" / "agents" / "sub").mkdir(parents=True)
    (tmp_path / "file").write_text("file\n")
    (tmp_path / "etc" / "profile").mkdir(parents=True)  # a file on the host
    (tmp_path / "etc" / "passwd").write_text("own\n")
    raw.ready(
        "mounts",
        mounts=[
            mount(tmp_path / "dir", "/mnt/rw", writable=True),
            mount(tmp_path / "dir", "/mnt/ro"),
            mount(tmp_path / "file", "/mnt/ro/sub/../../file"),
            mount(tmp_path / "file", "/etc/agents/file"),
            mount(tmp_path / "file", "/etc/hosts"),
            mount(tmp_path / "dir", "/mnt/rw/sub"),
        ],
        copies=[
            pb.CopySpec(source=str(tmp_path / "local"), target="/usr/local"),
            pb.CopySpec(source=str(tmp_path / "etc"), target="/etc"),
        ],
    )

    def done(*command: str) -> str:
        return output(raw, *command, sandbox_id="mounts")

    assert done("cat", "/mnt/file", "/etc/agents/file", "/etc/hosts") == "file\n" * 3
    done("touch", "/mnt/rw/new", "/usr/local/agents/own")
    assert (tmp_path / "dir" / "new").exists()
    (tmp_path / "dir" / "later").touch()
    assert done("ls", "/mnt/ro").split() == ["later", "new", "sub"]
    assert done("ls", "/mnt/rw/sub").split() == ["later", "new", "sub"]
    assert done("ls", "/usr/local/agents").split() == ["own", "sub"]
    assert done("cat", "/etc/passwd") == "own\n"
    assert "root:" in done("cat", "/etc/group")
    for place in ("/mnt/ro/x", "/mnt/rw/sub/x", "/etc/group", "/usr/local/bin/x"):
        status = run(raw, "touch", place, sandbox_id="mounts")
        assert status.exit_code == 1
    status = run(raw, "touch", "/mnt/ro/x", sandbox_id="mounts")
    assert logs(raw, status)[1] == "touch: cannot touch '/mnt/ro/x': Read-only file system\n"


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/mnt/rw/none", "No such file or directory"),
        ("/mnt/rw/link/x", "a symlink leads out of the sandbox"),
    ],
)
def test_mount_that_has_no_place_fails_the_create(
    raw: Raw, tmp_path: Path, target: str, why: str
) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "link").symlink_to(tmp_path)
    mounts = [mount(tmp_path / "dir", "/mnt/rw", writable=True), mount(tmp_path, target)]
    raw.create("bad-box", mounts=mounts)
    raw.wait_for(pb.SANDBOX_FAILED, "bad-box")
    assert why in raw.get("bad-box").error_message
    assert sorted(path.name for path in (tmp_path / "dir").iterdir()) == ["link"]


def test_hundred_attempts_to_reach_the_host_fail(raw: Raw, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    raw.ready("closed", mounts=[mount(HERE, "/mnt/tests")])
    status = run(raw, sys.executable, "/mnt/tests/escapes.py", str(secret), sandbox_id="closed")
    stdout, stderr = logs(raw, status)
    assert (status.exit_code, stderr) == (0, "")
    attempts = stdout.splitlines()
    assert len(attempts) > 100
    assert [line for line in attempts if not line.startswith("ok: ")] == []
    assert secret.read_text() == "secret"


def test_files_last_until_the_delete(raw: Raw) -> None:
    run(raw, "sh", "-c", "echo kept > /opt/file; ln -s /etc /var/link; mkdir /opt/dir")
    for count in (2, 3):
        stop(raw)
        raw(methods.RESUME_SANDBOX, sandbox_id="box-1")
        raw.wait_for(pb.SANDBOX_READY, count=count)
        assert output(raw, "cat", "/opt/file") == "kept\n"
    folder = Path(raw.daemon.socket_path).parent / "sandboxes" / "box-1"
    assert folder.is_dir()
    raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_DELETED)
    assert not folder.exists()


@pytest.mark.unmeasured
@pytest.mark.once
@pytest.mark.slow
def test_fifty_sandboxes_at_once(raw: Raw) -> None:
    names = [f"many-{number}" for number in range(50)]
    for name in names:
        raw.create(name)
    for name in names:
        raw.wait_for(pb.SANDBOX_READY, name)
        raw.start("sh", "-c", f"echo {name} > /tmp/x; cat /tmp/x", sandbox_id=name, exec_id=name)
    for name in names:
        assert raw.finished(name, name).exit_code == 0
        assert (raw.daemon.exec_log_root / name / f"{name}.stdout.log").read_text() == f"{name}\n"


@pytest.mark.skipif(os.getuid() == 0, reason="no limit holds for root")
def test_process_that_is_one_too_many_is_refused(raw: Raw) -> None:
    launcher = launcher_of(raw).pid
    soft, hard = resource.prlimit(launcher, resource.RLIMIT_NPROC)
    resource.prlimit(launcher, resource.RLIMIT_NPROC, (1, hard))
    status = run(raw, "true")
    assert status.state == pb.EXEC_STATE_FAILED
    assert "Resource temporarily unavailable" in status.error
    resource.prlimit(launcher, resource.RLIMIT_NPROC, (soft, hard))
    assert run(raw, "true").exit_code == 0


def test_many_execs_at_once(raw: Raw) -> None:
    names = [f"exec-{number}" for number in range(30)]
    for name in names:
        raw.start("sh", "-c", f"echo {'x' * 100_000} {name}; exit {name[5:]}", exec_id=name)
    for name in names:
        assert raw.finished(name).exit_code == int(name[5:])
        log = raw.daemon.exec_log_root / "box-1" / f"{name}.stdout.log"
        assert log.read_text().endswith(f"x {name}\n")


def test_hooks_run_in_the_sandbox(raw: Raw) -> None:
    healthy = pb.HealthcheckConfig(test=["CMD", "true"])
    hook = "pwd > /opt/hook; echo $0 >> /opt/hook"
    service = pb.ServiceSpec(
        name="db", image="db:1", healthcheck=healthy, post_start_on_primary=[hook]
    )
    raw.ready("hooked", required_services=[service])
    assert output(raw, "cat", "/opt/hook", sandbox_id="hooked") == "/workspace\nsh\n"


def launcher_of(raw: Raw) -> subprocess.Popen[bytes]:
    runner: Any = raw.daemon._runner._fallback
    process: subprocess.Popen[bytes] = runner._containers["box-1"]._launcher._process
    return process


def kill_launcher(raw: Raw, *, first: bool = False) -> None:
    """Kill the launcher of box-1, or the first process of the sandbox."""
    launcher = launcher_of(raw)
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    os.kill(int(children[0]) if first else launcher.pid, signal.SIGKILL)
    launcher.wait(TIMEOUT)


def stop(raw: Raw) -> None:
    raw(methods.STOP_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_STOPPED)


@pytest.mark.parametrize("which", ["launcher", "first process"])
def test_killed_launcher_ends_everything_and_the_next_exec_starts_another(
    raw: Raw, fifo: Fifo, which: str
) -> None:
    run(raw, "touch", "/opt/kept")
    raw.start(*hello_then(fifo, "setsid sleep 3600 & sleep 3600"))
    assert fifo.read()
    run(raw, "true")  # then it has told of both
    kill_launcher(raw, first=which == "first process")
    assert fifo.read() == b""
    assert raw.finished().exit_code == 137
    assert output(raw, "ls", "/opt") == "kept\n"


def test_launcher_that_does_not_end_is_killed(
    raw: Raw, fifo: Fifo, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw.start(*hello_then(fifo, "sleep 3600"))
    assert fifo.read()
    launcher = launcher_of(raw)
    launcher.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(real, "_KILL_TIMEOUT", 0)
    raw.daemon.stop()
    assert fifo.read() == b""
    assert launcher.returncode == -signal.SIGKILL


@pytest.mark.parametrize("program", ["/no/such/python", "/bin/false"])
def test_launcher_that_cannot_run_is_an_error(
    raw: Raw, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    raw.create("box-2")
    raw.wait_for(pb.SANDBOX_FAILED, "box-2")
    assert raw.get("box-2").error_message
    kill_launcher(raw)
    assert run(raw, "true").state == pb.EXEC_STATE_FAILED
    stop(raw)
    raw(methods.RESUME_SANDBOX, sandbox_id="box-1")
    raw.wait_for(pb.SANDBOX_FAILED, count=2)
    assert raw.get().error_code == "SANDBOX_RESUME_FAILED"
    raw.daemon.assert_no_leaks()


async def test_container_that_ends_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    files = Root(tmp_path / "root", Spec())
    files.build()
    logs = [tmp_path / "stdout", tmp_path / "stderr"]
    command = Command("box-1", Spec(), ("true",), stdout_path=logs[0], stderr_path=logs[1])
    container = Container(files.folder, files.mounts(), lambda _: None)
    await container.ready

    async def start() -> None:
        await container.start(command, ["true"], "/", {})

    container._launcher._process.kill()
    container._launcher._process.wait()
    with pytest.raises(BrokenPipeError):  # it has not noticed
        await start()
    assert [log.exists() for log in logs] == [False, False]
    container.end()
    await container.ended
    container.end()
    container.close()
    with pytest.raises(CannotStartError, match="the processes of the sandbox were killed"):
        await start()


async def test_command_that_a_kill_overtakes_is_not_started(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    files = Root(tmp_path / "root", Spec())
    files.build()
    container = Container(files.folder, files.mounts(), lambda _: None)
    await container.ready
    starting = asyncio.ensure_future(
        container.start(Command("box-1", Spec(), ("true",)), ["true"], "/", {})
    )
    os.kill(container._launcher._process.pid, signal.SIGSTOP)
    await asyncio.sleep(0)  # a turn of the loop, in which the command is sent
    container._launcher._process.kill()
    with pytest.raises(CannotStartError, match="the processes of the sandbox were killed"):
        await starting
    await container.ended


def test_stop_of_the_daemon_during_a_create_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = launching._start

    def slow(descriptor: int) -> subprocess.Popen[bytes]:
        started.append(start(descriptor))
        started[0].send_signal(signal.SIGSTOP)
        reached.set()
        return started[0]

    reached = threading.Event()
    monkeypatch.setattr(launching, "_start", slow)
    monkeypatch.setattr(real, "_KILL_TIMEOUT", 0)
    with FakeDaemon(exec_mode="isolated") as daemon, connected(daemon) as raw:
        raw.create()
        assert reached.wait(TIMEOUT)
    assert started[0].returncode == -signal.SIGKILL


def test_place_of_a_mount_that_became_a_link_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools" / "bin"
    tools.mkdir(parents=True)
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{tools}")
    with FakeDaemon(exec_mode="isolated") as daemon, connected(daemon) as raw:
        raw.ready()
        assert output(raw, "ls", str(tmp_path / "tools")) == "bin\n"
        outside = tmp_path / "outside"
        run(raw, "sh", "-c", f"mv {tmp_path} /tmp/moved; ln -s {outside} {tmp_path}")
        kill_launcher(raw)
        status = run(raw, "true")
        assert "is in a writable mount or behind a symlink" in status.error
        stop(raw)
        raw(methods.RESUME_SANDBOX, sandbox_id="box-1")
        raw.wait_for(pb.SANDBOX_FAILED)
        assert "is in a writable mount or behind a symlink" in raw.get().error_message
        assert not outside.exists()


PROGRAM = """\
import os, sys, time
from agents_sandbox import SyncAgentsSandboxClient, MountSpec
from agents_sandbox.testing import FakeDaemon

daemon = FakeDaemon(exec_mode="isolated").start()
client = SyncAgentsSandboxClient(daemon.socket_path)
folder = os.path.dirname(sys.argv[1])
sandbox = client.create_sandbox(image="a:1", mounts=[MountSpec(folder, folder, writable=True)])
command = "echo $$ > $0; setsid env -i sleep 3600 > $0 & exec sleep 3600 > $0"
client.create_exec(sandbox.sandbox_id, ("sh", "-c", command, sys.argv[1]))
if not os.fork():  # it has all open sockets of this process
    time.sleep(3600)
time.sleep(3600)
"""


def test_killed_daemon_leaves_nothing(fifo: Fifo) -> None:
    command = (sys.executable, "-c", PROGRAM, fifo.path)
    with subprocess.Popen(command, start_new_session=True) as program:
        try:
            assert fifo.read()
            program.kill()
            assert fifo.read() == b""
        finally:
            os.killpg(program.pid, signal.SIGKILL)


def test_no_descriptor_and_no_process_is_left(tmp_path: Path) -> None:
    def descriptors() -> set[Path]:
        return {file for file in Path("/proc/self/fd").iterdir() if file.is_symlink()}

    def children() -> list[str]:
        tasks = Path("/proc/self/task").glob("*/children")
        return sorted(" ".join(task.read_text() for task in tasks).split())

    with FakeDaemon() as daemon, connected(daemon) as raw:  # starts what gRPC keeps
        raw.ready()
    before, others = descriptors(), children()
    with FakeDaemon(exec_mode="isolated") as daemon, connected(daemon) as raw:
        for number in range(5):
            raw.ready(f"box-{number}")
            raw.start("sleep", "3600", sandbox_id=f"box-{number}", exec_id="")
        raw.start("sh", "-c", "setsid sleep 3600 & sleep 3600")
        assert len(children()) == len(others) + 5
    assert children() == others
    # Those of gRPC come and go; one of each sandbox would be five.
    assert len(descriptors()) < len(before) + 5


async def test_sandbox_that_was_deleted_gets_no_processes(tmp_path: Path) -> None:
    runner = IsolatedRunner(tmp_path, HostClock(), tmp_path / "logs")
    ending: Any = SimpleNamespace(ended=asyncio.get_running_loop().create_future())
    runner._ending["box-1"] = ending
    resuming = asyncio.ensure_future(runner.resume("box-1", Spec()))
    for _ in range(3):
        await asyncio.sleep(0)  # a turn of the loop
    assert not resuming.done()
    ending.ended.set_result(None)  # and its files are gone
    with pytest.raises(CannotPrepareError, match="the sandbox was deleted"):
        await resuming
    assert list(tmp_path.iterdir()) == []


@pytest.mark.unmeasured
@pytest.mark.once
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_ordinary_user_can_do_the_same() -> None:
    chosen = "attempts or trees or job or paths or mounts_are or too_many"
    command = (
        *(sys.executable, str(HERE / "confined.py"), "user", "-m", "pytest", "-q", "-k", chosen),
        *("-p", "no:cacheprovider", str(HERE / "test_isolation.py")),
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert "7 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("number", [signal.SIGCONT, signal.SIGKILL])
def test_delete_during_a_resume_does_not_make_it_fail(
    raw: Raw, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    start = launching._start
    reached = threading.Event()

    def slow(descriptor: int) -> subprocess.Popen[bytes]:
        process = start(descriptor)
        process.send_signal(signal.SIGSTOP)
        processes.append(process)
        reached.set()
        return process

    processes: list[subprocess.Popen[bytes]] = []
    stop(raw)
    monkeypatch.setattr(launching, "_start", slow)
    raw(methods.RESUME_SANDBOX, sandbox_id="box-1")
    assert reached.wait(TIMEOUT)
    raw(methods.DELETE_SANDBOX, sandbox_id="box-1")
    runner: Any = raw.daemon._runner._fallback
    while "box-1" not in runner._ending:
        raw.get()  # a turn of the daemon's loop, or some
    processes[0].send_signal(number)
    raw.wait_for(pb.SANDBOX_DELETED)
    while runner._containers or runner._ending:
        raw.get()
    assert raw.history()[-3:] == [
        "SANDBOX_ACCEPTED:PENDING",
        "SANDBOX_DELETE_REQUESTED:DELETING",
        "SANDBOX_DELETED:DELETED",
    ]


@pytest.mark.once
def test_many_deletes_during_a_resume_leave_nothing(raw: Raw) -> None:
    for number in range(10):
        box = f"loop-{number}"
        raw.ready(box)
        raw(methods.STOP_SANDBOX, sandbox_id=box)
        raw.wait_for(pb.SANDBOX_STOPPED, box)
        raw(methods.RESUME_SANDBOX, sandbox_id=box)
        raw(methods.DELETE_SANDBOX, sandbox_id=box)
        raw.wait_for(pb.SANDBOX_DELETED, box)
        assert raw.get(box).state == pb.SANDBOX_STATE_DELETED
    runner: Any = raw.daemon._runner._fallback
    while runner._ending:
        raw.get()
    assert [*runner._containers] == ["box-1"]
    folder = Path(raw.daemon.socket_path).parent / "sandboxes"
    assert [path.name for path in folder.iterdir()] == ["box-1"]


def test_link_in_place_of_a_folder_is_not_followed_to_the_host(raw: Raw, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("file\n")
    outside = tmp_path / "outside"
    (outside / "passwd.d").mkdir(parents=True)
    (outside / "hosts").touch()
    raw.ready("linked", mounts=[mount(tmp_path / "file", "/etc/agents/file")])
    run(raw, "sh", "-c", f"mv /etc /etc.old; ln -s {outside} /etc", sandbox_id="linked")
    raw(methods.STOP_SANDBOX, sandbox_id="linked")
    raw.wait_for(pb.SANDBOX_STOPPED, "linked")
    raw(methods.RESUME_SANDBOX, sandbox_id="linked")
    raw.wait_for(pb.SANDBOX_FAILED, "linked", count=2)  # the first one was the stop
    assert "a symlink leads out of the sandbox" in raw.get("linked").error_message
    assert sorted(path.name for path in outside.iterdir()) == ["hosts", "passwd.d"]


def test_mount_takes_the_place_of_a_link_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools" / "bin"
    tools.mkdir(parents=True)
    (tools / "tool").symlink_to("/nowhere")
    (tmp_path / "file").write_text("file\n")
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{tools}")
    with FakeDaemon(exec_mode="isolated") as daemon, connected(daemon) as raw:
        raw.ready(mounts=[mount(tmp_path / "file", str(tools / "tool"))])
        assert output(raw, "cat", str(tools / "tool")) == "file\n"


def test_mounts_and_copies_in_folders_that_are_links_leave_the_rest(
    raw: Raw, tmp_path: Path
) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\necho tool\n")
    (tmp_path / "tool").chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "copied").write_text("copied\n")
    raw.ready(
        "tools",
        mounts=[mount(tmp_path / "tool", "/bin/tool"), mount(tmp_path / "bin", "/lib/own")],
        copies=[pb.CopySpec(source=str(tmp_path / "bin"), target="/bin")],
    )
    assert output(raw, "tool", sandbox_id="tools") == "tool\n"
    assert output(raw, "cat", "/bin/copied", "/lib/own/copied", sandbox_id="tools") == (
        "copied\n" * 2
    )


def test_folders_of_the_image_are_there() -> None:
    with (
        FakeDaemon(exec_mode="isolated", image_folders=["/srv/app/data", "/lib/app"]) as daemon,
        connected(daemon) as raw,
    ):
        raw.ready()
        assert output(raw, "pwd", cwd="/srv/app/data") == "/srv/app/data\n"
        assert output(raw, "ls", "-A", "/lib/app") == ""
