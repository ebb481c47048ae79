"""The service of `examples/` ends the commands of callers that go away."""

from __future__ import annotations

import asyncio
import runpy
from contextlib import suppress
from pathlib import Path

import pytest

from agents_sandbox import AgentsSandboxClient, ExecState
from agents_sandbox.testing import FakeDaemon

from .releases import any_release

pytestmark = [pytest.mark.once, any_release]

PROGRAM = Path(__file__).parents[1] / "examples" / "streaming_service.py"


async def test_it_streams_and_ends_what_nobody_waits_for(daemon: FakeDaemon) -> None:
    serving = runpy.run_path(str(PROGRAM))["serving"]
    daemon.on_exec(("sh", "-c", "make")).stdout("done\n").exit(3)
    daemon.on_exec(("sh", "-c", "serve")).stdout("begin\n").never()
    async with AgentsSandboxClient(daemon.socket_path) as client:
        handle = await client.create_sandbox(image="a:1")
        async with serving(client.attach(handle), 0) as server:

            async def call(line: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.write(line + b"\n")
                return reader, writer

            reader, writer = await call(b"make")
            assert await reader.read() == b"done\nexit code 3\n"
            writer.close()

            reader, writer = await call(b"x" * 2**17)
            with suppress(ConnectionResetError):  # by what the service has not read
                assert await reader.read() == b""
            writer.close()

            reader, leaving = await call(b"serve")
            assert await reader.readline() == b"begin\n"
            (running,) = await client.list_active_execs()
            leaving.close()
            assert (await client.wait_for_exec(running)).exit_code == 137

            reader, staying = await call(b"serve")
            assert await reader.readline() == b"begin\n"
        # The service ends the others.
        assert await reader.read() == b""
        staying.close()
        assert [item.state for item in daemon.execs] == 3 * [ExecState.FAILED]
        assert await client.list_active_execs() == []
        await client.delete_sandbox(handle)
