"""What a program prints that ends with an error of ours: a few lines, whoever made the call."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

# As users write them; {} is the path of the socket.
BLOCKING = """
from agents_sandbox import SyncAgentsSandboxClient

with SyncAgentsSandboxClient("{}") as client:
    client.create_sandbox(image="a:1")
"""
ASYNC = """
import asyncio
from agents_sandbox import AgentsSandboxClient

async def main():
    async with AgentsSandboxClient("{}") as client:
        async for event in client.subscribe_sandbox_events("demo-1"):
            print(event)

asyncio.run(main())
"""
# Of what asyncio.run() adds; a frame is its place, its code, and perhaps the marks below that.
ASYNCIO = re.compile(r'  File ".*/asyncio/.*\n(    .*\n)*')


@pytest.mark.parametrize("program", [BLOCKING, ASYNC])
def test_no_daemon_is_a_dozen_lines(tmp_path: Path, program: str) -> None:
    script = tmp_path / "program.py"
    script.write_text(program.format(tmp_path / "agboxd.sock"))
    ended = subprocess.run(
        [sys.executable, script], check=False, capture_output=True, text=True, timeout=60
    )
    said = ASYNCIO.sub("", ended.stderr)
    assert "DaemonUnavailableError: no agents-sandbox daemon at" in said
    assert "Error of RPC" not in said
    assert len(said.splitlines()) <= 12, said
