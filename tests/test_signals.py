"""Signal handlers that raise at random moments in the main thread break nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agents_sandbox.testing import FakeDaemon

from .releases import any_release

PROGRAM = Path(__file__).parent / "signalling.py"


@pytest.mark.unmeasured
@any_release
def test_signals_at_random_moments(daemon: FakeDaemon, pytestconfig: pytest.Config) -> None:
    count = pytestconfig.getoption("signals")
    with subprocess.Popen(
        [sys.executable, PROGRAM, daemon.socket_path, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        line = program.stdout.readline()
        if line:
            daemon.wait_for_streams(0)  # while the client is still open
        _, errors = program.communicate()
    assert (program.returncode, line, errors) == (0, f"{count} signals\n", "")
