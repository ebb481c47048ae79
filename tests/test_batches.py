"""Ctrl-C in the middle of a batch in threads, a program of its own: nothing is left."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from agents_sandbox import SandboxState, SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

from .releases import any_release

pytestmark = [any_release, pytest.mark.once, pytest.mark.slow]

THREADS = 20

# As documented: the scope ends before the executor does, which waits for its threads.
BATCH = """
import signal, sys
from concurrent.futures import ThreadPoolExecutor
from agents_sandbox import SyncAgentsSandboxClient

def work(number):
    with scope.sandbox(image="a:1") as sandbox:
        return sandbox.run(("sleep",)).exit_code

# A shell starts its background jobs with Ctrl-C disabled.
signal.signal(signal.SIGINT, signal.default_int_handler)
with (
    SyncAgentsSandboxClient(sys.argv[1]) as client,
    ThreadPoolExecutor(20) as threads,
    client.scope() as scope,
):
    for exit_code in threads.map(work, range(100)):
        print(exit_code)
"""


@pytest.mark.parametrize("busy", ["CreateSandbox", "CreateExec"])
def test_ctrl_c_in_a_batch(daemon: FakeDaemon, busy: str) -> None:
    daemon.on_exec(("sleep",)).never()
    program = subprocess.Popen(
        (sys.executable, "-c", BATCH, daemon.socket_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        daemon.wait_for_call(busy, count=THREADS if busy == "CreateExec" else 5)
        # Python misses a signal that arrives just before it blocks, so the signal is repeated.
        for _ in range(10):
            program.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                program.wait(timeout=3)
                break
        out, err = program.communicate(timeout=1)
    finally:
        program.kill()
        program.wait()
    assert err.rstrip().endswith("KeyboardInterrupt"), err
    assert "Warning" not in err
    assert out == ""
    with SyncAgentsSandboxClient(daemon.socket_path) as client:
        left = {handle.state for handle in client.list_sandboxes()}
    assert left <= {SandboxState.DELETING}
