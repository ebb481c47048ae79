"""Where commands cannot be isolated: a clear error, or pass-through with a warning."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from agents_sandbox import SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._commands import modes
from agents_sandbox.testing._commands.isolation import probe

POSSIBLE = not probe.obstacle_to_isolation()
needs_namespaces = pytest.mark.skipif(not POSSIBLE, reason=probe.obstacle_to_isolation())
DENIED = pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("namespaces", "unshare: No space left on device"),
        ("mounts", "mount proc: Operation not permitted"),
    ],
)
CONFINED = Path(__file__).with_name("confined.py")

PROGRAM = """\
import sys, warnings
from pathlib import Path
from agents_sandbox import SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

try:
    FakeDaemon(exec_mode="isolated")
except RuntimeError as error:
    print("error:", error)
for _ in range(2):
    with warnings.catch_warnings(record=True) as caught, FakeDaemon(exec_mode="auto") as daemon:
        print("warnings:", *(f"{Path(it.filename).name} {it.message}" for it in caught))
        with SyncAgentsSandboxClient(daemon.socket_path) as client:
            sandbox = client.create_sandbox(image="a:1").sandbox_id
            print("output:", client.run(sandbox, ("sh", "-c", "pwd -P")).stdout_log_path)
"""


def confined(kind: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, str(CONFINED), kind, *arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.once
@needs_namespaces
@DENIED
def test_what_is_missing_is_named(kind: str, why: str) -> None:
    done = confined(kind, "-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    error, first, _, second, _ = done.stdout.splitlines()
    assert error.startswith(f"error: exec_mode='isolated': this system refuses it ({why})")
    assert "kernel.apparmor_restrict_unprivileged_userns" in error
    assert first.startswith("warnings: <string> exec_mode='auto': commands run on this host unpro")
    assert why in first
    assert second == "warnings:"


@pytest.mark.once
@needs_namespaces
def test_program_says_what_is_missing(tmp_path: Path) -> None:
    options = ("-m", "agents_sandbox.testing", "--socket", str(tmp_path / "s"), "--exec")
    done = confined("namespaces", *options, "isolated")
    assert done.returncode == 2
    assert "error: exec_mode='isolated': this system refuses it (unshare: No space" in done.stderr
    assert len(done.stderr.splitlines()) == 1

    serving = [sys.executable, str(CONFINED), "namespaces", *options, "auto"]
    with subprocess.Popen(serving, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout
        assert program.stdout.readline().startswith(b"fake agboxd")
        program.terminate()
        _, warned = program.communicate(timeout=60)
    assert program.returncode == 0
    assert warned.startswith(b"warning: exec_mode='auto': commands run on this host unprotected")


def test_only_linux_can_isolate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    why = probe.obstacle_to_isolation.__wrapped__()
    assert why == "it requires Linux, and this is darwin"
    monkeypatch.setattr(modes, "obstacle_to_isolation", lambda: why)
    with pytest.raises(RuntimeError, match=f"^exec_mode='isolated': {why}$"):
        FakeDaemon(exec_mode="isolated")
    modes._warn.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            FakeDaemon(exec_mode="auto")
    assert [Path(warning.filename).name for warning in caught] == ["test_exec_modes.py"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, nothing is tried")
@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("/no/such/python", "No such file or directory: '/no/such/python'"),
        ("/bin/false", "the launcher has ended"),
    ],
)
def test_launcher_that_cannot_run_is_an_obstacle(
    monkeypatch: pytest.MonkeyPatch, program: str, why: str
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    assert why in probe.obstacle_to_isolation.__wrapped__()


def test_auto_is_isolated_where_that_is_possible() -> None:
    with FakeDaemon(exec_mode="auto") as daemon:
        with SyncAgentsSandboxClient(daemon.socket_path) as client:
            sandbox = client.create_sandbox(image="a:1").sandbox_id
            result = client.run(sandbox, ("pwd",))
        assert (Path(result.stdout_log_path or "").read_text() == "/workspace\n") == POSSIBLE
