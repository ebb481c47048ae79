"""Beside gevent and trio, and on systems without fork: it works, or an error says what to do."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from agents_sandbox.testing import FakeDaemon

from .releases import any_release

pytestmark = [any_release, pytest.mark.slow]

_PREAMBLE = """
import asyncio, gc, sys

socket = sys.argv[1]

def told(function):
    try:
        return str(function())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
"""


def run(program: str, socket_path: str = "", *, first: str = "") -> list[str]:
    """Run a program in its own process, and return the lines that it prints.

    Args:
        program: Its source. It can use the path `socket` and the function `told()`.
        socket_path: The daemon's socket.
        first: The source of what must come first.
    """
    source = textwrap.dedent(first) + _PREAMBLE + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source, socket_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


PATCHED = """
from gevent import monkey
monkey.patch_all()
"""


# What Python lacks on Windows, and is tested for by its own library and others.
WITHOUT_UNIX = """
import asyncio, os, sys
del os.fork, os.register_at_fork
sys.modules["fcntl"] = None
"""


def test_the_blocking_client_works_under_gevent_once_grpc_is_prepared(daemon: FakeDaemon) -> None:
    program = """
    from agents_sandbox import SyncAgentsSandboxClient

    with SyncAgentsSandboxClient(socket) as client:
        print(told(client.ping))
        import grpc.experimental.gevent
        grpc.experimental.gevent.init_gevent()
        import gevent

        sandbox_id = client.create_sandbox(image="a:1").sandbox_id
        runs = [gevent.spawn(client.run, sandbox_id, ("true",)) for _ in range(3)]
        print([run.get().state.name for run in runs])
        with client.subscribe_sandbox_events(sandbox_id) as events:
            print(next(events).sequence)
        print(client.delete_sandbox(sandbox_id).state.name)
    """
    refused, *rest = run(program, daemon.socket_path, first=PATCHED)
    assert refused.startswith("ClientLoopError: gevent has patched the threads of this process")
    assert "call grpc.experimental.gevent.init_gevent() right after" in refused
    assert rest == ["['FINISHED', 'FINISHED', 'FINISHED']", "1", "DELETED"]


def test_the_blocking_client_works_under_gevent_that_leaves_threads_alone(
    daemon: FakeDaemon,
) -> None:
    patched = """
    from gevent import monkey
    monkey.patch_all(thread=False)
    """
    program = """
    from agents_sandbox import SyncAgentsSandboxClient

    with SyncAgentsSandboxClient(socket) as client:
        print(client.create_sandbox(image="a:1").state.name)
    """
    assert run(program, daemon.socket_path, first=patched) == ["READY"]


@pytest.mark.parametrize("prepared", [True, False])
def test_the_async_client_and_the_fake_daemon_refuse_gevent(
    daemon: FakeDaemon, prepared: bool
) -> None:
    program = """
    from agents_sandbox import AgentsSandboxClient
    from agents_sandbox.testing import FakeDaemon

    client = AgentsSandboxClient(socket)
    print(told(lambda: asyncio.run(client.ping())))
    print(told(lambda: asyncio.run(client.aclose())))
    daemon = FakeDaemon()
    print(told(daemon.start))
    daemon.stop()
    """
    prepare = "import grpc.experimental.gevent as g\ng.init_gevent()\n" if prepared else ""
    refused, closed, not_started = run(program, daemon.socket_path, first=PATCHED + prepare)
    why = "gevent has patched the threads of this process, and gRPC's asyncio would hang: "
    assert refused == f"ClientLoopError: {why}use the blocking client, SyncAgentsSandboxClient"
    assert closed == "None"
    assert not_started == (
        f"RuntimeError: {why}start it in another process, python -m agents_sandbox.testing"
    )


def test_under_trio_the_async_client_and_the_fake_daemon_say_what_to_use(
    daemon: FakeDaemon,
) -> None:
    program = """
    import trio
    from agents_sandbox import AgentsSandboxClient, SyncAgentsSandboxClient
    from agents_sandbox.testing import FakeDaemon

    async def told_later(call):
        try:
            return str(await call())
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    async def main():
        async with AgentsSandboxClient(socket) as client:
            events = client.subscribe_sandbox_events("box-1")
            create = lambda: client.create_sandbox(image="a:1")
            for call in (client.ping, create, events.__anext__):
                print(await told_later(call))
            await events.aclose()
        daemon = FakeDaemon()
        print(await told_later(daemon.__aenter__))
        with daemon, SyncAgentsSandboxClient(daemon.socket_path) as blocking:
            print((await trio.to_thread.run_sync(blocking.ping)).daemon)

    trio.run(main)
    gc.collect()
    """
    *refused, entered, pinged = run(program, daemon.socket_path)
    assert len(refused) == 3
    for line in refused:
        assert line.startswith("ClientLoopError: the async client requires asyncio, and no event ")
        assert line.endswith("in a thread, such as with trio.to_thread.run_sync()")
    assert entered.startswith("RuntimeError: `async with FakeDaemon()` requires asyncio")
    assert pinged == "agboxd"


@pytest.mark.once
@pytest.mark.parametrize("module", ["agents_sandbox", "agents_sandbox.testing"])
def test_an_import_without_unix_says_where_it_runs(module: str) -> None:
    (said,) = run(f"print(told(lambda: __import__('{module}')))", first=WITHOUT_UNIX)
    assert said == (
        "ImportError: agents_sandbox requires Linux or macOS: the daemon listens on a Unix socket. "
        "On Windows, run Python in WSL, beside the daemon"
    )


@pytest.mark.once
def test_the_pytest_plugin_does_not_disturb_where_there_is_no_unix(tmp_path: Path) -> None:
    program = f"""
    import pytest
    os.chdir({str(tmp_path)!r})
    sys.exit(pytest.main(["-o", "asyncio_default_fixture_loop_scope=function", "--help"]))
    """
    assert any("--agents-sandbox" in line for line in run(program, first=WITHOUT_UNIX))
