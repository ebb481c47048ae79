"""What a program prints that ends with an error of ours: a few lines, whoever made the call."""

from __future__ import annotations

import re
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

import agents_sandbox
from agents_sandbox import DaemonUnavailableError, SandboxClientError, SyncAgentsSandboxClient
from agents_sandbox._tracebacks import ends_at_caller

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


# What is refused where it is written, not where it is awaited.
REFUSED = [
    "ServiceSpec('db', 'db:1', 5)",
    "CompanionContainerSpec('db', 'db:1', 5)",
    "HealthcheckConfig('CMD')",
    "MountSpec('a', '/b')",
    "CopySpec('a', '/b')",
    "PortMapping(0, 1)",
    "AgentsSandboxClient('host:1')",
    "SyncAgentsSandboxClient('host:1')",
    "AgentsSandboxClient().socket_path",
    "AgentsSandboxClient('/x').subscribe_sandbox_events(5)",
    "SyncAgentsSandboxClient('/x').subscribe_sandbox_events(5)",
]


@pytest.mark.parametrize("call", REFUSED)
def test_a_refusal_ends_at_the_call(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")  # macOS has a default without it
    with pytest.raises(SandboxClientError) as caught:
        eval(call, {name: getattr(agents_sandbox, name) for name in agents_sandbox.__all__})
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert [frame.name for frame in frames] == [
        "test_a_refusal_ends_at_the_call", "<module>", "call",
    ]  # fmt: skip


@pytest.mark.parametrize("block", ["sandbox(image='a:1')", "start_exec('box-1', ('true',))"])
def test_an_entry_of_a_block_that_fails_is_one_frame(tmp_path: Path, block: str) -> None:
    with SyncAgentsSandboxClient(tmp_path / "agboxd.sock") as client:
        entered = eval(f"client.{block}", {"client": client})
        handled = KeyError("handled")
        try:
            raise handled
        except KeyError:
            with pytest.raises(DaemonUnavailableError) as caught:
                entered.__enter__()
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert [frame.name for frame in frames[1:]] == ["call"]
    assert caught.value.__context__ is handled


def test_causes_are_kept_without_what_they_came_from() -> None:
    lost = ConnectionError("lost")
    lost.__context__ = KeyError("handled")

    @ends_at_caller
    def fail() -> None:
        raise SandboxClientError("failed") from lost

    with pytest.raises(SandboxClientError) as caught:
        fail()
    assert caught.value.__cause__ is lost
    assert lost.__context__ is None


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
