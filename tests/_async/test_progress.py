"""The line that shows what a client waits for, on terminals and in notebooks only."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from agents_sandbox import (
    AgentsSandboxClient,
    InvalidArgumentTypeError,
    SandboxHandle,
    SandboxState,
    _progress,
    progress,
)
from agents_sandbox._blocking import helpers
from agents_sandbox.testing import FakeDaemon

from .._aio import Background, off_loop
from ..releases import any_release
from ..screens import Screen, StuckLine, open_notebook, open_terminal, painters
from .conftest import IMAGE

pytestmark = any_release


OPEN: dict[str, Callable[[pytest.MonkeyPatch], Screen]] = {
    "plain": partial(open_terminal, rich=False),
    "rich": partial(open_terminal, rich=True),
    "notebook": open_notebook,
}

# In the test itself: pytest replaces standard error before each test.
each_screen = pytest.mark.parametrize("kind", OPEN)


def look_at(text: str, monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Let the line show a text only; the result is released at each look at the waits."""
    looks = threading.Semaphore(0)

    def show(_: object) -> str:
        looks.release()
        return text

    monkeypatch.setattr(_progress, "_text", show)
    return looks


@pytest.mark.unshared
@each_screen
async def test_it_shows_what_a_client_waits_for(
    client: AgentsSandboxClient, daemon: FakeDaemon, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = OPEN[kind](monkeypatch)
    with progress(client):
        with daemon.paused():
            create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
            await off_loop(screen.wait_for, r"sandbox demo-sandbox: PENDING, \d+ s")
        await create.result()
        with daemon.paused():
            run = Background(client.run, "demo-sandbox", ("true",), exec_id="my-exec")
            await off_loop(screen.wait_for, r"exec my-exec: RUNNING, \d+ s")
        await run.result()


async def test_it_clears_the_line_between_waits_and_at_the_end(
    client: AgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = open_terminal(monkeypatch, rich=False)
    with progress(client):
        with daemon.paused():
            create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
            await off_loop(screen.wait_for, "PENDING")
            assert screen.line.startswith("sandbox demo-sandbox: PENDING, ")
        await create.result()
        await off_loop(screen.wait_for, r"\r +\r$")
        assert screen.line == ""
        with daemon.paused():
            delete = Background(client.delete_sandbox, "demo-sandbox")
            await off_loop(screen.wait_for, r"sandbox demo-sandbox: DELETING, \d+ s")
        await delete.result()
    assert screen.line == ""


@pytest.mark.parametrize("rich", [False, True])
@pytest.mark.parametrize("columns", [80, 40])
async def test_it_stays_on_one_row(
    client: AgentsSandboxClient,
    daemon: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
    rich: bool,
    columns: int,
) -> None:
    screen = open_terminal(monkeypatch, rich=rich)
    monkeypatch.setenv("COLUMNS", str(columns))
    with progress(client):
        with daemon.paused():
            long_id = "a" * 120
            create = Background(client.create_sandbox, image=IMAGE, sandbox_id=long_id)
            await off_loop(screen.wait_for, "(?s)aaa.*aaa")
            assert "\n" not in screen.getvalue()
            shown = {len(found) for found in re.findall("sandbox a+", screen.getvalue())}
            assert columns - 5 < max(shown) < columns
        await create.result()


async def test_a_block_in_a_block_changes_nothing(
    client: AgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = open_terminal(monkeypatch, rich=False)
    with progress(client):
        with progress(client):
            pass
        with daemon.paused():
            create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
            await off_loop(screen.wait_for, "PENDING")
        await create.result()


async def test_blocks_that_overlap_share_the_line(
    client: AgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of two threads: the last one to end takes it away."""
    screen = open_terminal(monkeypatch, rich=False)
    first, second = progress(client), progress(client)
    first.__enter__()
    with second:
        first.__exit__(None, None, None)
        with daemon.paused():
            create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
            await off_loop(screen.wait_for, "PENDING")
        await create.result()
    assert client._daemon.waits is None
    assert screen.line == ""


async def test_it_leaves_the_streams_of_the_program_alone(
    client: AgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = open_terminal(monkeypatch, rich=True)
    output = sys.stdout
    with progress(client):
        with daemon.paused():
            create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
            await off_loop(screen.wait_for, "PENDING")
            assert sys.stdout is output
            assert sys.stderr is screen
        await create.result()


@pytest.mark.parametrize("error", [OSError("no terminal"), ValueError("closed")])
@pytest.mark.parametrize("rich", [False, True])
async def test_without_its_output_it_stops_silently(
    client: AgentsSandboxClient,
    daemon: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    rich: bool,
) -> None:
    screen = open_terminal(monkeypatch, rich=rich)
    with progress(client):
        with daemon.paused():
            create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
            await off_loop(screen.wait_for, "PENDING")
            (painter,) = painters()
            screen.trouble = error
            await off_loop(painter.join, 10)
            assert not painter.is_alive()
        await create.result()
    assert client._daemon.waits is None


async def test_the_end_of_the_block_does_not_wait_for_an_output_that_is_stuck(
    client: AgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = StuckLine()
    monkeypatch.setattr(_progress, "_find_line", lambda: line)
    monkeypatch.setattr(_progress, "_PATIENCE_SECONDS", 0.01)
    with daemon.paused():
        with progress(client):
            create = Background(client.create_sandbox, image=IMAGE, sandbox_id="demo-sandbox")
            await off_loop(line.stuck.wait, 60)
            (painter,) = painters()
        assert painter.is_alive()
        line.freed.set()
        await off_loop(painter.join, 10)
        assert not painter.is_alive()
    await create.result()


async def test_without_a_thread_nothing_is_shown(
    client: AgentsSandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    screen = open_terminal(monkeypatch, rich=False)
    with monkeypatch.context() as patches:
        patches.setattr(threading.Thread, "start", refuse)
        patches.setattr(helpers, "start_new_thread", refuse)
        with progress(client):
            entered = True
    assert entered
    assert client._daemon.waits is None
    assert screen.getvalue() == ""


async def test_a_thread_that_starts_after_the_block_shows_nothing(
    client: AgentsSandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = open_terminal(monkeypatch, rich=False)
    late: list[Callable[[], None]] = []
    monkeypatch.setattr(_progress, "start_thread", lambda paint, name: late.append(paint))
    with progress(client):
        pass
    (paint,) = late
    paint()
    assert screen.getvalue() == ""


async def test_a_notebook_hears_of_changes_only(
    client: AgentsSandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each update is a message to a browser."""
    screen = open_notebook(monkeypatch)
    looks = look_at("always the same", monkeypatch)
    with progress(client):
        for _ in range(3):
            await off_loop(looks.acquire)
    assert screen.getvalue().count("always the same") == 1


async def test_it_counts_the_other_waits(
    client: AgentsSandboxClient, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = open_terminal(monkeypatch, rich=False)
    with progress(client):
        with daemon.paused():
            names = ("box-1", "box-2", "box-3")
            calls = [
                Background(client.create_sandbox, image=IMAGE, sandbox_id=name) for name in names
            ]
            await off_loop(screen.wait_for, r"sandbox box-\d: PENDING, \d+ s \(and 2 more\)")
        for call in calls:
            await call.result()


async def test_it_says_that_the_client_reconnects(
    client: AgentsSandboxClient,
    daemon: FakeDaemon,
    sandbox: SandboxHandle,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = open_terminal(monkeypatch, rich=False)
    with progress(client):
        stopped = Background(client.wait_for_sandbox, sandbox, SandboxState.STOPPED)
        await off_loop(screen.wait_for, r"sandbox demo-sandbox: READY, \d+ s")
        await off_loop(daemon.kill)
        await off_loop(screen.wait_for, r"sandbox demo-sandbox: READY \(reconnecting\), \d+ s")
        await off_loop(daemon.start)
        await client.stop_sandbox(sandbox)
        await stopped.result()


async def test_a_wait_that_fails_no_longer_shows(
    client: AgentsSandboxClient, sandbox: SandboxHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = open_terminal(monkeypatch, rich=False)
    with progress(client):
        stopped = Background(client.wait_for_sandbox, sandbox, SandboxState.STOPPED)
        await off_loop(screen.wait_for, "READY")
        await client.delete_sandbox(sandbox)
        with pytest.raises(Exception, match="demo-sandbox"):
            await stopped.result()
        waits: Any = client._daemon.waits
        assert waits == {}
    assert client._daemon.waits is None


async def test_elsewhere_nothing_is_shown(
    client: AgentsSandboxClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = threading.active_count()
    with progress(client):
        assert client._daemon.waits is None
        assert threading.active_count() == threads
    closed = Screen()
    closed.close()
    for stderr in (None, closed):  # as of a program without a console, and of a daemon
        monkeypatch.setattr(sys, "stderr", stderr)
        with progress(client):
            assert client._daemon.waits is None
    assert capsys.readouterr() == ("", "")


async def test_without_a_wait_nothing_is_shown(
    client: AgentsSandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = open_terminal(monkeypatch, rich=False)
    looks = look_at("", monkeypatch)
    with progress(client):
        for _ in range(3):
            await off_loop(looks.acquire)
    assert screen.getvalue() == ""


def test_it_needs_a_client() -> None:
    wrong: Any = "client"
    with pytest.raises(InvalidArgumentTypeError, match="client must be a client, not 'client'"):
        progress(wrong).__enter__()
