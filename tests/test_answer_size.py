"""How much memory an answer that is too large can cost, measured in its own process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from .impostor import PLAUSIBLE, always, impostor

# Seen with 1.85. Releases up to 1.80 receive an answer in full before they look at its size.
LOOKS_FIRST = tuple(map(int, grpc.__version__.split(".")[:2])) >= (1, 85)

CALL = """
import resource, sys
from agents_sandbox import ProtocolError, SyncAgentsSandboxClient

def peak():
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024

with SyncAgentsSandboxClient(sys.argv[1], timeout_seconds=30) as client:
    client.ping()
    before = peak()
    for _ in range(3):
        try:
            client.list_sandboxes()
        except ProtocolError as error:
            assert "exceeds the limit" in str(error)
    print(peak() - before)
"""


@pytest.mark.skipif(not LOOKS_FIRST, reason="this gRPC receives an answer before it refuses it")
def test_an_answer_that_is_refused_costs_no_memory(tmp_path: Path) -> None:
    answers = {**PLAUSIBLE, "ListSandboxes": always(bytes(100_000_000))}
    with impostor(tmp_path / "peer", answers) as path:
        command = (sys.executable, "-W", "error", "-c", CALL, str(path))
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    # A hundredth of it would be enough; three answers would be 300 MB, and more with copies.
    assert int(told.stdout) < 50_000_000
